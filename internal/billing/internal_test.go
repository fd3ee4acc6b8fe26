package billing

import (
	"context"
	"errors"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76"

	simulated "mailsweep/internal/sim/stripe"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

// trust: BIL-9: a thousand changes between plans and periods at any second cost what their preview said, to the cent; within a period that is what
// is left of it, by the second, of both prices.
func TestAPreviewIsTheInvoice(t *testing.T) {
	t.Parallel()
	sim := simulated.New(simulated.Config{SecretKey: "sk_test_x"})
	at := httptest.NewServer(sim)
	t.Cleanup(at.Close)
	s := &Service{Stripe: Connect(Options{Key: "sk_test_x", URL: at.URL}), Plans: sweep.DefaultPlans()}
	made, err := SetUp(t.Context(), s.Stripe, s.Plans, nil, at.URL)
	require.NoError(t, err)
	s.Prices = made.Prices
	x := s.purchase(t, sim)
	chance := testkit.Seed(t)
	for range 1000 {
		to := s.Prices[chance.IntN(len(s.Prices))]
		if to.ID == x.PriceID {
			continue
		}
		when := x.PeriodStart.Add(time.Duration(chance.Int64N(int64(x.PeriodEnd.Sub(x.PeriodStart))))).Truncate(time.Second)
		preview, err := s.Stripe.upcoming(t.Context(), x, to, when)
		require.NoError(t, err)
		raw, err := s.Stripe.api.Subscriptions.Update(x.ID, &stripe.SubscriptionParams{ProrationBehavior: stripe.String("always_invoice"), PaymentBehavior: stripe.String("pending_if_incomplete"),
			ProrationDate: stripe.Int64(when.Unix()), Items: []*stripe.SubscriptionItemsParams{{ID: &x.item, Price: &to.ID}}})
		require.NoError(t, err)
		invoice, err := s.Stripe.api.Invoices.Get(raw.LatestInvoice.ID, nil)
		require.NoError(t, err)
		require.Equal(t, upcoming{preview.credit, preview.charge, invoice.Total, invoice.AmountDue}, preview)
		require.Equal(t, preview.total, preview.credit+preview.charge)
		left, whole := x.PeriodEnd.Sub(when), x.PeriodEnd.Sub(x.PeriodStart)
		require.Equal(t, -share(x.Cents, left, whole), preview.credit)
		if to.Every == x.Every {
			require.Equal(t, share(int64(s.Plans[to.Tier].Price(to.Every)), left, whole), preview.charge)
		}
		x, err = s.read(t.Context(), raw)
		require.NoError(t, err)
	}
}

// share is what a part of a period costs, in whole cents, halves away from zero.
func share(cents int64, part, whole time.Duration) int64 {
	exact := new(big.Rat).Mul(new(big.Rat).SetInt64(cents), big.NewRat(int64(part/time.Second), int64(whole/time.Second)))
	return new(big.Int).Div(new(big.Int).Add(new(big.Int).Mul(exact.Num(), big.NewInt(2)), exact.Denom()), new(big.Int).Mul(exact.Denom(), big.NewInt(2))).Int64()
}

// purchase buys something for a customer that only Stripe knows.
func (s *Service) purchase(t *testing.T, sim *simulated.Sim) seen {
	c, err := s.Stripe.api.Customers.New(&stripe.CustomerParams{})
	require.NoError(t, err)
	page, err := s.Stripe.api.CheckoutSessions.New(&stripe.CheckoutSessionParams{Mode: stripe.String("subscription"), Customer: &c.ID, SuccessURL: stripe.String("https://x.example"),
		LineItems: []*stripe.CheckoutSessionLineItemParams{{Price: &s.Prices[0].ID, Quantity: stripe.Int64(1)}}})
	require.NoError(t, err)
	_, err = sim.Pay(page.ID, "ok")
	require.NoError(t, err)
	all, err := s.subscriptions(context.Background(), c.ID, always)
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Empty(t, all[0].odd)
	return all[0]
}

func TestTheBreakerLetsOneTryWhenItsTimeIsOver(t *testing.T) {
	t.Parallel()
	var b breaker
	now := time.Now()
	for range breakAfter {
		require.NoError(t, b.enter(now))
		b.leave(now, "away")
	}
	require.Equal(t, sweep.Unavailable, sweep.CodeOf(b.enter(now)))
	later := now.Add(breakFor)
	require.NoError(t, b.enter(later))
	require.Error(t, b.enter(later), "one at a time")
	b.leave(later, "away")
	require.Error(t, b.enter(later))
	later = later.Add(breakFor)
	require.NoError(t, b.enter(later))
	b.leave(later, "ok")
	for range 10 {
		require.NoError(t, b.enter(later))
	}
}

func TestSettingUpAgainChangesNothingAndMendsWhatDiffers(t *testing.T) {
	t.Parallel()
	sim := simulated.New(simulated.Config{SecretKey: "sk_test_x"})
	at := httptest.NewServer(sim)
	t.Cleanup(at.Close)
	s, plans := Connect(Options{Key: "sk_test_x", URL: at.URL}), sweep.DefaultPlans()
	first, err := SetUp(t.Context(), s, plans, nil, "https://x.example/webhooks/stripe")
	require.NoError(t, err)
	require.Len(t, first.Prices, 6)
	require.Regexp(t, "^whsec_", first.Secret)
	parsed, err := ParsePrices(strings.Split(first.Prices.Spec(), ","))
	require.NoError(t, err)
	require.Equal(t, first.Prices, parsed)
	x, err := s.api.Products.Get("mailsweep_pro", nil)
	require.NoError(t, err)
	require.Equal(t, "50,000 messages cleaned a month · 5 mailboxes · 3 people · API keys", x.Description, "the page that is paid on names no feature that is not there")
	again, err := SetUp(t.Context(), s, plans, first.Prices, "https://x.example/webhooks/stripe")
	require.NoError(t, err)
	require.Equal(t, Setup{Prices: first.Prices, Portal: first.Portal}, again)
	pro := plans[sweep.Pro]
	pro.PriceCents, pro.Mailboxes = 3100, 1
	plans[sweep.Pro] = pro
	ends, err := s.api.WebhookEndpoints.New(&stripe.WebhookEndpointParams{URL: stripe.String("https://y.example"), EnabledEvents: stripe.StringSlice([]string{"*"}), APIVersion: stripe.String("2022-11-15")})
	require.NoError(t, err)
	dearer, err := SetUp(t.Context(), s, plans, first.Prices, "https://y.example")
	require.NoError(t, err)
	require.Len(t, dearer.Prices, 8, "who bought before keeps the price")
	require.Contains(t, dearer.Done, "mended the product mailsweep_pro")
	old, err := first.Prices.Sold(sweep.Pro, sweep.Month)
	require.NoError(t, err)
	sold, err := dearer.Prices.Sold(sweep.Pro, sweep.Month)
	require.NoError(t, err)
	require.NotEqual(t, old, sold)
	known, found := dearer.Prices.Of(old.ID)
	require.True(t, found)
	require.Equal(t, sweep.Pro, known.Tier)
	for i := s.api.WebhookEndpoints.List(&stripe.WebhookEndpointListParams{}); i.Next(); {
		if i.WebhookEndpoint().ID == ends.ID {
			require.Equal(t, "disabled", i.WebhookEndpoint().Status, "its version cannot be changed")
		}
	}
	require.NotEmpty(t, dearer.Secret)
}

// What is kept of an odd event names nobody, and its ids can still be read.
func TestWhatIsKeptOfAnEventNamesNobodyAndKeepsItsIDs(t *testing.T) {
	t.Parallel()
	body := `{"subscription":"sub_1","receipt_number":"1-2","ip":"192.0.2.1","ip_address":"192.0.2.1","customer_purchase_ip":"192.0.2.1","name":"Ada","note":"ada@example.com",` +
		`"address":{"line1":"1 Lane","line2":"b","city":"X","postal_code":"1"},"phone":"1","email":"a","description":"Ada","of":["sub_2"]}`
	require.JSONEq(t, `{"subscription":"sub_1","receipt_number":"1-2","ip":"[masked]","ip_address":"[masked]","customer_purchase_ip":"[masked]","name":"[masked]","note":"[masked]",`+
		`"address":{"line1":"[masked]","line2":"[masked]","city":"[masked]","postal_code":"[masked]"},"phone":"[masked]","email":"[masked]","description":"[masked]","of":["sub_2"]}`,
		string(nameless([]byte(body))))
}

// trust: WHK-11: each page of the hourly listing has its own tries: what fails in one does not begin the others anew. Whoever lists says after each step whether
// to go on.
func TestEachPageOfTheListingHasItsOwnTries(t *testing.T) {
	t.Parallel()
	sim := simulated.New(simulated.Config{SecretKey: "sk_test_x"})
	var pages []string // what they come after, as asked
	at := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		after, listing := req.FormValue("starting_after"), req.Method == http.MethodGet && req.URL.Path == "/v1/subscriptions" && !req.Form.Has("customer")
		if listing {
			pages = append(pages, after)
		}
		if listing && len(pages) == 2 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		sim.ServeHTTP(w, req)
	}))
	t.Cleanup(at.Close)
	s := &Service{Stripe: Connect(Options{Key: "sk_test_x", URL: at.URL}), Plans: sweep.DefaultPlans()}
	made, err := SetUp(t.Context(), s.Stripe, s.Plans, nil, at.URL)
	require.NoError(t, err)
	s.Prices = made.Prices
	sold := map[string]bool{}
	for range 2*pageOf + 1 {
		sold[s.purchase(t, sim).ID] = true
	}
	renewed := 0
	all, err := s.subscriptions(t.Context(), "", func() error { renewed++; return nil })
	require.NoError(t, err)
	for _, one := range all {
		require.True(t, sold[one.ID])
		delete(sold, one.ID)
	}
	require.Empty(t, sold)
	require.Len(t, pages, 4, "the second was asked for twice, and no other")
	require.Equal(t, []string{"", pages[1], pages[1]}, pages[:3])
	require.NotEqual(t, pages[2], pages[3])
	require.Equal(t, 3+2*pageOf+1, renewed)
	stopped := errors.New("another goes on")
	_, err = s.subscriptions(t.Context(), "", func() error { return stopped })
	require.ErrorIs(t, err, stopped)
	require.Len(t, pages, 5)
}
