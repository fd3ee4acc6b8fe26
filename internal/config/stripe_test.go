package config

import (
	"fmt"
	"strings"
	"testing"
)

// trust: WHK-2: short, empty and foreign secrets stop the start, and no message shows one.
func TestStripeSettingsAreChecked(t *testing.T) {
	t.Parallel()
	whole := with(good(t, API), "STRIPE_SECRET_KEY", "sk_live_0123456789", "STRIPE_WEBHOOK_SECRETS", "whsec_0123456789,whsec_abcdefghij", "STRIPE_PRICES", "pro_month:price_1,basic_year:price_2", "STRIPE_PORTAL", "bpc_1")
	c, err := load(API, whole)
	if err != nil || len(c.Stripe.Secrets) != 2 || c.Stripe.Secrets[1].Reveal() != "whsec_abcdefghij" || len(c.Stripe.Prices) != 2 {
		t.Fatalf("%v: %+v", err, c.Stripe)
	}
	if shown := fmt.Sprintf("%+v %v", c.Stripe, c.Stripe.Secrets); strings.Contains(shown, "0123456789") {
		t.Errorf("secrets are shown: %s", shown)
	}
	if c, err := load(Worker, with(good(t, Worker), "STRIPE_SECRET_KEY", "sk_live_0123456789")); err != nil || !c.Stripe.Key.IsZero() {
		t.Errorf("the worker has no use for the key: %v", err)
	}
	for name, pair := range map[string][]string{
		"a publishable key":       {"STRIPE_SECRET_KEY", "pk_live_0123456789"},
		"a key of test mode":      {"STRIPE_SECRET_KEY", "sk_test_0123456789"},
		"a short secret":          {"STRIPE_WEBHOOK_SECRETS", "whsec_012345678"},
		"one short of two":        {"STRIPE_WEBHOOK_SECRETS", "whsec_0123456789,whsec_1"},
		"an empty one of two":     {"STRIPE_WEBHOOK_SECRETS", "whsec_0123456789,"},
		"a secret of another":     {"STRIPE_WEBHOOK_SECRETS", "0123456789012345678901"},
		"the same secret twice":   {"STRIPE_WEBHOOK_SECRETS", "whsec_0123456789,whsec_0123456789"},
		"no secret":               {"STRIPE_WEBHOOK_SECRETS", ""},
		"a plan that is not":      {"STRIPE_PRICES", "platinum_month:price_1"},
		"no price":                {"STRIPE_PRICES", ""},
		"a portal that is none":   {"STRIPE_PORTAL", "cus_1"},
		"an address in clear":     {"STRIPE_URL", "http://stripe.example"},
		"an address with a login": {"STRIPE_URL", "https://a:b@stripe.example"},
	} {
		_, err := load(API, with(whole, pair...))
		if err == nil || !strings.Contains(err.Error(), "STRIPE_") {
			t.Errorf("%s: %v", name, err)
		}
		if err != nil && strings.Contains(err.Error(), "0123456789") {
			t.Errorf("%s: a secret is shown: %v", name, err)
		}
	}
}
