package google_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/api/gmail/v1"
	"pgregory.net/rapid"

	"mailsweep/internal/sim/google"
)

// leaf is a query with an independent reading of it.
type leaf struct {
	text  string
	holds func(google.Message) bool
}

func has(label string) func(google.Message) bool {
	return func(m google.Message) bool { return slices.Contains(m.Labels, label) }
}

func not(f func(google.Message) bool) func(google.Message) bool {
	return func(m google.Message) bool { return !f(m) }
}

func hasUserLabel(m google.Message) bool {
	return slices.ContainsFunc(m.Labels, func(l string) bool { return strings.HasPrefix(l, "Label_") })
}

// leaves makes conditions from a mailbox's own content.
func leaves(all []google.Message) []leaf {
	out := []leaf{
		{"category:promotions", has("CATEGORY_PROMOTIONS")}, {"category:primary", has("CATEGORY_PERSONAL")}, {"in:inbox", has("INBOX")},
		{"is:unread", has("UNREAD")}, {"is:read", not(has("UNREAD"))}, {"is:starred", has("STARRED")}, {"label:receipts", has("Label_1")},
		{"label:work-projects", has("Label_4")}, {"label:Label_2", has("Label_2")}, {"has:userlabels", hasUserLabel}, {"has:nouserlabels", not(hasUserLabel)},
		{"has:attachment", func(m google.Message) bool { return m.Attachment }},
		{"larger:50K", func(m google.Message) bool { return m.Size > 50<<10 }}, {"smaller:20000", func(m google.Message) bool { return m.Size < 20000 }},
		{"older_than:1y", func(m google.Message) bool { return m.Date.Before(at.AddDate(-1, 0, 0)) }},
		{"newer_than:90d", func(m google.Message) bool { return !m.Date.Before(at.AddDate(0, 0, -90)) }},
		{"in:archive", func(m google.Message) bool {
			return !slices.ContainsFunc([]string{"INBOX", "SENT", "DRAFT", "SPAM", "TRASH"}, func(l string) bool { return slices.Contains(m.Labels, l) })
		}},
	}
	for i := 0; i < len(all); i += 1 + len(all)/7 {
		pick := all[i]
		sec := pick.Date.Unix()
		out = append(out,
			leaf{fmt.Sprintf("after:%d", sec), func(m google.Message) bool { return m.Date.Unix() >= sec }},
			leaf{fmt.Sprintf("before:%d", sec), func(m google.Message) bool { return m.Date.Unix() < sec }})
		if pick.From != "" {
			out = append(out, leaf{fmt.Sprintf("from:%q", pick.From), func(m google.Message) bool { return strings.Contains("."+m.From+".", "."+pick.From+".") }})
		}
	}
	return out
}

// combine draws a query and its meaning.
func combine(t *rapid.T, from []leaf) leaf {
	n := rapid.IntRange(1, 3).Draw(t, "leaves")
	out := rapid.SampledFrom(from).Draw(t, "leaf")
	for range n - 1 {
		x, y := out, rapid.SampledFrom(from).Draw(t, "leaf")
		switch rapid.IntRange(0, 3).Draw(t, "join") {
		case 0:
			out = leaf{"(" + x.text + " " + y.text + ")", func(m google.Message) bool { return x.holds(m) && y.holds(m) }}
		case 1:
			out = leaf{"{" + x.text + " " + y.text + "}", func(m google.Message) bool { return x.holds(m) || y.holds(m) }}
		case 2:
			out = leaf{"(" + x.text + " OR -" + y.text + ")", func(m google.Message) bool { return x.holds(m) || !y.holds(m) }}
		default:
			out = leaf{"(" + y.text + " AND -" + x.text + ")", func(m google.Message) bool { return y.holds(m) && !x.holds(m) }}
		}
	}
	return out
}

// step does one random operation, by the API or by another client.
func (r *rig) step(t *rapid.T, ids []string) {
	some := rapid.SliceOfN(rapid.SampledFrom(append([]string{"123abc"}, ids...)), 1, 40).Draw(t, "ids")
	labels := []string{"INBOX", "TRASH", "SPAM", "UNREAD", "STARRED", "CATEGORY_PROMOTIONS", "Label_1", "Label_2"}
	shuffled := rapid.Permutation(labels).Draw(t, "labels")
	add, remove := shuffled[:rapid.IntRange(0, 2).Draw(t, "add")], shuffled[2:2+rapid.IntRange(1, 2).Draw(t, "remove")]
	var err error
	switch rapid.IntRange(0, 4).Draw(t, "operation") {
	case 0:
		_, err = r.sim.Deliver(me, google.Incoming{From: "New <new@shop.example>", Subject: "Hello", Date: at.Add(-1e9)})
	case 1:
		err = r.sim.Delete(me, some[:1])
	case 2:
		err = r.sim.Relabel(me, some, add, remove)
	default:
		err = r.svc.Users.Messages.BatchModify("me", &gmail.BatchModifyMessagesRequest{Ids: some, AddLabelIds: add, RemoveLabelIds: remove}).Do()
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestListingEqualsNaiveFilterAfterAnyOperations(t *testing.T) {
	t.Parallel()
	seed := uint64(0)
	rapid.Check(t, func(rt *rapid.T) {
		seed++
		r := rigAt(t, seed)
		all, _ := r.sim.Messages(me)
		for range rapid.IntRange(0, 6).Draw(rt, "operations") {
			r.step(rt, idsOf(all))
		}
		now, _ := r.sim.Messages(me)
		for range 8 {
			q := combine(rt, leaves(now))
			var want []string
			for _, m := range now {
				if q.holds(m) {
					want = append(want, m.ID)
				}
			}
			if got := r.all(t, q.text, true); !slices.Equal(got, want) {
				rt.Fatalf("%s: %d listed, %d by the filter", q.text, len(got), len(want))
			}
		}
	})
}

// rigAt is a small mailbox whose clock stands still. Its rig lives until the end of the test.
func rigAt(t *testing.T, seed uint64) *rig {
	t.Helper()
	return newRig(t, google.Config{Seed: seed, Now: func() time.Time { return at }}, 150)
}

func idsOf(all []google.Message) []string {
	var ids []string
	for _, m := range all {
		ids = append(ids, m.ID)
	}
	return ids
}

func TestHistoryReplayGivesTheLabels(t *testing.T) {
	t.Parallel()
	seed := uint64(100)
	rapid.Check(t, func(rt *rapid.T) {
		seed++
		r := rigAt(t, seed)
		before, _ := r.sim.Messages(me)
		for range rapid.IntRange(0, 4).Draw(rt, "early") {
			r.step(rt, idsOf(before))
		}
		profile, err := r.svc.Users.GetProfile("me").Do()
		if err != nil {
			rt.Fatal(err)
		}
		state := labelsOf(r, t)
		for range rapid.IntRange(1, 6).Draw(rt, "late") {
			r.step(rt, idsOf(before))
		}
		last := r.replay(rt, profile.HistoryId, state)
		if want := labelsOf(r, t); fmt.Sprint(state) != fmt.Sprint(want) {
			rt.Fatalf("replayed labels differ")
		}
		if last < profile.HistoryId {
			rt.Fatalf("history id went back: %d", last)
		}
	})
}

func labelsOf(r *rig, t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	all, err := r.sim.Messages(me)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		out[m.ID] = m.Labels
	}
	return out
}

// replay applies the history from a point to a state, through small pages.
func (r *rig) replay(t *rapid.T, from uint64, state map[string][]string) (last uint64) {
	err := r.svc.Users.History.List("me").StartHistoryId(from).MaxResults(7).Pages(r.ctx, func(p *gmail.ListHistoryResponse) error {
		last = p.HistoryId
		for _, h := range p.History {
			for _, a := range h.MessagesAdded {
				state[a.Message.Id] = a.Message.LabelIds
			}
			for _, d := range h.MessagesDeleted {
				delete(state, d.Message.Id)
			}
			for _, a := range h.LabelsAdded {
				state[a.Message.Id] = append(slices.Clone(state[a.Message.Id]), a.LabelIds...)
				slices.Sort(state[a.Message.Id])
			}
			for _, d := range h.LabelsRemoved {
				state[d.Message.Id] = slices.DeleteFunc(slices.Clone(state[d.Message.Id]), func(l string) bool { return slices.Contains(d.LabelIds, l) })
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return last
}
