package stripe_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	stripego "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/client"
	"github.com/stripe/stripe-go/v76/webhook"

	"mailsweep/internal/sim/stripe"
	"mailsweep/internal/testkit"
)

const key = "sk_test_sim"

// shop is a business at the simulator, spoken to by Stripe's own client.
type shop struct {
	*stripe.Sim
	api    *client.API
	secret string // of its webhook endpoint

	mu   sync.Mutex
	told []stripego.Event
}

func newShop(t *testing.T) *shop {
	t.Helper()
	start := time.Date(2026, 1, 31, 10, 0, 0, 0, time.UTC)
	began := time.Now()
	s := &shop{Sim: stripe.New(stripe.Config{SecretKey: key, Now: func() time.Time { return start.Add(time.Since(began)) }})}
	at := httptest.NewServer(s)
	t.Cleanup(at.Close)
	backend := stripego.GetBackendWithConfig(stripego.APIBackend, &stripego.BackendConfig{URL: stripego.String(at.URL), MaxNetworkRetries: stripego.Int64(0), LeveledLogger: &stripego.LeveledLogger{Level: stripego.LevelNull}})
	s.api = client.New(key, &stripego.Backends{API: backend, Connect: backend, Uploads: backend})
	ear := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		e, err := webhook.ConstructEventWithOptions(body, r.Header.Get("Stripe-Signature"), s.secret, webhook.ConstructEventOptions{Tolerance: 100 * 365 * 24 * time.Hour})
		if err != nil {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		s.told = append(s.told, e)
	}))
	t.Cleanup(ear.Close)
	go s.Deliver(t.Context())
	end, err := s.api.WebhookEndpoints.New(&stripego.WebhookEndpointParams{URL: &ear.URL, EnabledEvents: stripego.StringSlice([]string{"*"}), APIVersion: stripego.String(stripe.Version)})
	require.NoError(t, err)
	s.secret = end.Secret
	return s
}

func (s *shop) price(t *testing.T, name, interval string, cents int64) *stripego.Price {
	t.Helper()
	p, err := s.api.Products.New(&stripego.ProductParams{Name: &name})
	require.NoError(t, err)
	x, err := s.api.Prices.New(&stripego.PriceParams{Product: &p.ID, Currency: stripego.String("usd"), UnitAmount: &cents, LookupKey: stripego.String(name + "_" + interval),
		Recurring: &stripego.PriceRecurringParams{Interval: &interval}})
	require.NoError(t, err)
	return x
}

// buy goes through checkout with a card.
func (s *shop) buy(t *testing.T, p *stripego.Price, card string) (owner string, sub *stripego.Subscription) {
	t.Helper()
	c, err := s.api.Customers.New(&stripego.CustomerParams{Email: stripego.String("ada@example.com")})
	require.NoError(t, err)
	cs, err := s.api.CheckoutSessions.New(&stripego.CheckoutSessionParams{Mode: stripego.String("subscription"), Customer: &c.ID, SuccessURL: stripego.String("https://x.example/ok"),
		LineItems: []*stripego.CheckoutSessionLineItemParams{{Price: &p.ID, Quantity: stripego.Int64(1)}}})
	require.NoError(t, err)
	to, err := s.Pay(cs.ID, card)
	require.NoError(t, err)
	require.Equal(t, "https://x.example/ok", to)
	cs, err = s.api.CheckoutSessions.Get(cs.ID, nil)
	require.NoError(t, err)
	require.Equal(t, stripego.CheckoutSessionStatusComplete, cs.Status)
	return c.ID, s.get(t, cs.Subscription.ID)
}

func (s *shop) get(t *testing.T, id string) *stripego.Subscription {
	t.Helper()
	sub, err := s.api.Subscriptions.Get(id, nil)
	require.NoError(t, err)
	return sub
}

func (s *shop) kinds() (kinds []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range s.told {
		kinds = append(kinds, string(e.Type))
	}
	return kinds
}

func day(n int) time.Duration { return time.Duration(n) * 24 * time.Hour }

func at(unix int64) string { return time.Unix(unix, 0).UTC().Format("2006-01-02") }

func TestASubscriptionRenewsOnItsDayAndEndsWhenNobodyPays(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	_, sub := s.buy(t, s.price(t, "pro", "month", 2900), "later")
	require.Equal(t, []any{stripego.SubscriptionStatusActive, "2026-01-31", "2026-02-28"}, []any{sub.Status, at(sub.CurrentPeriodStart), at(sub.CurrentPeriodEnd)})
	s.Advance(day(29))
	sub = s.get(t, sub.ID)
	require.Equal(t, []any{stripego.SubscriptionStatusPastDue, "2026-02-28", "2026-03-31"}, []any{sub.Status, at(sub.CurrentPeriodStart), at(sub.CurrentPeriodEnd)}, "the day of the anchor, where the month has it")
	s.Advance(day(13))
	require.Equal(t, stripego.SubscriptionStatusPastDue, s.get(t, sub.ID).Status)
	s.Advance(day(3))
	require.Equal(t, stripego.SubscriptionStatusCanceled, s.get(t, sub.ID).Status)
	testkit.Eventually(t, 5*time.Second, func() bool { return len(s.kinds()) == 12 }, "all are told")
	require.Equal(t, []string{"customer.subscription.created", "invoice.paid", "checkout.session.completed", "invoice.created", "invoice.payment_failed", "customer.subscription.updated",
		"invoice.payment_failed", "customer.subscription.updated", "invoice.payment_failed", "customer.subscription.updated", "invoice.payment_failed", "customer.subscription.deleted"}, s.kinds())
}

func TestAnUpgradeIsProratedToTheSecondAndTheCent(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	basic, pro := s.price(t, "basic", "month", 900), s.price(t, "pro", "month", 2900)
	_, sub := s.buy(t, basic, "ok")
	whole := sub.CurrentPeriodEnd - sub.CurrentPeriodStart
	when := sub.CurrentPeriodStart + whole/4
	preview, err := s.api.Invoices.Upcoming(&stripego.InvoiceUpcomingParams{Subscription: &sub.ID, SubscriptionProrationDate: &when, SubscriptionProrationBehavior: stripego.String("always_invoice"),
		SubscriptionItems: []*stripego.SubscriptionItemsParams{{ID: &sub.Items.Data[0].ID, Price: &pro.ID}}})
	require.NoError(t, err)
	require.Equal(t, int64(2900*3/4-900*3/4), preview.Total)
	after, err := s.api.Subscriptions.Update(sub.ID, &stripego.SubscriptionParams{ProrationBehavior: stripego.String("always_invoice"), ProrationDate: &when,
		Items: []*stripego.SubscriptionItemsParams{{ID: &sub.Items.Data[0].ID, Price: &pro.ID}}})
	require.NoError(t, err)
	require.Equal(t, pro.ID, after.Items.Data[0].Price.ID)
	in, err := s.api.Invoices.Get(after.LatestInvoice.ID, nil)
	require.NoError(t, err)
	require.Equal(t, []any{preview.Total, true}, []any{in.Total, in.Paid})
}

func TestADeclinedUpgradeChangesNothing(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	_, sub := s.buy(t, s.price(t, "basic", "month", 900), "later")
	pro := s.price(t, "pro", "month", 2900)
	_, err := s.api.Subscriptions.Update(sub.ID, &stripego.SubscriptionParams{ProrationBehavior: stripego.String("always_invoice"), PaymentBehavior: stripego.String("error_if_incomplete"),
		Items: []*stripego.SubscriptionItemsParams{{ID: &sub.Items.Data[0].ID, Price: &pro.ID}}})
	var e *stripego.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, []any{402, stripego.ErrorCodeCardDeclined}, []any{e.HTTPStatusCode, e.Code})
	now := s.get(t, sub.ID)
	require.Equal(t, []any{sub.Items.Data[0].Price.ID, stripego.SubscriptionStatusActive}, []any{now.Items.Data[0].Price.ID, now.Status})
}

func TestADowngradeWaitsForThePeriodsEnd(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	pro, basic := s.price(t, "pro", "month", 2900), s.price(t, "basic", "month", 900)
	_, sub := s.buy(t, pro, "ok")
	sc, err := s.api.SubscriptionSchedules.New(&stripego.SubscriptionScheduleParams{FromSubscription: &sub.ID})
	require.NoError(t, err)
	_, err = s.api.SubscriptionSchedules.Update(sc.ID, &stripego.SubscriptionScheduleParams{EndBehavior: stripego.String("release"), Phases: []*stripego.SubscriptionSchedulePhaseParams{
		{StartDate: &sub.CurrentPeriodStart, EndDate: &sub.CurrentPeriodEnd, Items: []*stripego.SubscriptionSchedulePhaseItemParams{{Price: &pro.ID, Quantity: stripego.Int64(1)}}},
		{Items: []*stripego.SubscriptionSchedulePhaseItemParams{{Price: &basic.ID, Quantity: stripego.Int64(1)}}}}})
	require.NoError(t, err)
	s.Advance(day(27))
	require.Equal(t, pro.ID, s.get(t, sub.ID).Items.Data[0].Price.ID)
	s.Advance(day(2))
	now := s.get(t, sub.ID)
	require.Equal(t, basic.ID, now.Items.Data[0].Price.ID)
	require.Nil(t, now.Schedule)
	in, err := s.api.Invoices.Get(now.LatestInvoice.ID, nil)
	require.NoError(t, err)
	require.Equal(t, int64(900), in.Total)
}

func TestACancellationAtTheEndCanBeTakenBack(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	_, sub := s.buy(t, s.price(t, "pro", "month", 2900), "ok")
	for _, end := range []bool{true, false, true} {
		now, err := s.api.Subscriptions.Update(sub.ID, &stripego.SubscriptionParams{CancelAtPeriodEnd: &end})
		require.NoError(t, err)
		require.Equal(t, []any{end, end}, []any{now.CancelAtPeriodEnd, now.CancelAt != 0})
	}
	s.Advance(day(29))
	require.Equal(t, stripego.SubscriptionStatusCanceled, s.get(t, sub.ID).Status)
}

func TestAKeyIsAnsweredOnceAndOnlyForItsParameters(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	make := func(email string) (*stripego.Customer, error) {
		p := &stripego.CustomerParams{Email: &email}
		p.SetIdempotencyKey("cust:1")
		return s.api.Customers.New(p)
	}
	a, err := make("ada@example.com")
	require.NoError(t, err)
	s.Strike(stripe.Faults{Lose: true})
	_, err = make("ada@example.com")
	require.Error(t, err)
	s.Strike(stripe.Faults{})
	b, err := make("ada@example.com")
	require.NoError(t, err)
	require.Equal(t, a.ID, b.ID)
	_, err = make("bob@example.com")
	var e *stripego.Error
	require.True(t, errors.As(err, &e) && e.Type == stripego.ErrorTypeIdempotency, "%v", err)
	_, err = s.api.Customers.New(&stripego.CustomerParams{Params: stripego.Params{Extra: &stripego.ExtraValues{Values: map[string][]string{"shoe_size": {"42"}}}}})
	require.True(t, errors.As(err, &e) && e.Code == stripego.ErrorCodeParameterUnknown, "%v", err)
}
