package box

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

// total counts the matches of a query.
func (b *Box) total(t testing.TB, s Search) int {
	t.Helper()
	p, err := b.List(s, Place{After: Top}, 1)
	if err != nil {
		t.Fatal(err)
	}
	return p.Total
}

func TestIDCarriesTheTimeButForImportedMail(t *testing.T) {
	t.Parallel()
	imported := 0
	for _, m := range newTestBox(t, 3000).Messages() {
		id, err := ParseID(m.ID)
		if err != nil {
			t.Fatal(err)
		}
		if int64(id>>20) != m.Date.UnixMilli() {
			imported++
		}
	}
	if imported < 30 || imported > 150 {
		t.Errorf("%d of 3000 have another date than their id", imported)
	}
}

func TestSpamAndTrashShowOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	b := newTestBox(t, 2000)
	truth := b.Truth()
	hidden := truth.Labels["TRASH"] + truth.Labels["SPAM"]
	if hidden == 0 {
		t.Fatal("no spam or trash")
	}
	for _, c := range []struct {
		s    Search
		want int
	}{
		{Search{}, 2000 - hidden}, {Search{SpamTrash: true}, 2000}, {Search{Query: "in:anywhere"}, 2000}, {Search{Query: "in:trash"}, truth.Labels["TRASH"]},
		{Search{Labels: []string{"SPAM"}}, truth.Labels["SPAM"]}, {Search{Query: "-in:trash"}, 2000 - hidden},
		{Search{Query: "{in:spam in:trash}"}, hidden}, {Search{Labels: []string{"INBOX", "TRASH"}}, 0},
	} {
		if got := b.total(t, c.s); got != c.want {
			t.Errorf("%+v: %d, want %d", c.s, got, c.want)
		}
	}
	if _, err := b.List(Search{Labels: []string{"NOPE"}}, Place{After: Top}, 1); err == nil {
		t.Error("an unknown label is refused")
	}
}

func TestDatesAreMidnightInPacificTime(t *testing.T) {
	t.Parallel()
	b := New("me@example.org", Options{Now: func() time.Time { return testNow }})
	midnight := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	for _, d := range []time.Duration{-time.Millisecond, 0, 999 * time.Millisecond, 24*time.Hour - time.Millisecond} {
		if _, err := b.Deliver(Incoming{From: "a@b.example", Date: midnight.Add(d)}); err != nil {
			t.Fatal(err)
		}
	}
	sec := midnight.Unix()
	for q, want := range map[string]int{"after:2026/3/1": 3, "before:2026/03/01": 1, "after:2026-03-01 before:2026-03-02": 3, "older:3/2/2026": 4,
		fmt.Sprint("after:", sec): 3, fmt.Sprint("before:", sec): 1, fmt.Sprint("before:", sec+1): 3, "newer:2026": 4, "after:soon": 0, "older_than:8m": 4, "newer_than:1y": 4, "newer_than:1d": 0} {
		if got := b.total(t, Search{Query: q}); got != want {
			t.Errorf("%s: %d, want %d", q, got, want)
		}
	}
}

func TestSendersMatchByWholeTokens(t *testing.T) {
	t.Parallel()
	b := New("me@example.org", Options{})
	for _, from := range []string{"Amazon <ship@amazon.com>", "x@amazon.com.au", "=?utf-8?Q?Zo=C3=AB?= <zoe@x.example>", "\"Doe, John\" <j@amazonas.example>"} {
		if _, err := b.Deliver(Incoming{From: from}); err != nil {
			t.Fatal(err)
		}
	}
	for q, want := range map[string]int{"from:amazon.com": 2, "from:amazon": 2, "from:amaz": 0, "from:ship@amazon.com": 1, "from:zoë": 1, `from:"Doe, John"`: 1, `from:"john doe"`: 0, "from:(john doe)": 1, "zoe": 1} {
		if got := b.total(t, Search{Query: q}); got != want {
			t.Errorf("%s: %d, want %d", q, got, want)
		}
	}
}

func TestSwitchesChangeWhatIsUnknown(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{false, true} {
		b := New("me@example.org", Options{TrashDropsInbox: on, DecimalSizes: on})
		id, err := b.Deliver(Incoming{From: "a@b.example", Size: 1010})
		if err != nil {
			t.Fatal(err)
		}
		if got := b.total(t, Search{Query: "larger:1K"}); (got == 1) != on {
			t.Errorf("decimal %v: %d", on, got)
		}
		if _, err := b.Modify([]string{id}, []string{"TRASH"}, nil, true); err != nil {
			t.Fatal(err)
		}
		if m, _, _ := b.Message(id); slices.Contains(m.Labels, "INBOX") == on {
			t.Errorf("switch %v: %v", on, m.Labels)
		}
	}
	b := New("me@example.org", Options{Now: func() time.Time { return testNow }})
	if err := b.Fill(Generate{Messages: 300, NoCategories: true}); err != nil {
		t.Fatal(err)
	}
	for l := range b.Truth().Labels {
		if strings.HasPrefix(l, "CATEGORY_") {
			t.Error(l)
		}
	}
}

func TestSameSeedGivesTheSameMailbox(t *testing.T) {
	t.Parallel()
	x, y := newTestBox(t, 500).Truth(), newTestBox(t, 500).Truth()
	if x.Digest != y.Digest {
		t.Error("digests differ")
	}
	other := New("me@example.org", Options{Now: func() time.Time { return testNow }})
	if err := other.Fill(Generate{Messages: 500, Seed: 2}); err != nil || other.Truth().Digest == x.Digest {
		t.Error("another seed gives another mailbox", err)
	}
}

func TestBulkMailBearsUnsubscribeHeaders(t *testing.T) {
	t.Parallel()
	b := newTestBox(t, 3000)
	count := map[string]int{}
	for _, m := range b.Messages() {
		_, headers, err := b.Message(m.ID)
		if err != nil {
			t.Fatal(err)
		}
		count["all"]++
		if m.From == "" {
			count["senderless"]++
		}
		for _, h := range headers {
			count[h.Name]++
			if h.Name == "From" && ParseSender(h.Value).Addr != m.From {
				t.Errorf("%q is not %q", h.Value, m.From)
			}
		}
	}
	t.Log(count)
	if count["List-Unsubscribe"] < 700 || count["List-Unsubscribe-Post"] < 300 || count["List-Id"] < 300 || count["senderless"] == 0 || count["From"]+count["senderless"] != 3000 {
		t.Error(count)
	}
}

func TestHistoryForgetsItsOldestRecords(t *testing.T) {
	t.Parallel()
	b := New("me@example.org", Options{HistoryLimit: 100})
	start := b.HistoryID()
	id, err := b.Deliver(Incoming{From: "a@b.example"})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 150 {
		add, remove := []string{"STARRED"}, []string(nil)
		if i%2 == 1 {
			add, remove = remove, add
		}
		if _, err := b.Modify([]string{id}, add, remove, true); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := b.History(HistoryQuery{Start: start, Limit: 10}); ok {
		t.Error("too old an id is known")
	}
	if page, ok := b.History(HistoryQuery{Start: b.HistoryID() - 1, Limit: 10}); !ok || len(page.Records) != 1 {
		t.Error(page, ok)
	}
	if page, ok := b.History(HistoryQuery{Start: b.log.floor, Limit: 500, Label: "STARRED", Kinds: map[string]bool{"labelAdded": true}}); !ok || len(page.Records) < 30 || len(page.Records[0].LabelsRemoved) != 0 {
		t.Error(len(page.Records), ok)
	}
	if page, _ := b.History(HistoryQuery{Start: b.log.floor, Limit: 500, Label: "TRASH"}); len(page.Records) != 0 {
		t.Error("records of messages without the label are told")
	}
}
