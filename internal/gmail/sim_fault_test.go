package gmail_test

import (
	"errors"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"mailsweep/internal/gmail"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

func TestCallsSurviveGooglesFaults(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]google.Fault{
		"503": {Status: 503, Times: 2}, "HTML 503": {HTML503: true, Times: 2}, "500": {Status: 500, Times: 2}, "token refused": {Status: 401, Times: 1},
		"429, told near": {Status: 429, TextRetryAfter: 5 * time.Second, Times: 1}, "reset before": {ResetBefore: true, Times: 2},
		"reset after": {ResetAfterEffect: true, Times: 2}, "truncated": {TruncateJSON: true, Times: 2}, "token endpoint": {Method: "token", Status: 503, Times: 2},
	} {
		w := newWorld(t, 1_100)
		w.sim.Inject(fault)
		if all, want := w.list(t, gmail.Search{}), w.messages(t); len(all) != len(want) {
			t.Errorf("%s: %d listed of %d", name, len(all), len(want))
		}
		w.sim.ClearFaults()
		w.sim.Inject(fault)
		ids := slices.Sorted(maps.Keys(w.messages(t)))[:100]
		if err := w.open.Modify(t.Context(), ids, []string{"STARRED"}, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if found := w.list(t, gmail.Search{LabelIDs: []string{"STARRED"}}); len(found) < 100 {
			t.Errorf("%s: %d starred", name, len(found))
		}
	}
}

func TestGooglesLongPausesAndRefusalsReachTheCaller(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 20)
	w.sim.Inject(google.Fault{Status: 429, TextRetryAfter: 15 * time.Minute, Times: 1})
	_, err := w.open.Profile(t.Context())
	var wait *gmail.Wait
	if !errors.As(err, &wait) || time.Until(wait.Until) < 10*time.Second {
		t.Errorf("a told time of 15 minutes (15 s here): %v", err)
	}
	if err := w.sim.Revoke(address); err != nil {
		t.Fatal(err)
	}
	if _, err := w.open.Profile(t.Context()); sweep.CodeOf(err) != sweep.MailboxNeedsReconnect {
		t.Errorf("consent withdrawn: %v", err)
	}
	tokens, err := w.sim.Grant(address, "openid", "email", "https://www.googleapis.com/auth/gmail.readonly")
	if err != nil {
		t.Fatal(err)
	}
	if err := w.client.Open(tokens.Refresh, "x").Modify(t.Context(), []sweep.MessageID{1}, []string{"STARRED"}, nil); sweep.CodeOf(err) != sweep.MailboxNeedsReconnect {
		t.Errorf("too small a consent: %v", err)
	}
}

func TestAQuotaThatIsReachedIsWaitedFor(t *testing.T) {
	t.Parallel()
	tariff := google.TariffNew()
	tariff.PerUserMinute = 1_000 // a minute is a second here
	w := newWorldOf(t, google.Generate{Messages: 100}, google.Config{Seed: 7, TimeScale: 60, Tariff: tariff})
	ids := slices.Sorted(maps.Keys(w.messages(t)))
	var done sync.WaitGroup
	for part := range slices.Chunk(ids, (len(ids)+3)/4) {
		done.Go(func() {
			for _, id := range part { // about 100 reads of 20 units
				if err := w.readAsAJob(t, id); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	done.Wait()
	if w.client.Pacer.(*free).closed == 0 {
		t.Error("Google refused nothing: the quota was not reached")
	}
}

// readAsAJob comes back when it is asked to.
func (w *world) readAsAJob(t *testing.T, id sweep.MessageID) error {
	for {
		_, err := w.open.Read(t.Context(), id, false)
		var wait *gmail.Wait
		if !errors.As(err, &wait) {
			return err
		}
		select {
		case <-time.After(time.Until(wait.Until)):
		case <-t.Context().Done():
			return t.Context().Err()
		}
	}
}
