package stripe

import (
	"maps"
	"slices"
	"strings"
)

type customer struct {
	ID       string            `json:"id"`
	Object   string            `json:"object"`
	Email    string            `json:"email"`
	Name     string            `json:"name"`
	Balance  int64             `json:"balance"` // in cents; negative: we owe it
	Created  int64             `json:"created"`
	Livemode bool              `json:"livemode"`
	Metadata map[string]string `json:"metadata"`
	Deleted  bool              `json:"deleted,omitempty"`
	Settings struct {
		Method *string `json:"default_payment_method"`
	} `json:"invoice_settings"`
}

type product struct {
	ID       string            `json:"id"`
	Object   string            `json:"object"`
	Name     string            `json:"name"`
	Text     string            `json:"description"`
	Active   bool              `json:"active"`
	Created  int64             `json:"created"`
	Livemode bool              `json:"livemode"`
	Metadata map[string]string `json:"metadata"`
}

type price struct {
	ID        string            `json:"id"`
	Object    string            `json:"object"`
	Product   string            `json:"product"`
	Active    bool              `json:"active"`
	Currency  string            `json:"currency"`
	Amount    int64             `json:"unit_amount"` // in cents
	Type      string            `json:"type"`
	Lookup    string            `json:"lookup_key"`
	Created   int64             `json:"created"`
	Livemode  bool              `json:"livemode"`
	Metadata  map[string]string `json:"metadata"`
	Recurring struct {
		Interval string `json:"interval"`
		Count    int64  `json:"interval_count"`
	} `json:"recurring"`
}

type endpoint struct {
	ID       string            `json:"id"`
	Object   string            `json:"object"`
	URL      string            `json:"url"`
	Events   []string          `json:"enabled_events"`
	Version  string            `json:"api_version"`
	Status   string            `json:"status"`
	Secret   string            `json:"secret,omitempty"` // in the answer that makes it alone
	Created  int64             `json:"created"`
	Livemode bool              `json:"livemode"`
	Metadata map[string]string `json:"metadata"`

	secret string
}

type portalConfig struct {
	ID       string            `json:"id"`
	Object   string            `json:"object"`
	Active   bool              `json:"active"`
	Default  bool              `json:"is_default"`
	Created  int64             `json:"created"`
	Livemode bool              `json:"livemode"`
	Metadata map[string]string `json:"metadata"`

	cancels bool
	prices  []string // among which the page lets a customer change
}

// catalogRoutes are what a business sets up once, and its customers.
func (s *Sim) catalogRoutes() {
	s.route("POST /v1/customers", func(c call) (any, error) {
		x := &customer{ID: s.id("cus"), Object: "customer", Created: s.now(), Livemode: s.cfg.Livemode}
		s.customers[x.ID] = x
		return x, s.setCustomer(x, c)
	})
	s.route("GET /v1/customers/{id}", func(c call) (any, error) { return find(s.customers, "customer", c.PathValue("id")) })
	s.route("POST /v1/customers/{id}", func(c call) (any, error) {
		x, err := find(s.customers, "customer", c.PathValue("id"))
		if err != nil {
			return nil, err
		}
		return x, s.setCustomer(x, c)
	})
	s.route("DELETE /v1/customers/{id}", s.deleteCustomer)
	s.route("POST /v1/products", func(c call) (any, error) {
		x := &product{ID: s.id("prod"), Object: "product", Active: true, Created: s.now(), Livemode: s.cfg.Livemode}
		if id := c.params.text("id"); id != "" {
			if s.products[id] != nil {
				return nil, &fail{status: 400, Type: "invalid_request_error", Code: "resource_already_exists", Message: "Product already exists.", Param: "id"}
			}
			x.ID = id
		}
		s.products[x.ID] = x
		return x, setProduct(x, c)
	})
	s.route("GET /v1/products/{id}", func(c call) (any, error) { return find(s.products, "product", c.PathValue("id")) })
	s.route("POST /v1/products/{id}", func(c call) (any, error) {
		x, err := find(s.products, "product", c.PathValue("id"))
		if err != nil {
			return nil, err
		}
		return x, setProduct(x, c)
	})
	s.route("POST /v1/prices", s.makePrice)
	s.route("GET /v1/prices/{id}", func(c call) (any, error) { return find(s.prices, "price", c.PathValue("id")) })
	s.route("GET /v1/prices", func(c call) (any, error) {
		keys, active := c.params.texts("lookup_keys"), c.params.text("active")
		c.params.skip("limit")
		return list("/v1/prices", slices.DeleteFunc(byAge(s.prices), func(p *price) bool {
			return len(keys) > 0 && !slices.Contains(keys, p.Lookup) || active == "true" && !p.Active
		})), nil
	})
	s.route("POST /v1/prices/{id}", func(c call) (any, error) {
		x, err := find(s.prices, "price", c.PathValue("id"))
		if err != nil {
			return nil, err
		}
		x.Active, err = c.params.flag("active", x.Active)
		return x, err
	})
	s.route("POST /v1/webhook_endpoints", s.makeEndpoint)
	s.route("GET /v1/webhook_endpoints", func(c call) (any, error) {
		c.params.skip("limit")
		return list("/v1/webhook_endpoints", byAge(s.endpoints)), nil
	})
	s.route("POST /v1/webhook_endpoints/{id}", func(c call) (any, error) {
		x, err := find(s.endpoints, "webhook endpoint", c.PathValue("id"))
		if err != nil {
			return nil, err
		}
		return x, setEndpoint(x, c)
	})
	s.route("POST /v1/billing_portal/configurations", func(c call) (any, error) {
		x := &portalConfig{ID: s.id("bpc"), Object: "billing_portal.configuration", Active: true, Default: len(s.configs) == 0, Created: s.now(), Livemode: s.cfg.Livemode}
		s.configs[x.ID] = x
		return x, s.setPortal(x, c)
	})
	s.route("GET /v1/billing_portal/configurations", func(c call) (any, error) {
		c.params.skip("limit", "active")
		return list("/v1/billing_portal/configurations", byAge(s.configs)), nil
	})
	s.route("POST /v1/billing_portal/configurations/{id}", func(c call) (any, error) {
		x, err := find(s.configs, "configuration", c.PathValue("id"))
		if err != nil {
			return nil, err
		}
		return x, s.setPortal(x, c)
	})
}

func find[T any](in map[string]*T, what, id string) (*T, error) {
	if x := in[id]; x != nil {
		return x, nil
	}
	return nil, missing(what, id)
}

// byAge lists objects, the newest first: ids grow.
func byAge[T any](in map[string]*T) (all []*T) {
	ids := slices.SortedFunc(maps.Keys(in), func(a, b string) int {
		a, b = a[strings.LastIndex(a, "_")+1:], b[strings.LastIndex(b, "_")+1:]
		if a > b {
			return -1
		}
		return 1
	})
	for _, id := range ids {
		all = append(all, in[id])
	}
	return all
}

func (s *Sim) setCustomer(x *customer, c call) error {
	for name, to := range map[string]*string{"email": &x.Email, "name": &x.Name} {
		if c.params.has(name) {
			*to = c.params.text(name)
		}
	}
	x.Metadata = merged(x.Metadata, c.params.table("metadata"))
	if m := c.params.text("invoice_settings[default_payment_method]"); m != "" {
		if _, err := find(s.methods, "payment method", m); err != nil {
			return err
		}
		x.Settings.Method = &m
	}
	return nil
}

// merged is metadata with changes: an empty value removes a name.
func merged(old, with map[string]string) map[string]string {
	all := map[string]string{}
	maps.Copy(all, old)
	maps.Copy(all, with)
	maps.DeleteFunc(all, func(_, v string) bool { return v == "" })
	return all
}

func (s *Sim) deleteCustomer(c call) (any, error) {
	x, err := find(s.customers, "customer", c.PathValue("id"))
	if err != nil {
		return nil, err
	}
	for _, sub := range byAge(s.subscriptions) {
		if sub.Customer == x.ID && !sub.over() {
			s.end(sub)
		}
	}
	x.Deleted = true
	s.tell("customer.deleted", x)
	return map[string]any{"id": x.ID, "object": "customer", "deleted": true}, nil
}

func setProduct(x *product, c call) (err error) {
	if c.params.has("name") {
		x.Name = c.params.text("name")
	}
	if c.params.has("description") {
		x.Text = c.params.text("description")
	}
	c.params.skip("tax_code", "statement_descriptor")
	x.Metadata = merged(x.Metadata, c.params.table("metadata"))
	x.Active, err = c.params.flag("active", x.Active)
	return err
}

func (s *Sim) makePrice(c call) (any, error) {
	x := &price{ID: s.id("price"), Object: "price", Active: true, Type: "recurring", Created: s.now(), Livemode: s.cfg.Livemode, Metadata: c.params.table("metadata")}
	x.Product, x.Currency, x.Lookup = c.params.text("product"), c.params.text("currency"), c.params.text("lookup_key")
	if _, err := find(s.products, "product", x.Product); err != nil {
		return nil, err
	}
	var err error
	if x.Amount, err = c.params.number("unit_amount", -1); err != nil || x.Amount < 0 {
		return nil, invalid("unit_amount", "a price needs unit_amount")
	}
	if x.Recurring.Interval, err = c.params.one("recurring[interval]", "", "day", "week", "month", "year"); err != nil || x.Recurring.Interval == "" {
		return nil, invalid("recurring[interval]", "a price needs an interval")
	}
	x.Recurring.Count = 1
	transfer, err := c.params.flag("transfer_lookup_key", false)
	if err != nil {
		return nil, err
	}
	for _, p := range s.prices {
		if x.Lookup != "" && p.Lookup == x.Lookup {
			if !transfer {
				return nil, invalid("lookup_key", "A price (`%s`) already uses that lookup key.", p.ID)
			}
			p.Lookup = ""
		}
	}
	s.prices[x.ID] = x
	return x, nil
}

func (s *Sim) makeEndpoint(c call) (any, error) {
	x := &endpoint{ID: s.id("we"), Object: "webhook_endpoint", Status: "enabled", Version: c.params.text("api_version"), Created: s.now(), Livemode: s.cfg.Livemode, secret: "whsec_" + s.id("x")}
	if err := setEndpoint(x, c); err != nil {
		return nil, err
	}
	s.endpoints[x.ID] = x
	shown := *x
	shown.Secret = x.secret
	return shown, nil
}

func setEndpoint(x *endpoint, c call) error {
	if c.params.has("url") {
		x.URL = c.params.text("url")
	}
	if events := c.params.texts("enabled_events"); len(events) > 0 {
		x.Events = events
	}
	c.params.skip("description")
	x.Metadata = merged(x.Metadata, c.params.table("metadata"))
	off, err := c.params.flag("disabled", x.Status == "disabled")
	x.Status = map[bool]string{true: "disabled", false: "enabled"}[off]
	return err
}

func (s *Sim) setPortal(x *portalConfig, c call) (err error) {
	c.params.skip("business_profile", "features[customer_update]", "features[invoice_history]", "features[payment_method_update]", "default_return_url")
	x.Metadata = merged(x.Metadata, c.params.table("metadata"))
	if x.cancels, err = c.params.flag("features[subscription_cancel][enabled]", x.cancels); err != nil {
		return err
	}
	c.params.skip("features[subscription_cancel]")
	for _, row := range c.params.rows("features[subscription_update][products]") {
		for _, id := range c.params.texts(row + "[prices]") {
			if _, err := find(s.prices, "price", id); err != nil {
				return err
			}
			x.prices = append(x.prices, id)
		}
	}
	c.params.skip("features[subscription_update]")
	return nil
}
