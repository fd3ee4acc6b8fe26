package billing

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stripe/stripe-go/v76"

	"mailsweep/internal/sweep"
)

// Setup is what our account at Stripe needs, and what there is to put into the settings.
type Setup struct {
	Prices Prices // those of before too: of each plan the one that is sold comes first
	Portal string
	Secret string   // of the webhook endpoint; "" when it was there: Stripe shows it once
	Done   []string // what was made or mended, in words
}

// Spec is how prices stand in the settings: plan_period:id, comma-separated.
func (p Prices) Spec() string {
	var words []string
	for _, one := range p {
		words = append(words, fmt.Sprintf("%s_%s:%s", one.Tier, one.Every, one.ID))
	}
	return strings.Join(words, ",")
}

// ParsePrices reads what Spec wrote.
func ParsePrices(words []string) (prices Prices, err error) {
	for _, word := range words {
		plan, id, found := strings.Cut(word, ":")
		tier, every, _ := strings.Cut(plan, "_")
		p := Price{ID: id, Tier: sweep.Tier(tier), Every: sweep.Every(every)}
		if !found || id == "" || p.Tier.Rank() < 1 || p.Every != sweep.Month && p.Every != sweep.Year {
			return nil, fmt.Errorf("%q is no price: it is written as pro_month:price_…", word)
		}
		if _, twice := prices.Of(id); twice {
			return nil, fmt.Errorf("the price %s is named twice", id)
		}
		prices = append(prices, p)
	}
	return prices, nil
}

const metaOurs = "mailsweep"

// SetUp makes what our account lacks and mends what differs: a product and two prices of each plan that costs something, the portal's configuration, and the endpoint that
// hears events, in our version. Doing it again changes nothing. known are the prices of the settings: they stay known.
func SetUp(ctx context.Context, s *Stripe, plans sweep.Plans, known Prices, endpoint string) (out Setup, err error) {
	for _, tier := range sweep.Tiers()[1:] {
		if err := s.product(ctx, &out, plans[tier]); err != nil {
			return out, err
		}
		for _, every := range []sweep.Every{sweep.Month, sweep.Year} {
			id, err := s.price(ctx, &out, tier, every, int64(plans[tier].Price(every)))
			if err != nil {
				return out, err
			}
			out.Prices = append(out.Prices, Price{ID: id, Tier: tier, Every: every})
		}
	}
	for _, old := range known {
		if _, is := out.Prices.Of(old.ID); !is {
			out.Prices = append(out.Prices, old)
		}
	}
	if out.Portal, err = s.portal(ctx, &out); err != nil {
		return out, err
	}
	out.Secret, err = s.endpoint(ctx, &out, endpoint)
	return out, err
}

func productID(tier sweep.Tier) string { return "mailsweep_" + string(tier) }

// offer is what the page that is paid on says of a plan: what it allows, and those of its features that are there.
func offer(p sweep.Plan) string {
	words := []string{many(p.Emails, "message") + " cleaned a month", many(p.Mailboxes, "mailbox"), many(p.People, "person")}
	for _, f := range p.Sold() {
		words = append(words, f.Name())
	}
	return strings.Join(words, " · ")
}

func many(n int, what string) string {
	shown := strconv.Itoa(n)
	for i := len(shown) - 3; i > 0; i -= 3 {
		shown = shown[:i] + "," + shown[i:]
	}
	if n != 1 {
		what = map[string]string{"message": "messages", "mailbox": "mailboxes", "person": "people"}[what]
	}
	return shown + " " + what
}

// product is a plan at Stripe.
func (s *Stripe) product(ctx context.Context, out *Setup, plan sweep.Plan) error {
	id, name, text := productID(plan.Tier), "Mailsweep "+strings.ToUpper(string(plan.Tier)[:1])+string(plan.Tier)[1:], offer(plan)
	x, err := ask(ctx, s, "get_product", func(ctx context.Context) (*stripe.Product, error) {
		return s.api.Products.Get(id, &stripe.ProductParams{Params: params(ctx, "")})
	})
	switch {
	case errors.Is(err, errMissing):
		out.Done = append(out.Done, "made the product "+id)
		_, err = ask(ctx, s, "make_product", func(ctx context.Context) (*stripe.Product, error) {
			return s.api.Products.New(&stripe.ProductParams{Params: params(ctx, ""), ID: &id, Name: &name, Description: &text})
		})
	case err == nil && (!x.Active || x.Name != name || x.Description != text):
		out.Done = append(out.Done, "mended the product "+id)
		_, err = ask(ctx, s, "set_product", func(ctx context.Context) (*stripe.Product, error) {
			return s.api.Products.Update(id, &stripe.ProductParams{Params: params(ctx, ""), Name: &name, Description: &text, Active: stripe.Bool(true)})
		})
	}
	return err
}

// price finds a price by its lookup key. One that differs gives the key to a new one, and is sold no more: who bought it keeps it.
func (s *Stripe) price(ctx context.Context, out *Setup, tier sweep.Tier, every sweep.Every, cents int64) (id string, err error) {
	lookup := fmt.Sprintf("mailsweep_%s_%s", tier, every)
	found, err := ask(ctx, s, "list_prices", func(ctx context.Context) (found []*stripe.Price, err error) {
		i := s.api.Prices.List(&stripe.PriceListParams{ListParams: listing(ctx), LookupKeys: []*string{&lookup}})
		for i.Next() {
			found = append(found, i.Price())
		}
		return found, i.Err()
	})
	if err != nil {
		return "", err
	}
	good := func(x *stripe.Price) bool {
		return x.Active && x.UnitAmount == cents && x.Currency == stripe.CurrencyUSD && x.Recurring != nil && string(x.Recurring.Interval) == string(every) && x.Product != nil && x.Product.ID == productID(tier)
	}
	if i := slices.IndexFunc(found, good); i >= 0 {
		return found[i].ID, nil
	}
	made, err := ask(ctx, s, "make_price", func(ctx context.Context) (*stripe.Price, error) {
		return s.api.Prices.New(&stripe.PriceParams{Params: params(ctx, ""), Product: stripe.String(productID(tier)), Currency: stripe.String("usd"), UnitAmount: &cents, LookupKey: &lookup,
			TransferLookupKey: stripe.Bool(true), Recurring: &stripe.PriceRecurringParams{Interval: stripe.String(string(every))}})
	})
	if err != nil {
		return "", err
	}
	out.Done = append(out.Done, fmt.Sprintf("made the price %s, %d cents", lookup, cents))
	for _, old := range found {
		if old.Active {
			_, err = ask(ctx, s, "set_price", func(ctx context.Context) (*stripe.Price, error) {
				return s.api.Prices.Update(old.ID, &stripe.PriceParams{Params: params(ctx, ""), Active: stripe.Bool(false)})
			})
		}
	}
	return made.ID, err
}

// portal is the configuration of the page at Stripe: invoices, cards, cancelling at the period's end. Plans are changed with us alone, where a plan
// that is too small is refused.
func (s *Stripe) portal(ctx context.Context, out *Setup) (id string, err error) {
	id, err = ask(ctx, s, "list_portals", func(ctx context.Context) (string, error) {
		i := s.api.BillingPortalConfigurations.List(&stripe.BillingPortalConfigurationListParams{ListParams: listing(ctx), Active: stripe.Bool(true)})
		for i.Next() {
			if x := i.BillingPortalConfiguration(); x.Metadata[metaOurs] != "" {
				return x.ID, nil
			}
		}
		return "", i.Err()
	})
	if err != nil {
		return "", err
	}
	p := func(ctx context.Context) *stripe.BillingPortalConfigurationParams {
		p := &stripe.BillingPortalConfigurationParams{Params: params(ctx, ""), BusinessProfile: &stripe.BillingPortalConfigurationBusinessProfileParams{Headline: stripe.String("Mailsweep")},
			Features: &stripe.BillingPortalConfigurationFeaturesParams{
				InvoiceHistory:      &stripe.BillingPortalConfigurationFeaturesInvoiceHistoryParams{Enabled: stripe.Bool(true)},
				PaymentMethodUpdate: &stripe.BillingPortalConfigurationFeaturesPaymentMethodUpdateParams{Enabled: stripe.Bool(true)},
				SubscriptionCancel:  &stripe.BillingPortalConfigurationFeaturesSubscriptionCancelParams{Enabled: stripe.Bool(true), Mode: stripe.String("at_period_end")}}}
		p.AddMetadata(metaOurs, "1")
		return p
	}
	if id != "" {
		_, err = ask(ctx, s, "set_portal", func(ctx context.Context) (*stripe.BillingPortalConfiguration, error) {
			return s.api.BillingPortalConfigurations.Update(id, p(ctx))
		})
		return id, err
	}
	x, err := ask(ctx, s, "make_portal_configuration", func(ctx context.Context) (*stripe.BillingPortalConfiguration, error) {
		return s.api.BillingPortalConfigurations.New(p(ctx))
	})
	if err != nil {
		return "", err
	}
	out.Done = append(out.Done, "made the portal's configuration "+x.ID)
	return x.ID, nil
}

// endpoint is where events are posted. Its version cannot be changed: one of another version is switched off, and one of ours made.
func (s *Stripe) endpoint(ctx context.Context, out *Setup, url string) (secret string, err error) {
	all, err := ask(ctx, s, "list_endpoints", func(ctx context.Context) (all []*stripe.WebhookEndpoint, err error) {
		i := s.api.WebhookEndpoints.List(&stripe.WebhookEndpointListParams{ListParams: listing(ctx)})
		for i.Next() {
			if i.WebhookEndpoint().URL == url {
				all = append(all, i.WebhookEndpoint())
			}
		}
		return all, i.Err()
	})
	if err != nil {
		return "", err
	}
	have := false
	for _, x := range all {
		p := stripe.WebhookEndpointParams{}
		switch ours := x.APIVersion == stripe.APIVersion && !have; {
		case ours && x.Status == "enabled" && sameKinds(x.EnabledEvents):
			have = true
			continue
		case ours:
			have, p.Disabled, p.EnabledEvents = true, stripe.Bool(false), stripe.StringSlice(Kinds())
			out.Done = append(out.Done, "mended the endpoint "+x.ID)
		case x.Status == "enabled":
			p.Disabled = stripe.Bool(true)
			out.Done = append(out.Done, "switched off the endpoint "+x.ID)
		default:
			continue
		}
		_, err := ask(ctx, s, "set_endpoint", func(ctx context.Context) (*stripe.WebhookEndpoint, error) {
			p.Params = params(ctx, "")
			return s.api.WebhookEndpoints.Update(x.ID, &p)
		})
		if err != nil {
			return "", err
		}
	}
	if have {
		return "", nil
	}
	x, err := ask(ctx, s, "make_endpoint", func(ctx context.Context) (*stripe.WebhookEndpoint, error) {
		return s.api.WebhookEndpoints.New(&stripe.WebhookEndpointParams{Params: params(ctx, ""), URL: &url, APIVersion: stripe.String(stripe.APIVersion), EnabledEvents: stripe.StringSlice(Kinds())})
	})
	if err != nil {
		return "", err
	}
	out.Done = append(out.Done, "made the endpoint "+x.ID)
	return x.Secret, nil
}

func sameKinds(events []string) bool {
	want := Kinds()
	slices.Sort(want)
	slices.Sort(events)
	return slices.Equal(want, events)
}
