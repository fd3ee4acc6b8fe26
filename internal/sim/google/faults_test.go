package google_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"google.golang.org/api/gmail/v1"

	"mailsweep/internal/sim/google"
	"mailsweep/internal/testkit"
)

func TestFaultsStrikeTheCallsTheyName(t *testing.T) {
	t.Parallel()
	r := newRig(t, google.Config{}, 10)
	r.sim.Inject(google.Fault{Method: "getProfile", Nth: 2, Times: 1, Status: 503})
	r.sim.Inject(google.Fault{Method: "labels.list", User: "nobody@example.org", Status: 500})
	for i, want := range []bool{true, false, true} {
		if _, err := r.svc.Users.GetProfile("me").Do(); (err == nil) != want {
			t.Errorf("call %d: %v", i+1, err)
		}
	}
	if _, err := r.svc.Users.Labels.List("me").Do(); err != nil {
		t.Error(err)
	}
}

func TestFaultsLookLikeGooglesTroubles(t *testing.T) {
	t.Parallel()
	r := newRig(t, google.Config{TimeScale: 60}, 10)
	try := func(f google.Fault) error {
		r.sim.ClearFaults()
		r.sim.Inject(f)
		_, err := r.svc.Users.Messages.List("me").Do()
		return err
	}
	e := wantError(t, try(google.Fault{Status: 429, TextRetryAfter: 15 * time.Minute}), 429, "rateLimitExceeded")
	_, told, _ := strings.Cut(e.Message, "  Retry after ")
	if when, err := time.Parse(time.RFC3339, told); err != nil || time.Until(when) > 15*time.Second {
		t.Error("the told wait is scaled:", e.Message)
	}
	e = wantError(t, try(google.Fault{Status: 503, RetryAfter: 2 * time.Minute}), 503, "backendError")
	if e.Header.Get("Retry-After") != "2" {
		t.Error(e.Header)
	}
	e = wantError(t, try(google.Fault{HTML503: true}), 503, "")
	if len(e.Errors) != 0 || !strings.Contains(e.Body, "<html") {
		t.Error(e.Body)
	}
	for name, f := range map[string]google.Fault{"truncated": {TruncateJSON: true}, "reset": {ResetBefore: true}} {
		if err := try(f); err == nil || strings.Contains(err.Error(), "googleapi") {
			t.Error(name, err)
		}
	}
	ctx, cancel := context.WithTimeout(r.ctx, 50*time.Millisecond)
	defer cancel()
	r.sim.ClearFaults()
	r.sim.Inject(google.Fault{Hang: true})
	if _, err := r.svc.Users.GetProfile("me").Context(ctx).Do(); err == nil {
		t.Error("answered")
	}
}

func TestConnectionMayBreakBeforeOrAfterTheEffect(t *testing.T) {
	t.Parallel()
	for _, after := range []bool{false, true} {
		r := newRig(t, google.Config{}, 20)
		id := r.all(t, "-is:starred", false)[0]
		r.sim.Inject(google.Fault{Method: "messages.batchModify", ResetBefore: !after, ResetAfterEffect: after, Times: 1})
		call := func() error {
			return r.svc.Users.Messages.BatchModify("me", &gmail.BatchModifyMessagesRequest{Ids: []string{id}, AddLabelIds: []string{"STARRED"}}).Do()
		}
		if err := call(); err == nil {
			t.Fatal("answered")
		}
		if got := slices.Contains(r.all(t, "is:starred", false), id); got != after {
			t.Errorf("after %v: effect %v", after, got)
		}
		if err := call(); err != nil {
			t.Error(err)
		}
		if ledger, _ := r.sim.Ledger(me); ledger.Changes[id] != 1 {
			t.Errorf("changed once: %v", ledger.Changes)
		}
	}
}

func TestRevokedConsentAndExpiredHistoryAreTold(t *testing.T) {
	t.Parallel()
	r := newOAuthRig(t)
	profile, err := r.svc.Users.GetProfile("me").Do()
	if err != nil {
		t.Fatal(err)
	}
	ids, err := r.sim.Deliver(me, google.Incoming{From: "Zoë <z@shop.example>", Subject: "Grüße"})
	if err != nil {
		t.Fatal(err)
	}
	history, err := r.svc.Users.History.List("me").StartHistoryId(profile.HistoryId).Do()
	if err != nil || len(history.History) != 1 || history.History[0].MessagesAdded[0].Message.Id != ids[0] {
		t.Fatal(history, err)
	}
	if err := r.sim.ExpireHistory(me); err != nil {
		t.Fatal(err)
	}
	_, err = r.svc.Users.History.List("me").StartHistoryId(profile.HistoryId).Do()
	wantError(t, err, 404, "notFound")
	tokens, _ := r.sim.Grant(me)
	r.sim.Inject(google.Fault{Method: "token", Status: 400, Reason: "invalid_grant", Times: 1})
	source := r.oauth().TokenSource(r.ctx, &oauth2.Token{RefreshToken: tokens.Refresh})
	if _, err := source.Token(); !isInvalidGrant(err) {
		t.Error(err)
	}
	if _, err := source.Token(); err != nil {
		t.Error("the fault struck once:", err)
	}
	if err := r.sim.Revoke(me); err != nil {
		t.Fatal(err)
	}
	if _, err := r.oauth().TokenSource(r.ctx, &oauth2.Token{RefreshToken: tokens.Refresh}).Token(); !isInvalidGrant(err) {
		t.Error(err)
	}
}

func TestFaultsCanBeGivenOverHTTP(t *testing.T) {
	t.Parallel()
	r := newRig(t, google.Config{}, 10)
	res, err := http.Post(r.url+"/sim/faults", "application/json", strings.NewReader(`{"method":"getProfile","status":500,"times":1}`))
	if err != nil || res.StatusCode != 201 {
		t.Fatal(res, err)
	}
	_, err = r.svc.Users.GetProfile("me").Do()
	wantError(t, err, 500, "backendError")
	if res, err = http.Post(r.url+"/sim/faults", "application/json", strings.NewReader(`{"methd":"x"}`)); err != nil || res.StatusCode != 400 {
		t.Error("a rule with an unknown field is refused:", res, err)
	}
	if shown := r.page(t, "/sim/faults"); !strings.Contains(shown, `"seen": 1`) {
		t.Error(shown)
	}
}

func TestAHangEndsWhenTheClientGivesUpAndItsPlaceIsFree(t *testing.T) {
	t.Parallel()
	r := newRig(t, google.Config{Concurrency: 1}, 10)
	r.sim.Inject(google.Fault{Method: "messages.batchModify", Hang: true, Times: 1})
	ctx, cancel := context.WithTimeout(r.ctx, 50*time.Millisecond)
	defer cancel()
	change := &gmail.BatchModifyMessagesRequest{Ids: r.all(t, "", false), AddLabelIds: []string{"STARRED"}}
	if err := r.svc.Users.Messages.BatchModify("me", change).Context(ctx).Do(); err == nil {
		t.Fatal("it did not hang")
	}
	testkit.Eventually(t, 5*time.Second, func() bool {
		_, err := r.svc.Users.GetProfile("me").Do()
		return err == nil
	}, "its place is free")
}
