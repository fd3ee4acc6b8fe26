package config

import (
	"regexp"
	"strings"
)

var (
	stripeKey    = regexp.MustCompile(`^[rs]k_(live|test)_[A-Za-z0-9_]{6,}$`)
	stripePrice  = regexp.MustCompile(`^(basic|pro|enterprise)_(month|year):price_[A-Za-z0-9_]+$`)
	stripePortal = regexp.MustCompile(`^bpc_[A-Za-z0-9_]+$`)
)

// minWebhookSecret is how many characters a signing secret has at least: with a short or empty one anybody could sign.
const minWebhookSecret = 16

// checkStripe holds in every environment: money is at stake where somebody believes it is not.
func (c *Config) checkStripe(found *problems) {
	s := c.Stripe
	if !s.Key.IsZero() && !stripeKey.MatchString(s.Key.Reveal()) {
		found.add("STRIPE_SECRET_KEY", "is no secret key of Stripe's: it begins with sk_live_, sk_test_, rk_live_ or rk_test_")
	}
	seen := map[string]bool{}
	for _, secret := range s.Secrets {
		value := secret.Reveal()
		if !strings.HasPrefix(value, "whsec_") || len(value) < minWebhookSecret {
			found.add("STRIPE_WEBHOOK_SECRETS", "must hold signing secrets of at least 16 characters that begin with whsec_")
		}
		if seen[value] {
			found.add("STRIPE_WEBHOOK_SECRETS", "names one secret twice")
		}
		seen[value] = true
	}
	for _, price := range s.Prices {
		if !stripePrice.MatchString(price) {
			found.add("STRIPE_PRICES", "must list prices such as pro_month:price_…")
		}
	}
	if s.Portal != "" && !stripePortal.MatchString(s.Portal) {
		found.add("STRIPE_PORTAL", "is no configuration of the portal: it begins with bpc_")
	}
	if c.Process == API && !s.Key.IsZero() && len(s.Secrets) == 0 {
		found.add("STRIPE_WEBHOOK_SECRETS", "is required with STRIPE_SECRET_KEY: without it no payment would be heard of")
	}
	if c.Process == API && !s.Key.IsZero() && len(s.Prices) == 0 {
		found.add("STRIPE_PRICES", "is required with STRIPE_SECRET_KEY: scheduler stripe-setup makes them")
	}
}

// checkProductionStripe refuses what only a test account has.
func (c *Config) checkProductionStripe(found *problems) {
	if key := c.Stripe.Key.Reveal(); key != "" && !strings.Contains(key, "_live_") {
		found.add("STRIPE_SECRET_KEY", "is of test mode, in which nobody pays")
	}
}
