// Package stripe stands in for Stripe over real HTTP: API 2023-10-16 as far as a subscription business uses it, with state, a clock that can be moved,
// hosted pages that a person can click, and signed webhooks. It imports nothing of ours. What it knows of Stripe is from Stripe's public API
// reference and from stripe-go v76, which pins that version.
package stripe

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Version is the API that is spoken.
const Version = "2023-10-16"

// Config says who may ask, and how the outside behaves.
type Config struct {
	SecretKey string           // "sk_test_…"
	Livemode  bool             // what objects and events say of themselves
	Now       func() time.Time // nil: the machine's; Advance adds to it
}

// Sim is one Stripe account.
type Sim struct {
	cfg Config
	mux *http.ServeMux

	mu     sync.Mutex
	offset time.Duration
	n      int // of objects so far: ids sort by age

	customers     map[string]*customer
	methods       map[string]*method
	products      map[string]*product
	prices        map[string]*price
	sessions      map[string]*session
	portals       map[string]*portal
	subscriptions map[string]*subscription
	schedules     map[string]*schedule
	invoices      map[string]*invoice
	charges       map[string]*charge
	disputes      map[string]*dispute
	endpoints     map[string]*endpoint
	configs       map[string]*portalConfig
	events        []*event
	sent          int               // deliveries
	answers       map[string]stored // by idempotency key

	faults Faults
	post   chan delivery // to endpoints; one at a time unless told otherwise
}

// New makes an empty account. Its webhooks are sent until ctx of Deliver ends.
func New(cfg Config) *Sim {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Sim{cfg: cfg, customers: map[string]*customer{}, methods: map[string]*method{}, products: map[string]*product{}, prices: map[string]*price{}, sessions: map[string]*session{},
		portals: map[string]*portal{}, subscriptions: map[string]*subscription{}, schedules: map[string]*schedule{}, invoices: map[string]*invoice{}, endpoints: map[string]*endpoint{},
		charges: map[string]*charge{}, disputes: map[string]*dispute{}, configs: map[string]*portalConfig{}, answers: map[string]stored{}, post: make(chan delivery, 10_000)}
	s.routes()
	return s
}

func (s *Sim) routes() {
	s.mux = http.NewServeMux()
	s.catalogRoutes()
	s.checkoutRoutes()
	s.subscriptionRoutes()
	s.scheduleRoutes()
	s.invoiceRoutes()
	s.chargeRoutes()
	s.eventRoutes()
	s.pageRoutes()
}

// ServeHTTP implements http.Handler.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// now is the account's time in seconds; the caller holds the lock.
func (s *Sim) now() int64 { return s.cfg.Now().Add(s.offset).Unix() }

// id makes one as Stripe shows them; the caller holds the lock.
func (s *Sim) id(prefix string) string {
	s.n++
	b := make([]byte, 6)
	rand.Read(b)
	return fmt.Sprintf("%s_%08d%s", prefix, s.n, hex.EncodeToString(b))
}

// fail is Stripe's answer to what it cannot do.
type fail struct {
	status  int
	Type    string `json:"type"`
	Code    string `json:"code,omitempty"`
	Message string `json:"message"`
	Param   string `json:"param,omitempty"`
	Decline string `json:"decline_code,omitempty"`
}

func (f *fail) Error() string { return f.Message }

func invalid(param, format string, args ...any) *fail {
	return &fail{status: http.StatusBadRequest, Type: "invalid_request_error", Message: fmt.Sprintf(format, args...), Param: param}
}

func missing(what, id string) *fail {
	return &fail{status: http.StatusNotFound, Type: "invalid_request_error", Code: "resource_missing", Message: fmt.Sprintf("No such %s: '%s'", what, id), Param: "id"}
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Stripe-Version", Version)
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(v) //nolint:errcheck // whoever asked has gone
}

// call is one request to the API.
type call struct {
	*http.Request
	params params
}

// route lets do answer a request of who has the key; the lock is held meanwhile. POSTs with an idempotency key are answered once.
func (s *Sim) route(pattern string, do func(c call) (any, error)) {
	s.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Request-Id", "req_"+strings.ToLower(rand.Text()[:14]))
		s.mu.Lock()
		today := s.faults
		s.mu.Unlock()
		if today.before(w, r) {
			return
		}
		c, err := s.read(r)
		if err != nil {
			status, body := failed(err)
			answer(w, status, body)
			return
		}
		status, body := s.do(c, do)
		if !today.after(w, r) {
			answer(w, status, body)
		}
	})
}

// do does what a request asks for and writes the answer, while nobody else does anything.
func (s *Sim) do(c call, do func(c call) (any, error)) (int, json.RawMessage) {
	s.mu.Lock()
	defer s.mu.Unlock()
	status, v := s.once(c, func() (int, any) { return s.try(c, do) })
	body, err := json.Marshal(v)
	if err != nil {
		panic(err) // it is what the API answers with
	}
	return status, body
}

func (s *Sim) try(c call, do func(c call) (any, error)) (int, any) {
	v, err := do(c)
	if err == nil {
		err = c.params.unread()
	}
	if err != nil {
		return failed(err)
	}
	return http.StatusOK, v
}

func failed(err error) (int, any) {
	f, is := err.(*fail)
	if !is {
		f = &fail{status: http.StatusInternalServerError, Type: "api_error", Message: err.Error()}
	}
	return f.status, map[string]any{"error": f}
}

func (s *Sim) read(r *http.Request) (c call, err error) {
	key, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if user, _, basic := r.BasicAuth(); basic {
		key, isBearer = user, true
	}
	if !isBearer || key != s.cfg.SecretKey {
		return c, &fail{status: http.StatusUnauthorized, Type: "invalid_request_error", Message: "Invalid API Key provided"}
	}
	if v := r.Header.Get("Stripe-Version"); v != Version {
		return c, invalid("", "this account is spoken to in version %s, not %q", Version, v)
	}
	p, err := readParams(r)
	return call{r, p}, err
}

// list is a page of Stripe's.
func list[T any](path string, all []T) map[string]any {
	if all == nil {
		all = []T{}
	}
	return map[string]any{"object": "list", "url": path, "has_more": false, "data": all}
}
