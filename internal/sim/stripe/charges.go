package stripe

// charge is money that was taken for an invoice.
type charge struct {
	ID             string `json:"id"`
	Object         string `json:"object"`
	Amount         int64  `json:"amount"` // in cents
	AmountRefunded int64  `json:"amount_refunded"`
	Currency       string `json:"currency"`
	Customer       string `json:"customer"`
	Invoice        string `json:"invoice"`
	Refunded       bool   `json:"refunded"` // the whole of it
	Disputed       bool   `json:"disputed"`
	Paid           bool   `json:"paid"`
	Status         string `json:"status"`
	Created        int64  `json:"created"`
	Livemode       bool   `json:"livemode"`
}

// dispute is a customer's, at its bank. As with Stripe, it does not say whose charge it is about.
type dispute struct {
	ID       string `json:"id"`
	Object   string `json:"object"`
	Amount   int64  `json:"amount"`
	Charge   string `json:"charge"`
	Currency string `json:"currency"`
	Reason   string `json:"reason"`
	Status   string `json:"status"`
	Created  int64  `json:"created"`
	Livemode bool   `json:"livemode"`
}

func (s *Sim) chargeRoutes() {
	s.route("GET /v1/charges/{id}", func(c call) (any, error) { return find(s.charges, "charge", c.PathValue("id")) })
	s.route("GET /v1/disputes/{id}", func(c call) (any, error) { return find(s.disputes, "dispute", c.PathValue("id")) })
}

// take notes what an invoice's card was charged; the caller holds the lock.
func (s *Sim) take(in *invoice) *string {
	if in.Due == 0 {
		return nil
	}
	x := &charge{ID: s.id("ch"), Object: "charge", Amount: in.Due, Currency: in.Currency, Customer: in.Customer, Invoice: in.ID, Paid: true, Status: "succeeded", Created: s.now(), Livemode: s.cfg.Livemode}
	s.charges[x.ID] = x
	return &x.ID
}

// Refund gives cents of a charge back, as a button of Stripe's dashboard does. The subscription goes on.
func (s *Sim) Refund(id string, cents int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, err := find(s.charges, "charge", id)
	if err != nil {
		return err
	}
	if cents < 1 || cents > x.Amount-x.AmountRefunded {
		return invalid("amount", "of %s only %d cents are left to refund", id, x.Amount-x.AmountRefunded)
	}
	x.AmountRefunded += cents
	x.Refunded = x.AmountRefunded == x.Amount
	s.tell("charge.refunded", x)
	return nil
}

// Dispute is a customer who tells the bank that a charge is none of theirs.
func (s *Sim) Dispute(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, err := find(s.charges, "charge", id)
	if err != nil {
		return err
	}
	x.Disputed = true
	d := &dispute{ID: s.id("dp"), Object: "dispute", Amount: x.Amount, Charge: x.ID, Currency: x.Currency, Reason: "fraudulent", Status: "needs_response", Created: s.now(), Livemode: s.cfg.Livemode}
	s.disputes[d.ID] = d
	s.tell("charge.dispute.created", d)
	return nil
}
