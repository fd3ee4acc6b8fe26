package gmail_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"mailsweep/internal/gmail"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

// middle is a message that fits, with about as many older as newer ones.
func middle(t *testing.T, all map[sweep.MessageID]google.Message, fits func(google.Message) bool) google.Message {
	t.Helper()
	ids := slices.Sorted(maps.Keys(all))
	for _, id := range ids[len(ids)/2:] {
		if fits(all[id]) {
			return all[id]
		}
	}
	t.Fatal("no message fits")
	return google.Message{}
}

func TestEachLeafFindsWhatItMeans(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1_200)
	all := w.messages(t)
	pick := middle(t, all, func(m google.Message) bool { return strings.Count(m.Subject, " ") > 1 && m.From != "" })
	cut, size := pick.Date.Truncate(time.Second), int64(pick.Size)
	domain := pick.From[strings.LastIndexByte(pick.From, '@')+1:]
	for _, c := range []struct {
		leaf sweep.Criteria
		want func(google.Message) bool
		more bool // may find more than it means
	}{
		{sweep.Criteria{Op: sweep.ByCategory, Text: "promotions"}, func(m google.Message) bool { return has(m, "CATEGORY_PROMOTIONS") }, false},
		{sweep.Criteria{Op: sweep.ByFrom, Text: pick.From}, func(m google.Message) bool { return m.From == pick.From }, true},
		{sweep.Criteria{Op: sweep.ByFrom, Text: "@" + domain}, func(m google.Message) bool { return strings.HasSuffix(m.From, "@"+domain) }, true},
		{sweep.Criteria{Op: sweep.BySubject, Text: pick.Subject}, func(m google.Message) bool { return m.Subject == pick.Subject }, true},
		{sweep.Criteria{Op: sweep.ByUnread, Flag: true}, func(m google.Message) bool { return has(m, "UNREAD") }, false},
		{sweep.Criteria{Op: sweep.ByUnread}, func(m google.Message) bool { return !has(m, "UNREAD") }, false},
		{sweep.Criteria{Op: sweep.HasAttachment, Flag: true}, func(m google.Message) bool { return m.Attachment }, false},
		{sweep.Criteria{Op: sweep.HasAttachment}, func(m google.Message) bool { return !m.Attachment }, false},
		{sweep.Criteria{Op: sweep.In, Text: "inbox"}, func(m google.Message) bool { return has(m, "INBOX") }, false},
		{sweep.Criteria{Op: sweep.In, Text: "archive"}, func(m google.Message) bool { return !has(m, "INBOX") && !has(m, "SENT") && !has(m, "DRAFT") }, false},
		{sweep.Criteria{Op: sweep.In, Text: "anywhere"}, func(google.Message) bool { return true }, false},
		{sweep.Criteria{Op: sweep.LargerThan, Number: size - 2}, func(m google.Message) bool { return int64(m.Size) > size-1 }, true},
		{sweep.Criteria{Op: sweep.SmallerThan, Number: size + 2}, func(m google.Message) bool { return int64(m.Size) < size+1 }, true},
		{sweep.Criteria{Op: sweep.After, Time: cut}, func(m google.Message) bool { return m.Date.After(cut) }, true},
		{sweep.Criteria{Op: sweep.Before, Time: cut.Add(time.Second)}, func(m google.Message) bool { return m.Date.Before(cut) }, true},
		{sweep.Criteria{Op: sweep.ByQuery, Text: "is:unread OR has:attachment"}, func(m google.Message) bool { return has(m, "UNREAD") || m.Attachment }, false},
	} {
		s, ok := gmail.SearchOf(c.leaf)
		if !ok {
			t.Errorf("%v cannot be asked", c.leaf)
			continue
		}
		found, want := w.list(t, s), 0
		for id, m := range all {
			if !c.want(m) {
				if found[id] && !c.more {
					t.Errorf("%+v found %s, which it does not mean", s, m.ID)
				}
				continue
			}
			want++
			if !found[id] {
				t.Errorf("%+v missed %s (%d bytes, %v)", s, m.ID, m.Size, m.Date)
			}
		}
		if want == 0 || len(found) < want {
			t.Errorf("%+v found %d of %d", s, len(found), want)
		}
	}
	if got := len(w.list(t, gmail.During(time.Time{}, cut))) + len(w.list(t, gmail.During(cut, time.Time{}))); got < len(all) || got > len(all)+10 {
		t.Errorf("two neighbouring ranges hold %d of %d", got, len(all))
	}
}

func TestBoundsNeverFindMoreThanTheyMean(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 600)
	all := w.messages(t)
	pick := middle(t, all, func(google.Message) bool { return true })
	for _, d := range []int64{-1, 0, 1} {
		at, size := pick.Date.Truncate(time.Second).Add(time.Duration(d)*time.Second), int64(pick.Size)+d
		for _, c := range []struct {
			leaf sweep.Criteria
			want func(google.Message) bool
		}{
			{sweep.Criteria{Op: sweep.LargerThan, Number: size}, func(m google.Message) bool { return int64(m.Size) > size }},
			{sweep.Criteria{Op: sweep.SmallerThan, Number: size}, func(m google.Message) bool { return int64(m.Size) < size }},
			{sweep.Criteria{Op: sweep.After, Time: at}, func(m google.Message) bool { return !m.Date.Before(at) }},
			{sweep.Criteria{Op: sweep.Before, Time: at}, func(m google.Message) bool { return m.Date.Before(at) }},
		} {
			s, _ := gmail.SearchOf(c.leaf)
			found := w.list(t, s)
			for id := range found {
				if !c.want(all[id]) {
					t.Fatalf("%+v found %d bytes, %v", s, all[id].Size, all[id].Date)
				}
			}
			if len(found) == 0 {
				t.Errorf("%+v found none of 600", s)
			}
		}
	}
}
