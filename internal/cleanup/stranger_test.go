package cleanup_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/mailindex"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

// shared is an analyzed mailbox in which a search for the first address lists some of the second's mail too: so many percent of it.
func shared(t *testing.T, percent int, mine, other string) *customer {
	t.Helper()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 300, Seed: 211})
	for i := range 400 {
		from := mine
		if i*7%100 < percent {
			from = other
		}
		_, err := c.google.Deliver(c.email, google.Incoming{From: from, Labels: []string{"INBOX", "CATEGORY_PROMOTIONS"}, Date: time.Now().AddDate(0, 0, -20-i%300)})
		require.NoError(t, err)
	}
	c.budget(3_000) // too few to read all
	c.analyzed(t)
	return c
}

func TestAPlanByASenderHoldsNoMailOfAnotherThatItsSearchFinds(t *testing.T) {
	t.Parallel()
	for _, of := range []struct {
		mine, other string
		percent     int
	}{
		{"news.1@x.example", "re.news.1@x.example.test", 1},
		{"news.1@x.example", "re.news.1@x.example.test", 10},
		{"news.1@x.example", "re.news.1@x.example.test", 60},
		{"Jo <jo@a.example>", `"jo@a.example via List" <list@d.example>`, 35},
		{"a.b@c.example", "a-b@c.example", 35},
	} {
		t.Run(fmt.Sprintf("%d percent of %s", of.percent, of.other), func(t *testing.T) {
			t.Parallel()
			c := shared(t, of.percent, of.mine, of.other)
			for _, from := range []string{of.mine, of.other} {
				address, _, _ := mailindex.ParseFrom(from)
				r := wanted(t, sweep.Trash, `{"from":"`+address+`"}`)
				p := c.preview(t, r)
				plan, theirs := c.members(t, p.CleanupPlanID), c.naively(t, r.Spec, time.Now())
				require.NotEmpty(t, plan, "%s: %d of theirs, %d undetermined, matched %d", address, len(theirs), p.Undetermined, p.Matched)
				require.Subset(t, theirs, plan, address)
				require.GreaterOrEqual(t, p.Undetermined, len(theirs)-len(plan), address)
			}
		})
	}
}
