package cleanup_test

import (
	"fmt"
	"net/http"
	"path"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

// busy is a mailbox of so many senders who sent so many messages each.
func busy(t *testing.T, senders, each int) *customer {
	t.Helper()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 10, Seed: 291})
	var mail []google.Incoming
	for i := range senders * each {
		from := fmt.Sprintf("sender%d@shop.example", i%senders)
		noEdge := time.Now().AddDate(0, 0, -20-i%300).Add(-time.Hour) // what lies on one is read anyway
		mail = append(mail, google.Incoming{From: from, Labels: []string{"INBOX"}, Date: noEdge})
	}
	_, err := c.google.Deliver(c.email, mail...)
	require.NoError(t, err)
	return c
}

// The message by which a sender is met tries what its search finds, too. Of a hundred messages and more another is read.
func TestLargeSetsOfASearchAreTriedMoreThanSmallOnes(t *testing.T) {
	t.Parallel()
	for _, of := range []struct{ senders, each, least, most int }{{40, 60, 1, 80}, {15, 140, 2, 80}} {
		c := busy(t, of.senders, of.each)
		c.budget(4_000) // too few to read all
		a := c.analyzed(t)
		require.Equal(t, 100.0, a.AttributedPercent)
		reads := 0
		for _, s := range c.allSenders(t) {
			reads += s.Verified
			if strings.HasPrefix(s.Address, "sender") {
				require.Equal(t, of.each, s.Messages)
				require.GreaterOrEqual(t, s.Verified, of.least)
			}
		}
		require.LessOrEqual(t, reads, of.most, "%d senders of %d messages", of.senders, of.each)
	}
}

// searching notes what is read of a sender while a search for that sender is on its way.
type searching struct {
	next http.RoundTripper
	from map[string]string // message id: sender
	mu   sync.Mutex
	now  map[string]int // searches on their way, by their text
	read []string
}

// RoundTrip implements http.RoundTripper.
func (s *searching) RoundTrip(r *http.Request) (*http.Response, error) {
	q := r.URL.Query().Get("q")
	s.note(func() {
		if from, is := s.from[path.Base(r.URL.Path)]; is && s.now[`from:"`+from+`"`] > 0 {
			s.read = append(s.read, from)
		}
		s.now[q]++
	})
	defer s.note(func() { s.now[q]-- })
	return s.next.RoundTrip(r)
}

func (s *searching) note(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// What a search is about to find costs a quarter of a read, and is not read.
func TestNothingIsReadOfASenderWhileItIsSearchedFor(t *testing.T) {
	t.Parallel()
	c := busy(t, 4, 90)
	s := &searching{next: c.wire.next, from: map[string]string{}, now: map[string]int{}}
	for _, m := range c.messages(t) {
		s.from[m.ID] = m.From
	}
	c.wire.next = s
	c.google.Inject(google.Fault{Method: "messages.list", Query: "from:", Delay: 100 * time.Millisecond}) // long enough for what comes too early
	c.budget(2_000)                                                                                       // too few to read all
	a := c.analyzed(t)
	require.Equal(t, 100.0, a.AttributedPercent)
	require.Contains(t, s.now, `from:"sender1@shop.example"`)
	require.Empty(t, s.read)
}

func TestAnAnalysisNeverPassesItsBudget(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 2_000, Seed: 292})
	for i := range 6 {
		units := 700 + 155*i
		c.budget(units)
		c.exec(t, "DELETE FROM mailbox_indexes WHERE customer_id = $1", c.Customer.String())
		a := c.analyzed(t)
		require.LessOrEqual(t, a.UnitsSpent, int64(units))
		require.Greater(t, a.UnitsSpent, int64(units-100), "the budget is there to be used")
	}
}

// What the customer sent is the customer's by a search of its own, also where another address sends as the customer.
func TestMailUnderAnotherAddressOfTheCustomersIsNotTakenForItsOwn(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 100, Seed: 293})
	var sent []google.Incoming
	for i := range 200 {
		from := c.email
		if i%100 == 0 {
			from = "alias@home.example"
		}
		sent = append(sent, google.Incoming{From: from, Labels: []string{sweep.LabelSent}, Date: time.Now().AddDate(0, 0, -30-i)})
	}
	_, err := c.google.Deliver(c.email, sent...)
	require.NoError(t, err)
	c.budget(1_200)
	c.analyzed(t)
	facts, err := c.google.Facts(c.email)
	require.NoError(t, err)
	for _, s := range c.allSenders(t) {
		require.LessOrEqual(t, s.Messages, facts.Senders[s.Address].Messages, s.Address)
	}
}
