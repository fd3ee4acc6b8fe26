package google_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/api/gmail/v1"
	"google.golang.org/api/googleapi"

	"mailsweep/internal/sim/google"
)

// odd is a rig of which one quirk is switched, with a clock that tests move.
type odd struct {
	*rig
	*testing.T
	clock *clock
}

// found counts what a query finds.
func (o odd) found(q string) string { return fmt.Sprint(len(o.all(o.T, q, false))) }

// arrive delivers one mail of a sender named edge.
func (o odd) arrive(in google.Incoming) string {
	in.From = "edge@case.example"
	ids, err := o.sim.Deliver(me, in)
	if err != nil {
		o.Fatal(err)
	}
	return ids[0]
}

// list tells what a listing is answered with.
func (o odd) list() string {
	_, err := o.svc.Users.Messages.List("me").Do()
	var e *googleapi.Error
	if errors.As(err, &e) {
		return fmt.Sprint(e.Code, " ", e.Header.Get("Retry-After"))
	}
	return fmt.Sprint(err)
}

// after lists twice, waits, and lists again.
func (o odd) after(waits ...time.Duration) (out string) {
	o.clock.Add(50 * time.Second)
	o.list()
	o.list()
	for _, d := range waits {
		o.clock.Add(d)
		out += o.list() + "; "
	}
	return out
}

// probes tell what a client sees of each quirk.
var probes = map[string]func(odd) string{
	"trash_drops_inbox": func(o odd) string {
		id := o.arrive(google.Incoming{})
		err := o.svc.Users.Messages.BatchModify("me", &gmail.BatchModifyMessagesRequest{Ids: []string{id}, AddLabelIds: []string{"TRASH"}}).Do()
		return fmt.Sprint(err, o.found("in:trash in:inbox from:edge"))
	},
	"trash_label_hidden": func(o odd) string {
		o.arrive(google.Incoming{Labels: []string{"TRASH"}})
		page, err := o.svc.Users.Messages.List("me").LabelIds("TRASH").Do()
		return fmt.Sprint(err, len(page.Messages), o.found("in:trash"))
	},
	"labels_skip_hidden": func(o odd) string {
		unread, err := o.svc.Users.Labels.Get("me", "UNREAD").Do()
		trash, err2 := o.svc.Users.Labels.Get("me", "TRASH").Do()
		return fmt.Sprint(err, unread.MessagesTotal, unread.ThreadsTotal, err2, trash.MessagesTotal > 0)
	},
	"profile_skips_hidden": func(o odd) string {
		p, err := o.svc.Users.GetProfile("me").Do()
		return fmt.Sprint(err, p.MessagesTotal, p.ThreadsTotal)
	},
	"lists_chats": func(o odd) string {
		o.arrive(google.Incoming{Labels: []string{"CHAT"}})
		return o.found("from:edge")
	},
	"after_excludes": func(o odd) string {
		o.arrive(google.Incoming{Date: at.Add(-time.Hour)})
		return o.found(fmt.Sprint("from:edge after:", at.Add(-time.Hour).Unix()))
	},
	"before_includes": func(o odd) string {
		o.arrive(google.Incoming{Date: at.Add(-time.Hour)})
		return o.found(fmt.Sprint("from:edge before:", at.Add(-time.Hour).Unix()))
	},
	"larger_includes":  func(o odd) string { o.arrive(google.Incoming{Size: 5000}); return o.found("from:edge larger:5000") },
	"smaller_includes": func(o odd) string { o.arrive(google.Incoming{Size: 5000}); return o.found("from:edge smaller:5000") },
	"decimal_sizes":    func(o odd) string { o.arrive(google.Incoming{Size: 1010}); return o.found("from:edge larger:1K") },
	"rough_sizes": func(o odd) (out string) {
		for _, id := range o.all(o.T, "newer_than:2m", false) {
			m, err := o.svc.Users.Messages.Get("me", id).Format("minimal").Do()
			out += fmt.Sprint(err, m.SizeEstimate, " ")
		}
		return out
	},
	"partial_modify": func(o odd) string {
		o.sim.Inject(google.Fault{Method: "messages.batchModify", Status: 503})
		return fmt.Sprint(o.trash(o.all(o.T, "in:inbox", false)...) == nil, o.found("in:trash"))
	},
	"page_tokens": func(o odd) string {
		first, err := o.svc.Users.Messages.List("me").Q("in:inbox").MaxResults(5).Do()
		if err != nil {
			return err.Error()
		}
		if err := o.trash(first.Messages[0].Id, first.Messages[1].Id); err != nil {
			return err.Error()
		}
		second, err := o.svc.Users.Messages.List("me").Q("in:inbox").MaxResults(5).PageToken(first.NextPageToken).Do()
		if err != nil {
			return err.Error()
		}
		return second.Messages[0].Id
	},
	"no_categories": func(o odd) string { return o.found("category:promotions") },
	"plain_import": func(o odd) string {
		path := filepath.Join(o.TempDir(), "one.mbox")
		mail := "From x Mon Jan  1 00:00:00 2024\nFrom: a@b.example\nList-Id: <l.b.example>\nDate: Mon, 1 Jan 2024 00:00:00 +0000\n\nhello\n"
		if err := os.WriteFile(path, []byte(mail), 0o600); err != nil {
			o.Fatal(err)
		}
		if _, err := o.sim.AddMbox("b@example.org", path); err != nil {
			o.Fatal(err)
		}
		truth, err := o.sim.Truth("b@example.org")
		return fmt.Sprint(err, truth.Labels)
	},
	"swallow_words": func(o odd) string {
		o.arrive(google.Incoming{Subject: "lunch"})
		return o.found("from:edge lunch")
	},
	"unknown_finds_none": func(o odd) string {
		o.arrive(google.Incoming{Subject: "frob edge"})
		return o.found("frob:edge")
	},
	"estimate": func(o odd) string {
		page, err := o.svc.Users.Messages.List("me").MaxResults(5).Do()
		return fmt.Sprint(err, page.ResultSizeEstimate)
	},
	"encoding": func(o odd) string {
		_, err := o.svc.Users.Labels.Get("me", "NOPE").Do()
		var e *googleapi.Error
		errors.As(err, &e)
		return fmt.Sprint(strings.Contains(e.Body, `"errors"`), strings.Contains(e.Body, `"status"`))
	},
	"fixed_window":   func(o odd) string { return o.after(time.Second, 11*time.Second) },
	"retry_header":   func(o odd) string { return o.after(time.Second) },
	"charge_refused": func(o odd) string { return o.after(30*time.Second, time.Second, 30*time.Second, 0) },
	"refusals": func(o odd) (out string) {
		for range 20 {
			out += o.list() + "; "
		}
		return out
	},
}

// Switching a quirk changes what a client sees, and nothing is listed that does not.
func TestEveryQuirkShows(t *testing.T) {
	t.Parallel()
	for _, q := range google.AllQuirks() {
		probe := probes[q.Name]
		if probe == nil {
			t.Errorf("%s has no probe", q.Name)
			continue
		}
		seen := map[string]string{}
		for _, value := range q.Values {
			c := &clock{now: at.Truncate(time.Minute)}
			config := google.Config{Now: c.Now, Seed: 5}
			if strings.Contains(" fixed_window retry_header charge_refused refusals ", " "+q.Name+" ") {
				config.Tariff = google.TariffNew()
				config.Tariff.PerUserMinute = 10
			}
			if err := q.Set(&config, value); err != nil {
				t.Fatal(err)
			}
			got := probe(odd{newRig(t, config, 150), t, c})
			if same, ok := seen[got]; ok {
				t.Errorf("%s: %q and %q both show %s", q.Name, same, value, got)
			}
			seen[got] = value
		}
	}
}

func TestQuirksAreReadFromAList(t *testing.T) {
	t.Parallel()
	var c google.Config
	if err := c.SetQuirks("trash_drops_inbox, page_tokens=expire,larger_includes=false,refusals=mixed"); err != nil ||
		!c.Quirks.TrashDropsInbox || c.Quirks.PageTokens != "expire" || c.Quirks.LargerIncludes || c.Share429 != 0.5 {
		t.Errorf("%+v %v", c, err)
	}
	if err := c.SetQuirks("page_tokens=cursor,encoding=both"); err != nil || c.Quirks.PageTokens != "" {
		t.Errorf("%+v %v", c, err)
	}
	for _, bad := range []string{"nonsense", "page_tokens=none", "trash_drops_inbox=yes"} {
		if c.SetQuirks(bad) == nil {
			t.Error(bad)
		}
	}
}

func TestErrorsAreEncodedAsTheClientAsks(t *testing.T) {
	t.Parallel()
	r := newRig(t, google.Config{}, 5)
	for ask, want := range map[string]bool{"": true, "1": true, "2": false} {
		_, err := r.svc.Users.Labels.Get("me", "NOPE").Do(googleapi.QueryParameter("$.xgafv", ask))
		if e := wantError(t, err, 404, ""); strings.Contains(e.Body, `"errors"`) != want || strings.Contains(e.Body, `"status"`) != (ask != "1") {
			t.Error(ask, e.Body)
		}
	}
}

func TestEveryMethodHasItsPriceInBothTariffs(t *testing.T) {
	t.Parallel()
	for _, tariff := range []google.Tariff{google.TariffNew(), google.TariffOld()} {
		for _, m := range google.Methods() {
			if tariff.Units[m] < 1 {
				t.Errorf("%s is free in %s", m, tariff.Metric)
			}
		}
	}
}

func TestTheProjectsDayIsCountedAndMayStopIt(t *testing.T) {
	t.Parallel()
	for _, stop := range []bool{false, true} {
		c := &clock{now: at.Truncate(24 * time.Hour)}
		tariff := google.TariffNew()
		tariff.PerProjectDay = 12
		r := newRig(t, google.Config{Tariff: tariff, Now: c.Now, TimeScale: 48, StopAtDay: stop}, 5)
		for range 3 {
			if _, err := r.svc.Users.Messages.List("me").Do(); err != nil {
				t.Fatal(err)
			}
		}
		if d := r.sim.Today(); d.Units != 15 || d.Limit != 12 || !d.Exceeded.Equal(c.Now()) {
			t.Errorf("%+v", d)
		}
		_, err := r.svc.Users.GetProfile("me").Do()
		if stop {
			wantError(t, err, 403, "dailyLimitExceeded")
		} else if err != nil {
			t.Error(err)
		}
		c.Add(30 * time.Minute) // a day of Gmail's
		if _, err := r.svc.Users.GetProfile("me").Do(); err != nil || r.sim.Today().Units != 1 {
			t.Error("another day begins anew", err, r.sim.Today())
		}
	}
}

func TestTheHistoryFloorMoves(t *testing.T) {
	t.Parallel()
	r := newRig(t, google.Config{}, 20)
	var at []uint64
	for range 3 {
		p, err := r.svc.Users.GetProfile("me").Do()
		if err != nil {
			t.Fatal(err)
		}
		at = append(at, p.HistoryId)
		if _, err := r.sim.Deliver(me, google.Incoming{From: "a@b.example"}); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.sim.SetFloor(me, at[1]); err != nil {
		t.Fatal(err)
	}
	_, err := r.svc.Users.History.List("me").StartHistoryId(at[0]).Do()
	wantError(t, err, 404, "notFound")
	for i, want := range map[int]int{1: 2, 2: 1} {
		if page, err := r.svc.Users.History.List("me").StartHistoryId(at[i]).Do(); err != nil || len(page.History) != want {
			t.Error(i, page, err)
		}
	}
}

func TestAMailboxMayBeOtherwiseThanTheRest(t *testing.T) {
	t.Parallel()
	r := newRig(t, google.Config{}, 20)
	const other = "odd@example.org"
	if err := r.sim.SetQuirks(other, "trash_drops_inbox,no_categories,encoding=v2"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.sim.AddGenerated(other, google.Generate{Messages: 200, Now: at}); err != nil {
		t.Fatal(err)
	}
	for email, drops := range map[string]bool{me: false, other: true} {
		truth, err := r.sim.Truth(email)
		if err != nil || (truth.Labels["CATEGORY_PROMOTIONS"] == 0) != drops {
			t.Error(email, truth.Labels, err)
		}
		all, err := r.sim.Messages(email)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(all, func(m google.Message) bool { return slices.Contains(m.Labels, "INBOX") })
		if err := r.sim.Relabel(email, []string{all[i].ID}, []string{"TRASH"}, nil); err != nil {
			t.Fatal(err)
		}
		if all, err = r.sim.Messages(email); err != nil || slices.Contains(all[i].Labels, "INBOX") == drops {
			t.Error(email, all[i].Labels, err)
		}
		tokens, err := r.sim.Grant(email)
		if err != nil {
			t.Fatal(err)
		}
		req := httptest.NewRequest(http.MethodGet, "/gmail/v1/users/me/messages/123", nil)
		req.Header.Set("Authorization", "Bearer "+tokens.Access)
		w := httptest.NewRecorder()
		if r.sim.ServeHTTP(w, req); w.Code != 404 || strings.Contains(w.Body.String(), `"errors"`) == drops {
			t.Error(email, w.Body)
		}
	}
	for email, list := range map[string]string{me: "trash_drops_inbox", "new@example.org": "fixed_window", "new2@example.org": "nonsense"} {
		if err := r.sim.SetQuirks(email, list); err == nil {
			t.Error(email, list)
		}
	}
}
