package billing

import (
	"context"
	"crypto/hmac"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/webhook"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// MaxEvent is how large the body of an event may be, in bytes.
const MaxEvent = 256 << 10

// skew is how far the time of a signature may be from ours, both ways.
const skew = 300 * time.Second

// Kinds are the events that concern us. What they say is not believed: each leads to a look at Stripe.
func Kinds() []string {
	return []string{"checkout.session.completed", "checkout.session.async_payment_succeeded", "checkout.session.async_payment_failed", "customer.subscription.created",
		"customer.subscription.updated", "customer.subscription.deleted", "customer.subscription.paused", "customer.subscription.resumed", "customer.subscription.trial_will_end",
		"customer.subscription.pending_update_applied", "customer.subscription.pending_update_expired", "invoice.paid", "invoice.payment_failed", "invoice.payment_action_required",
		"invoice.finalization_failed", customerDeleted, refunded, disputed}
}

const (
	customerDeleted = "customer.deleted"
	refunded        = "charge.refunded"
	disputed        = "charge.dispute.created"
)

// told is an event as far as we read it.
type toldEvent struct {
	ID       string `json:"id"`
	Kind     string `json:"type"`
	Version  string `json:"api_version"`
	Created  int64  `json:"created"`
	Livemode *bool  `json:"livemode"`
	Data     struct {
		Object struct {
			ID       string          `json:"id"`
			Object   string          `json:"object"`
			Customer json.RawMessage `json:"customer"`
		} `json:"object"`
	} `json:"data"`
}

// Hear takes the body of a webhook with its signature and writes it down, once, before it answers. What it leads to is done later by Run. BadRequest
// for what Stripe did not sign with a secret of ours within 300 s, or for another mode; any other error asks for another try.
func (s *Service) Hear(ctx context.Context, body []byte, signature string) error {
	if s == nil || s.Stripe == nil || len(s.Secrets) == 0 {
		return sweep.Errorf(sweep.Unavailable, "payments are not set up here").With("retry_after", 3600)
	}
	if !s.signed(body, signature) {
		s.count("other", "forged")
		return sweep.Errorf(sweep.BadRequest, "the signature is not Stripe's for this body")
	}
	e, ok := readEvent(body)
	if !ok {
		s.count("other", "unreadable")
		return sweep.Errorf(sweep.BadRequest, "this is no event of Stripe's")
	}
	if *e.Livemode != s.Stripe.live {
		s.count(known(e.Kind), "other_mode")
		s.alarm(ctx, "livemode")
		return sweep.Errorf(sweep.BadRequest, "this event is of another mode than ours")
	}
	row := e.row(body)
	first, err := s.DB.KeepStripeEvent(ctx, row)
	switch {
	case err != nil:
		return err
	case !first:
		s.count(known(e.Kind), "again")
		return nil
	}
	s.count(known(e.Kind), row.State)
	if row.Reason != "" {
		s.alarm(ctx, row.Reason, "event", e.ID)
	}
	if row.State == store.EventWaiting {
		s.Wake()
	}
	return nil
}

// readEvent reads what Stripe tells; ok is false for what is no event of Stripe's.
func readEvent(body []byte) (e toldEvent, ok bool) {
	err := json.Unmarshal(body, &e)
	return e, err == nil && e.ID != "" && len(e.ID) <= 255 && e.Kind != "" && e.Livemode != nil && utf8.Valid(body)
}

// row is what is written down of an event.
func (e toldEvent) row(body []byte) store.StripeEvent {
	row := store.StripeEvent{ID: e.ID, Kind: e.Kind, Version: e.Version, Object: e.Data.Object.ID, ToldAt: instant(e.Created), State: store.EventWaiting, Customer: e.customer()}
	switch {
	case !slices.Contains(Kinds(), e.Kind):
		row.State, row.Kind = store.EventIgnored, clip(e.Kind)
		return row
	case e.Kind == disputed:
		row.Reason = oddDispute // whose it is stands at Stripe
	case row.Customer == "":
		row.State, row.Reason = store.EventQuarantined, "no_customer"
	case e.Version != stripe.APIVersion:
		row.Reason = "version" // it leads to a look like any other: that is answered in our version
	default:
		return row
	}
	row.Raw = string(nameless(body))
	return row
}

// customer is the id of the object's customer: a text, or an object that was expanded.
func (e toldEvent) customer() (id string) {
	if e.Data.Object.Object == "customer" {
		return clip(e.Data.Object.ID)
	}
	if json.Unmarshal(e.Data.Object.Customer, &id) == nil {
		return clip(id)
	}
	var expanded struct {
		ID string `json:"id"`
	}
	if json.Unmarshal(e.Data.Object.Customer, &expanded) == nil {
		return clip(expanded.ID)
	}
	return ""
}

func clip(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s[:min(len(s), 255)], ""), "\x00", "")
}

// signed checks the header "t=…,v1=…": one time, near ours, and one of its signatures by one of our secrets.
func (s *Service) signed(body []byte, header string) bool {
	var at int64
	times, macs := 0, [][]byte{}
	for pair := range strings.SplitSeq(header, ",") {
		switch name, value, _ := strings.Cut(strings.TrimSpace(pair), "="); name {
		case "t":
			n, err := strconv.ParseInt(value, 10, 64)
			if err != nil {
				return false
			}
			at, times = n, times+1
		case "v1":
			if mac, err := hex.DecodeString(value); err == nil && len(macs) < 8 {
				macs = append(macs, mac)
			}
		}
	}
	if times != 1 || s.now().Sub(time.Unix(at, 0)).Abs() > skew {
		return false
	}
	good := false
	for _, secret := range s.Secrets {
		want := webhook.ComputeSignature(time.Unix(at, 0), body, secret)
		for _, mac := range macs {
			good = hmac.Equal(want, mac) || good
		}
	}
	return good
}

// nameless is a body without what names people: addresses of all sorts, names, telephone numbers.
func nameless(body []byte) []byte {
	var v any
	if json.Unmarshal(body, &v) != nil {
		return nil
	}
	out, err := json.Marshal(masked("", v))
	if err != nil {
		return nil
	}
	return out
}

func masked(name string, v any) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			v[k] = masked(k, x)
		}
	case []any:
		for i, x := range v {
			v[i] = masked(name, x)
		}
	case string:
		if strings.Contains(v, "@") || name == "ip" || strings.HasSuffix(name, "_ip") { // "ip" stands in "subscription" too
			return "[masked]"
		}
		for _, word := range []string{"name", "email", "phone", "line1", "line2", "city", "postal", "address", "description"} {
			if strings.Contains(name, word) {
				return "[masked]"
			}
		}
	}
	return v
}

// known is a kind as a label: strangers choose no labels.
func known(kind string) string {
	if slices.Contains(Kinds(), kind) {
		return kind
	}
	return "other"
}

func (s *Service) count(kind, outcome string) {
	if s.Watch.Event != nil {
		s.Watch.Event(kind, outcome)
	}
}
