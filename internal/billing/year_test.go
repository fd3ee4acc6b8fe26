package billing_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/billing"
	"mailsweep/internal/mail"
	"mailsweep/internal/rollover"
	"mailsweep/internal/sim/stripe"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

var update = flag.Bool("update", false, "write what the scripted year looks like")

// year is one customer's, on clocks that only the script moves.
type year struct {
	*rig
	t      *testing.T
	a      sweep.Actor
	b      strings.Builder
	mails  []string
	paid   int // invoices that were told already
	offset func() time.Duration
}

// trust: BIL-6, BIL-7, BIL-8: a year of one customer: trial, mails, checkout, two upgrades, a failed card, grace, recovery, downgrade, cancel. What the API says and
// what each invoice comes to stands in a file.
func TestAYearOfOneCustomer(t *testing.T) {
	t.Parallel()
	start := time.Date(2027, 1, 10, 12, 0, 0, 0, time.UTC)
	y := &year{rig: newRig(t, stripe.Config{SecretKey: stripeKey, Now: func() time.Time { return start }}), t: t}
	y.offset = func() time.Duration { return time.Until(y.sim.Now()) }
	y.wind()
	y.a = y.customer(t)
	y.exec(t, "UPDATE customers SET trial_ends_at = $1", start.Add(sweep.TrialLength))
	y.say("signs up")
	y.pass(11*24*time.Hour, "three days before the trial's end")
	y.buy(t, y.a, sweep.Basic, sweep.Month, "ok")
	y.say("buys basic, by the month")
	y.pass(4*24*time.Hour, "the trial is over")
	y.pass(10*24*time.Hour, "ten days later")
	y.change(sweep.Pro, sweep.Month)
	y.pass(31*24*time.Hour, "the next month begins")
	y.change(sweep.Enterprise, sweep.Month)
	y.portal("card", "declined")
	y.pass(14*24*time.Hour, "the card is declined at the renewal")
	y.pass(4*24*time.Hour, "still in grace")
	y.pass(3*24*time.Hour, "grace is over")
	y.portal("card", "ok")
	y.portal("pay", "")
	y.settle(t, y.a, func(s sweep.Subscription) bool { return s.PastDueAt.IsZero() })
	y.say("pays what is open, with another card")
	y.change(sweep.Basic, sweep.Month)
	y.pass(26*24*time.Hour, "the smaller plan begins")
	y.change(sweep.Basic, sweep.Year)
	_, err := y.Cancel(t.Context(), y.a)
	require.NoError(t, err)
	y.say("cancels")
	_, err = y.Resume(t.Context(), y.a)
	require.NoError(t, err)
	y.say("takes it back")
	_, err = y.Cancel(t.Context(), y.a)
	require.NoError(t, err)
	y.pass(200*24*time.Hour, "half a year later")
	y.pass(170*24*time.Hour, "what was paid for is used up")

	path := filepath.Join("testdata", "year.txt")
	if *update {
		require.NoError(t, os.WriteFile(path, []byte(y.b.String()), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), y.b.String())
}

// wind sets our clocks to Stripe's.
func (y *year) wind() {
	for s, role := range map[*billing.Service]string{y.Service: "mailsweep_app", y.due: "mailsweep_scheduler"} {
		s.DB, s.Post = y.open(y.t, role, y.offset()), y.post
	}
	_, err := y.due.DB.EnsurePartitions(y.t.Context(), y.sim.Now(), 2)
	require.NoError(y.t, err)
}

// pass lets time go by, deals with what was told meanwhile, and does the duty of trials.
func (y *year) pass(d time.Duration, what string) {
	y.t.Helper()
	y.sim.Advance(d)
	y.wind()
	duties := &rollover.Service{DB: y.due.DB, Plans: y.Plans, Log: y.Log, Post: y.post}
	require.NoError(y.t, duties.Plan(y.t.Context()))
	y.exec(y.t, "UPDATE duties SET next_due = 'epoch' WHERE name = 'trials'")
	require.NoError(y.t, duties.Do(y.t.Context(), "trials"))
	y.told()
	y.say(what)
}

// post keeps what is mailed.
func (y *year) post(_ *store.Tx, kind mail.Kind, _ sweep.ID, data mail.Data) error {
	y.mails = append(y.mails, fmt.Sprintf("%s, until %s", kind, data.EndsAt.Format(time.DateOnly)))
	return nil
}

// told waits until each of Stripe's events was heard and dealt with.
func (y *year) told() {
	y.t.Helper()
	testkit.Eventually(y.t, 2*time.Minute, func() bool {
		_, err := y.Deal(y.t.Context())
		require.NoError(y.t, err)
		return y.counted("heard") >= y.sim.Sent() && value[int](y.t, y.rig, "SELECT count(*) FROM stripe_events WHERE state = 'waiting'") == 0
	}, "every event is dealt with")
}

func (y *year) change(tier sweep.Tier, every sweep.Every) {
	y.t.Helper()
	now := y.sim.Now()
	var p billing.Preview
	testkit.Eventually(y.t, 2*time.Minute, func() (same bool) {
		y.Service.DB = y.open(y.t, "mailsweep_app", y.offset()) // the database's clock goes on; the script's does not
		var err error
		p, err = y.Preview(y.t.Context(), y.a, tier, every)
		require.NoError(y.t, err)
		return p.At.Equal(now) || p.Effect != billing.AtOnce
	}, "a preview is of the script's second")
	c, err := y.Change(y.t.Context(), y.a, tier, every, now)
	require.NoError(y.t, err)
	y.told()
	y.say(fmt.Sprintf("changes to %s by the %s: %s", tier, every, c.Effect))
	if p.Effect == billing.AtOnce {
		invoices := y.invoices()
		require.Equal(y.t, p.TotalCents, invoices[len(invoices)-1], "the invoice is what the preview said, to the cent")
		fmt.Fprintf(&y.b, "            as its preview said: %s\n", dollars(p.TotalCents))
	}
}

func (y *year) portal(act, with string) {
	y.t.Helper()
	page, err := y.Open(y.t.Context(), y.a)
	require.NoError(y.t, err)
	require.NoError(y.t, y.sim.Act(session(page), act, with))
}

func (y *year) invoices() []int64 {
	for _, list := range y.sim.Books().Paid {
		return list
	}
	return nil
}

// say writes down how the customer stands.
func (y *year) say(what string) {
	v := y.state(y.t, y.a)
	fmt.Fprintf(&y.b, "%s  %s\n", y.sim.Now().Format(time.DateOnly), what)
	fmt.Fprintf(&y.b, "            plan %s", v.Plan)
	if s := v.Subscription; s != nil {
		fmt.Fprintf(&y.b, "; %s %s by the %s, %s to %s", s.Status, s.Plan, s.Every, s.PeriodStart.Format(time.DateOnly), s.PeriodEnd.Format(time.DateOnly))
		if s.NextPlan != "" {
			fmt.Fprintf(&y.b, ", then %s by the %s", s.NextPlan, s.NextEvery)
		}
	}
	if v.Banner != nil {
		fmt.Fprintf(&y.b, "; banner %s %s", v.Banner.Kind, v.Banner.At.Format(time.DateOnly))
	}
	y.b.WriteString("\n")
	for _, m := range y.mails {
		fmt.Fprintf(&y.b, "            mail %s\n", m)
	}
	y.mails = nil
	invoices := y.invoices()
	for _, cents := range invoices[y.paid:] {
		fmt.Fprintf(&y.b, "            paid %s\n", dollars(cents))
	}
	y.paid = len(invoices)
}

func dollars(cents int64) string {
	sign := ""
	if cents < 0 {
		sign, cents = "-", -cents
	}
	return fmt.Sprintf("%s$%d.%02d", sign, cents/100, cents%100)
}
