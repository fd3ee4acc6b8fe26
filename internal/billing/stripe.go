package billing

import (
	"cmp"
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/client"

	"mailsweep/internal/sweep"
)

const (
	tries   = 3
	oneTry  = 5 * time.Second
	pageOf  = 100
	betwixt = 200 * time.Millisecond // before the second try; doubled before the third
)

// Options say which account at Stripe is ours.
type Options struct {
	Key     string        // "sk_live_…" or "sk_test_…"
	URL     string        // "": Stripe's
	Timeout time.Duration // of one try; 0: 5 s
	Observe func(call, outcome string, took time.Duration)
}

// Stripe is our account there. Calls are tried thrice at most; while Stripe is away most are refused at once.
type Stripe struct {
	api     *client.API
	live    bool
	timeout time.Duration
	observe func(call, outcome string, took time.Duration)
	breaker breaker
}

// Connect makes the client. It asks nothing yet.
func Connect(o Options) *Stripe {
	o.Timeout = cmp.Or(o.Timeout, oneTry)
	config := &stripe.BackendConfig{HTTPClient: &http.Client{Transport: transport(o.Timeout)}, LeveledLogger: &stripe.LeveledLogger{Level: stripe.LevelNull},
		MaxNetworkRetries: stripe.Int64(0), EnableTelemetry: stripe.Bool(false)}
	if o.URL != "" {
		config.URL = stripe.String(o.URL)
	}
	b := stripe.GetBackendWithConfig(stripe.APIBackend, config)
	s := &Stripe{api: client.New(o.Key, &stripe.Backends{API: b, Connect: b, Uploads: b}), live: strings.Contains(o.Key, "_live_"), timeout: o.Timeout, observe: o.Observe}
	if s.observe == nil {
		s.observe = func(string, string, time.Duration) {}
	}
	return s
}

func transport(timeout time.Duration) *http.Transport {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.MaxConnsPerHost, t.MaxIdleConnsPerHost, t.ResponseHeaderTimeout = 32, 8, timeout
	return t
}

// What Stripe says besides being away.
var (
	errMissing  = errors.New("Stripe knows no such object")
	errOther    = errors.New("the key was used for another request")
	errDeclined = sweep.Errorf(sweep.Conflict, "the card was declined: choose another one in the portal")
)

// ask calls Stripe. Unavailable while it is away; errMissing, errOther, errDeclined; what Stripe does not accept is Unavailable too: a mistake of ours.
func ask[T any](ctx context.Context, s *Stripe, call string, do func(context.Context) (T, error)) (v T, err error) {
	for try := 1; ; try++ {
		if err := s.breaker.enter(time.Now()); err != nil {
			s.observe(call, "refused", 0)
			return v, err
		}
		begin := time.Now()
		one, cancel := context.WithTimeout(ctx, s.timeout)
		v, err = do(one)
		cancel()
		outcome := outcomeOf(ctx, err)
		s.observe(call, outcome, time.Since(begin))
		s.breaker.leave(time.Now(), outcome)
		if outcome != "away" && outcome != "busy" || try == tries || !pause(ctx, betwixt<<(try-1)) {
			return v, meaning(outcome, err)
		}
	}
}

// outcomeOf is what became of a call, in one word.
func outcomeOf(ctx context.Context, err error) string {
	var e *stripe.Error
	switch {
	case err == nil:
		return "ok"
	case errors.Is(ctx.Err(), context.Canceled):
		return "left"
	case !errors.As(err, &e):
		return "away" // the network
	case e.HTTPStatusCode == http.StatusConflict:
		return "busy" // with the same request: it is there
	case e.HTTPStatusCode == http.StatusTooManyRequests, e.HTTPStatusCode >= 500:
		return "away"
	case e.HTTPStatusCode == http.StatusUnauthorized, e.HTTPStatusCode == http.StatusForbidden:
		return "forbidden"
	case e.Code == stripe.ErrorCodeResourceMissing:
		return "missing"
	case e.Type == stripe.ErrorTypeIdempotency:
		return "other"
	case e.HTTPStatusCode == http.StatusPaymentRequired:
		return "declined"
	}
	return "refused_by_stripe"
}

func meaning(outcome string, err error) error {
	switch outcome {
	case "away", "left":
		return errors.Join(away(breakFor), err)
	case "busy":
		return errors.Join(away(time.Second), err)
	case "forbidden":
		return errors.Join(sweep.Errorf(sweep.Unavailable, "payments are not available for the moment").With("retry_after", 300), err)
	case "missing":
		return errors.Join(errMissing, err)
	case "other":
		return errors.Join(errOther, err)
	case "declined":
		return errors.Join(errDeclined, err)
	case "refused_by_stripe": // a mistake of ours, such as a price that is sold no more: the log has it
		return errors.Join(sweep.Errorf(sweep.Unavailable, "payments are not available for the moment").With("retry_after", 300), err)
	}
	return err
}

// definite says that Stripe has answered, and that the same request would be answered the same.
func definite(err error) bool {
	var e *stripe.Error
	return sweep.CodeOf(err) != sweep.Unavailable || errors.As(err, &e) && e.HTTPStatusCode == http.StatusBadRequest
}

func away(wait time.Duration) error {
	return sweep.Errorf(sweep.Unavailable, "payments are not available for the moment: everything else works").With("retry_after", max(1, int(wait/time.Second)))
}

// pause waits about so long; false when ctx ends before.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d/2 + rand.N(d))
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}

// params are those of a call; key is the Idempotency-Key of one that changes something.
func params(ctx context.Context, key string) stripe.Params {
	p := stripe.Params{Context: ctx}
	if key != "" {
		p.SetIdempotencyKey(key)
	}
	return p
}

func listing(ctx context.Context) stripe.ListParams {
	return stripe.ListParams{Context: ctx, Limit: stripe.Int64(pageOf)}
}
