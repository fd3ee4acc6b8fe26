package stripe

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// session is a checkout of one subscription.
type session struct {
	ID           string            `json:"id"`
	Object       string            `json:"object"`
	Mode         string            `json:"mode"`
	Status       string            `json:"status"`
	Payment      string            `json:"payment_status"`
	URL          *string           `json:"url"`
	Customer     string            `json:"customer"`
	Reference    string            `json:"client_reference_id"`
	Subscription *string           `json:"subscription"`
	Success      string            `json:"success_url"`
	Cancel       string            `json:"cancel_url"`
	Total        int64             `json:"amount_total"`
	Currency     string            `json:"currency"`
	ExpiresAt    int64             `json:"expires_at"`
	Created      int64             `json:"created"`
	Livemode     bool              `json:"livemode"`
	Metadata     map[string]string `json:"metadata"`

	price *price
	about map[string]string // metadata of the subscription
}

// portal is a customer's way to its own page.
type portal struct {
	ID       string `json:"id"`
	Object   string `json:"object"`
	URL      string `json:"url"`
	Customer string `json:"customer"`
	Return   string `json:"return_url"`
	Created  int64  `json:"created"`
	Livemode bool   `json:"livemode"`
	Config   string `json:"configuration"`
}

func (s *Sim) checkoutRoutes() {
	s.route("POST /v1/checkout/sessions", s.makeSession)
	s.route("GET /v1/checkout/sessions", func(c call) (any, error) {
		of := c.params.text("customer")
		c.params.skip("limit")
		return list("/v1/checkout/sessions", slices.DeleteFunc(byAge(s.sessions), func(x *session) bool { return of != "" && x.Customer != of })), nil
	})
	s.route("GET /v1/checkout/sessions/{id}", func(c call) (any, error) { return find(s.sessions, "checkout.session", c.PathValue("id")) })
	s.route("POST /v1/checkout/sessions/{id}/expire", func(c call) (any, error) {
		x, err := find(s.sessions, "checkout.session", c.PathValue("id"))
		if err != nil {
			return nil, err
		}
		if x.Status != "open" {
			return nil, invalid("", "Only Checkout Sessions with a status in [\"open\"] can be expired. This Checkout Session has a status of `%s`.", x.Status)
		}
		x.Status, x.URL = "expired", nil
		s.tell("checkout.session.expired", x)
		return x, nil
	})
	s.route("POST /v1/billing_portal/sessions", func(c call) (any, error) {
		owner, err := find(s.customers, "customer", c.params.text("customer"))
		if err != nil {
			return nil, err
		}
		x := &portal{ID: s.id("bps"), Object: "billing_portal.session", Customer: owner.ID, Return: c.params.text("return_url"), Created: s.now(), Livemode: s.cfg.Livemode, Config: c.params.text("configuration")}
		if x.Config == "" {
			for _, config := range byAge(s.configs) {
				if config.Default {
					x.Config = config.ID
				}
			}
		}
		if _, err := find(s.configs, "configuration", x.Config); err != nil {
			return nil, err
		}
		c.params.skip("locale", "flow_data")
		x.URL = base(c.Request) + "/p/session/" + x.ID
		s.portals[x.ID] = x
		return x, nil
	})
}

func base(r *http.Request) string { return "http://" + r.Host }

func (s *Sim) makeSession(c call) (any, error) {
	p := c.params
	x := &session{ID: s.id("cs_test"), Object: "checkout.session", Mode: p.text("mode"), Status: "open", Payment: "unpaid", Customer: p.text("customer"), Reference: p.text("client_reference_id"),
		Success: p.text("success_url"), Cancel: p.text("cancel_url"), Created: s.now(), ExpiresAt: s.now() + 24*3600, Livemode: s.cfg.Livemode, Metadata: p.table("metadata"), about: p.table("subscription_data[metadata]")}
	p.skip("allow_promotion_codes", "billing_address_collection", "payment_method_types", "locale", "customer_update", "tax_id_collection", "automatic_tax", "payment_method_collection", "expires_at")
	if x.Mode != "subscription" {
		return nil, invalid("mode", "checkout sells subscriptions here")
	}
	if x.Success == "" {
		return nil, invalid("success_url", "Missing required param: success_url.")
	}
	owner, err := find(s.customers, "customer", x.Customer)
	if err != nil {
		return nil, err
	}
	if owner.Deleted {
		return nil, missing("customer", owner.ID)
	}
	rows := p.rows("line_items")
	if len(rows) != 1 {
		return nil, invalid("line_items", "one line item is sold at a time here")
	}
	if x.price, err = find(s.prices, "price", p.text(rows[0]+"[price]")); err != nil {
		return nil, err
	}
	if n, err := p.number(rows[0]+"[quantity]", 1); err != nil || n != 1 {
		return nil, invalid("line_items[0][quantity]", "one of each is sold here")
	}
	if !x.price.Active {
		return nil, invalid("line_items[0][price]", "The price specified is inactive.")
	}
	x.Total, x.Currency = x.price.Amount, x.price.Currency
	address := base(c.Request) + "/c/pay/" + x.ID
	x.URL = &address
	s.sessions[x.ID] = x
	return x, nil
}

// Cards that the hosted pages offer, by the numbers of Stripe's test cards.
var cards = []struct{ Kind, Label string }{
	{"ok", "4242 4242 4242 4242, good"}, {"declined", "4000 0000 0000 0002, declined"}, {"authenticate", "4000 0025 0000 3155, wants to be authenticated each time"},
	{"later", "4000 0000 0000 0341, good once and declined after"},
}

// Pay pays an open checkout with a card, as its page does, and says where the browser goes on.
func (s *Sim) Pay(session, card string) (to string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, err := find(s.sessions, "checkout.session", session)
	if err != nil {
		return "", err
	}
	if x.Status == "open" && s.now() >= x.ExpiresAt {
		x.Status, x.URL = "expired", nil
	}
	if x.Status != "open" {
		return "", invalid("", "this checkout is %s", x.Status)
	}
	m := s.card(x.Customer, card)
	sub, f := s.subscribe(s.customers[x.Customer], x.price, m, x.about)
	if f != nil {
		return "", f
	}
	x.Status, x.Payment, x.Subscription, x.URL = "complete", "paid", &sub.ID, nil
	s.tell("checkout.session.completed", x)
	return strings.ReplaceAll(x.Success, "{CHECKOUT_SESSION_ID}", url.QueryEscape(x.ID)), nil
}

// card gives a customer a card, which is its default from now on.
func (s *Sim) card(owner, kind string) *method {
	m := &method{ID: s.id("pm"), Object: "payment_method", Type: "card", Customer: owner, Card: map[string]any{"brand": "visa", "last4": "4242", "exp_month": 12, "exp_year": 2039}, kind: kind}
	s.methods[m.ID] = m
	s.customers[owner].Settings.Method = &m.ID
	return m
}
