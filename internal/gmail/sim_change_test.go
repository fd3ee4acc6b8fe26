package gmail_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"mailsweep/internal/gmail"
	"mailsweep/internal/mailindex"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

func TestHistoryTellsWhatModifyDid(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1_300)
	ctx := t.Context()
	label, err := w.open.CreateLabel(ctx, "Swept")
	if err != nil || label.System {
		t.Fatalf("%+v, %v", label, err)
	}
	if again, err := w.open.CreateLabel(ctx, "Swept"); err != nil || again != label {
		t.Errorf("a second time: %+v, %v", again, err)
	}
	p, err := w.open.Profile(ctx)
	if err != nil {
		t.Fatal(err)
	}
	ids := slices.Sorted(maps.Keys(w.messages(t)))[:1_100]
	if err := w.open.Modify(ctx, ids, []string{label.ID}, nil); err == nil {
		t.Error("1,100 ids went out in one call")
	}
	for some := range slices.Chunk(ids, 1_000) {
		for range 2 { // a repeated call changes nothing more
			if err := w.open.Modify(ctx, some, []string{label.ID}, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	told, pages := map[sweep.MessageID]int{}, 0
	end, err := w.open.History(ctx, p.HistoryID, func(changes []mailindex.Change) error {
		pages++
		for _, c := range changes {
			told[c.ID]++
			if c.Kind != mailindex.Labelled || !slices.Equal(c.Added, []string{label.ID}) || c.Thread == 0 || !slices.Contains(c.Labels, label.ID) {
				t.Errorf("%+v", c)
			}
		}
		return nil
	})
	if err != nil || end <= p.HistoryID || pages < 3 || len(told) != len(ids) {
		t.Errorf("%d messages on %d pages, end %d after %d, %v", len(told), pages, end, p.HistoryID, err)
	}
	if found := w.list(t, gmail.Search{LabelIDs: []string{label.ID}}); len(found) != len(ids) {
		t.Errorf("%d carry the label", len(found))
	}
	checkOtherChanges(t, w, end, ids[:2])
	for range 2 {
		if err := w.open.DeleteLabel(ctx, label.ID); err != nil {
			t.Error(err)
		}
	}
	if err := w.open.Modify(ctx, ids[5:6], []string{label.ID}, nil); !errors.Is(err, gmail.ErrLabelGone) {
		t.Errorf("a label that is gone: %v", err)
	}
	if err := w.sim.ExpireHistory(address); err != nil {
		t.Fatal(err)
	}
	if _, err := w.open.History(ctx, p.HistoryID, func([]mailindex.Change) error { return nil }); !errors.Is(err, gmail.ErrHistoryGone) {
		t.Errorf("an old start: %v", err)
	}
}

// checkOtherChanges lets somebody else change the mailbox.
func checkOtherChanges(t *testing.T, w *world, start uint64, ids []sweep.MessageID) {
	t.Helper()
	arrived, err := w.sim.Deliver(address, google.Incoming{From: "new@example.org", Subject: "new", Labels: []string{"INBOX", "UNREAD"}})
	e1 := errors.Join(w.sim.Relabel(address, []string{ids[0].String()}, []string{"STARRED"}, nil), w.sim.Relabel(address, []string{ids[0].String()}, nil, []string{"STARRED"}))
	e2 := w.sim.Delete(address, []string{ids[1].String()})
	if err := errors.Join(err, e1, e2); err != nil {
		t.Fatal(err)
	}
	kinds := map[mailindex.ChangeKind][]string{}
	if _, err := w.open.History(t.Context(), start, func(changes []mailindex.Change) error {
		for _, c := range changes {
			kinds[c.Kind] = append(kinds[c.Kind], c.ID.String())
			if slices.Contains(c.Added, "STARRED") {
				kinds["starred"] = append(kinds["starred"], c.ID.String())
			}
			if slices.Contains(c.Removed, "STARRED") {
				kinds["starred"] = append(kinds["starred"], "no more")
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(kinds[mailindex.Added], kinds[mailindex.Deleted], kinds["starred"]); got !=
		fmt.Sprint([]string{parse(t, arrived[0]).String()}, []string{ids[1].String()}, []string{ids[0].String(), "no more"}) {
		t.Errorf("told %v", kinds)
	}
}
