package mailindex

import (
	"slices"
	"testing"

	"mailsweep/internal/sweep"
)

func TestAListIsNamedByWhatStandsInBrackets(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		"": "", "<a.list.example>": "a.list.example", `"News <of> all" <A.List.Example>`: "a.list.example", "bare.list.example ": "bare.list.example", "<not.closed": "not.closed",
		"Two <lines.\r\n list.example>": "lines.list.example",
	} {
		if got := ParseListID(raw); got != want {
			t.Errorf("%q is %q, not %q", raw, got, want)
		}
	}
}

// A sender of several lists is let off each in its own way, in the stored form too and when an index is made anew.
func TestASendersListsKeepTheirOwnWays(t *testing.T) {
	t.Parallel()
	b := threeLetters()
	ix := b.known()
	for _, h := range []Header{
		{ListID: "a.list.example", Unsubscribe: sweep.Link}, {ListID: "b.list.example", Unsubscribe: sweep.Mailto}, {ListID: "a.list.example", Unsubscribe: sweep.OneClick},
		{ListID: "b.list.example", Unsubscribe: sweep.NoWay}, {},
	} {
		h.Address = "news@b.example"
		ix.Learn(b.letters[0].id, h)
	}
	ix.Learn(b.letters[1].id, Header{Address: "other@b.example", ListID: "a.list.example", Unsubscribe: sweep.NoWay})
	stored, _ := restored(t, ix)
	anew := b.known()
	anew.Inherit(stored)
	lists := []sweep.MailingList{{ID: "a.list.example", Unsubscribe: sweep.OneClick}, {ID: "b.list.example", Unsubscribe: sweep.Mailto}}
	groups := []sweep.MailingListGroup{{ID: "a.list.example", Senders: 2, SenderMessages: 2, Unsubscribe: sweep.OneClick}, {ID: "b.list.example", Senders: 1, SenderMessages: 1, Unsubscribe: sweep.Mailto}}
	for _, ix := range []*Index{ix, stored, anew} {
		a := ix.Analysis(SelectOptions{Now: modelNow})
		i := slices.IndexFunc(a.Senders, func(s sweep.Sender) bool { return s.Address == "news@b.example" })
		if i < 0 || !slices.Equal(a.Senders[i].Lists, lists) {
			t.Errorf("%+v", a.Senders)
		}
		if !slices.Equal(a.Lists, groups) {
			t.Errorf("%+v", a.Lists)
		}
	}
	if old := unpackLists("<A.List.Example>", sweep.Link); !slices.Equal(old, []sweep.MailingList{{ID: "a.list.example", Unsubscribe: sweep.Link}}) {
		t.Errorf("what was stored before: %+v", old)
	}
}
