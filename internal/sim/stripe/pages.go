package stripe

import (
	"embed"
	"errors"
	"html/template"
	"net/http"
	"slices"
	"time"
)

//go:embed pages/*.html
var pageFiles embed.FS

var pages = template.Must(template.New("").Funcs(template.FuncMap{
	"money": func(cents int64) string { return template.HTMLEscapeString(dollars(cents)) },
	"day":   func(at int64) string { return time.Unix(at, 0).UTC().Format("2 January 2006") },
}).ParseFS(pageFiles, "pages/*.html"))

func dollars(cents int64) string {
	sign := ""
	if cents < 0 {
		sign, cents = "−", -cents
	}
	return sign + "$" + digits(cents/100) + "." + digits(cents%100/10) + digits(cents%10)
}

func digits(n int64) string {
	if n < 10 {
		return string(rune('0' + n))
	}
	return digits(n/10) + digits(n%10)
}

type payPage struct {
	Session *session
	Product *product
	Price   *price
	Cards   []struct{ Kind, Label string }
	Error   string
}

type portalPage struct {
	Portal       *portal
	Subscription *subscription
	Product      string
	Offers       []offer
	Invoices     []*invoice
	Cards        []struct{ Kind, Label string }
	Cancels      bool
	Error        string
}

type offer struct {
	Price   *price
	Product string
}

// pageRoutes are what a customer's browser opens. They need no key: their ids are secret.
func (s *Sim) pageRoutes() {
	s.mux.HandleFunc("GET /c/pay/{id}", func(w http.ResponseWriter, r *http.Request) { s.payPage(w, r.PathValue("id"), nil) })
	s.mux.HandleFunc("POST /c/pay/{id}", func(w http.ResponseWriter, r *http.Request) {
		to, err := s.Pay(r.PathValue("id"), r.PostFormValue("card"))
		if err != nil {
			s.payPage(w, r.PathValue("id"), err)
			return
		}
		http.Redirect(w, r, to, http.StatusSeeOther)
	})
	s.mux.HandleFunc("GET /p/session/{id}", func(w http.ResponseWriter, r *http.Request) { s.portalPage(w, r.PathValue("id"), nil) })
	s.mux.HandleFunc("POST /p/session/{id}", func(w http.ResponseWriter, r *http.Request) {
		if err := s.Act(r.PathValue("id"), r.PostFormValue("act"), r.PostFormValue("with")); err != nil {
			s.portalPage(w, r.PathValue("id"), err)
			return
		}
		http.Redirect(w, r, r.URL.Path, http.StatusSeeOther)
	})
}

func render(w http.ResponseWriter, name string, page any, err error) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err != nil {
		w.WriteHeader(http.StatusPaymentRequired)
	}
	if err := pages.ExecuteTemplate(w, name, page); err != nil {
		panic(http.ErrAbortHandler)
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

func (s *Sim) payPage(w http.ResponseWriter, id string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.sessions[id]
	if x == nil || x.Status != "open" {
		http.Error(w, "This checkout is over.", http.StatusGone)
		return
	}
	render(w, "pay.html", payPage{x, s.products[x.price.Product], x.price, cards, text(err)}, err)
}

func (s *Sim) portalPage(w http.ResponseWriter, id string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x := s.portals[id]
	if x == nil || s.now()-x.Created > 3600 {
		http.Error(w, "This link has expired.", http.StatusGone)
		return
	}
	page := portalPage{Portal: x, Cards: cards, Cancels: s.configs[x.Config].cancels, Error: text(err)}
	if page.Subscription = s.live(x.Customer); page.Subscription != nil {
		page.Product = s.products[page.Subscription.item.Price.Product].Name
	}
	for _, id := range s.configs[x.Config].prices {
		page.Offers = append(page.Offers, offer{s.prices[id], s.products[s.prices[id].Product].Name})
	}
	page.Invoices = slices.DeleteFunc(byAge(s.invoices), func(in *invoice) bool { return in.Customer != x.Customer })
	render(w, "portal.html", page, err)
}

// live is the customer's subscription, if it has one that is not over.
func (s *Sim) live(owner string) *subscription {
	for _, x := range byAge(s.subscriptions) {
		if x.Customer == owner && !x.over() {
			return x
		}
	}
	return nil
}

var errNothing = errors.New("there is no subscription")

// Act does what a button of the portal does: cancel, renew (takes that back), change (with a price), card (with a kind), pay (the open invoice).
func (s *Sim) Act(id, act, with string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, err := find(s.portals, "portal session", id)
	if err != nil {
		return err
	}
	x := s.live(p.Customer)
	if x == nil && act != "card" {
		return errNothing
	}
	switch act {
	case "cancel", "renew":
		x.AtEnd = act == "cancel"
		s.decide(x)
	case "change":
		to, err := find(s.prices, "price", with)
		if err != nil {
			return err
		}
		if err := s.change(x, to, "always_invoice", "error_if_incomplete", s.now()); err != nil {
			return err
		}
	case "card":
		m := s.card(p.Customer, with)
		if x == nil {
			return nil
		}
		x.Method = &m.ID
	case "pay":
		if f := s.payOpen(x); f != nil {
			return f
		}
	default:
		return invalid("act", "there is no button %q", act)
	}
	s.tell("customer.subscription.updated", x)
	return nil
}

// payOpen pays the latest invoice of a subscription with the card of now, authenticated by who sits there.
func (s *Sim) payOpen(x *subscription) *fail {
	in := s.invoices[x.Latest]
	if in == nil || in.IsPaid {
		return invalid("", "there is no open invoice")
	}
	if m := s.methods[*x.Method]; m.kind == "authenticate" {
		m.used = 0
	}
	if f := s.charge(x, in); f != nil {
		return f
	}
	if p := x.Pending; p != nil && p.invoice == in.ID {
		_, start, end := s.prorated(x, p.price, in.Created)
		s.switched(x, p.price, start, end)
	}
	x.Status, x.tries = "active", 0
	s.tell("invoice.paid", in)
	return nil
}
