package mailindex

import (
	"testing"

	"pgregory.net/rapid"

	"mailsweep/internal/sweep"
)

// What speaks against cleaning a sender's mail is what protections keep back of a plan of all its mail, and a sender on the keep list has
// nothing to clean.
func TestASendersGradeAgreesWithItsPlan(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b, ix := full(t)
		keep := rapid.SampledFrom([][]string{nil, {"@shop.example"}, {"a@b.example", "@example.net"}}).Draw(t, "keep list")
		o := SelectOptions{Now: modelNow, KeepList: keep}
		for _, s := range ix.AllSenders(o) {
			if s.Address == "" {
				continue
			}
			want := sweep.Signs{}
			from := sweep.Criteria{Op: sweep.ByFrom, Text: s.Address}
			plan := ix.Select(sweep.CleanupSpec{Action: sweep.Trash, Criteria: from, Protect: sweep.ProtectAll()}, o)
			for _, l := range b.letters {
				if l.from != s.Address || l.labels[sweep.LabelSpam] || l.labels[sweep.LabelTrash] {
					continue
				}
				want.Messages++
				count(&want.Unread, l.labels[sweep.LabelUnread])
				count(&want.Replied, b.threadHas(l.thread, sweep.LabelSent))
				count(&want.Starred, b.threadHas(l.thread, sweep.LabelStarred))
				count(&want.UserLabelled, l.labels["Label_1"])
				count(&want.Important, l.labels[sweep.LabelImportant])
				count(&want.BulkTab, l.inTab(sweep.Promotions) || l.inTab(sweep.Social) || l.inTab(sweep.Forums))
				protected := b.threadHas(l.thread, sweep.LabelSent) || b.threadHas(l.thread, sweep.LabelStarred) || l.labels["Label_1"] || l.labels[sweep.LabelImportant]
				count(&want.Protected, protected)
				row, _ := ix.Row(l.id)
				if protected && plan.ToClean.Contains(row) {
					t.Fatalf("%s speaks against %s, and its plan holds it", l.id, s.Address)
				}
			}
			for _, entry := range keep {
				want.OnKeepList = want.OnKeepList || senderMatches(entry, s.Address)
			}
			if want.OnKeepList && !plan.ToClean.IsEmpty() {
				t.Fatalf("%s is kept, and a plan holds %s", s.Address, ix.show(plan.ToClean))
			}
			if got := s.Safety; !same(got, want.Safety()) {
				t.Fatalf("%s: %+v, not %+v of %+v", s.Address, got, want.Safety(), want)
			}
		}
	})
}

func count(n *int, yes bool) {
	if yes {
		*n++
	}
}

func same(a, b sweep.Safety) bool {
	if a.Grade != b.Grade || len(a.Reasons) != len(b.Reasons) {
		return false
	}
	for i := range a.Reasons {
		if a.Reasons[i] != b.Reasons[i] {
			return false
		}
	}
	return true
}

// A page of one grade holds every sender of it and no other, and each sender has a grade.
func TestSendersOfAGradeAreFound(t *testing.T) {
	t.Parallel()
	ix := bigIndex(5_000, 200)
	o := SelectOptions{Now: modelNow, KeepList: []string{"sender7@" + DomainOf(ix.people[1].address)}}
	want, found := map[sweep.Grade]int{}, 0
	for _, s := range ix.AllSenders(o) {
		want[s.Safety.Grade]++
	}
	for _, grade := range []sweep.Grade{sweep.GradeSafe, sweep.GradeCareful, sweep.GradeKeep} {
		page, _, err := ix.Senders(SenderQuery{Safety: grade, Limit: maxPage}, o)
		if err != nil || len(page) != want[grade] {
			t.Errorf("%s: %d, not %d; %v", grade, len(page), want[grade], err)
		}
		for _, s := range page {
			if s.Safety.Grade != grade {
				t.Errorf("%s is %s, not %s", s.Address, s.Safety.Grade, grade)
			}
		}
		found += len(page)
	}
	if found == 0 || found != len(ix.AllSenders(o)) {
		t.Errorf("%d senders have a grade", found)
	}
}
