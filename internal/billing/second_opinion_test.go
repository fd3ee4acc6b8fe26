package billing_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/billing"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

// sent is a request of ours to Stripe.
type sent struct{ method, address, body string }

// every id of Stripe's in a path, so that requests are told apart by what they ask for
var someID = regexp.MustCompile(`/(?:[a-z]+_)+[A-Za-z0-9]{8,}|/mailsweep_[a-z]+`)

func (s sent) call() string {
	path, _, _ := strings.Cut(s.address, "?")
	return s.method + " " + someID.ReplaceAllString(path, "/{id}")
}

// recorder stands before the simulated Stripe and keeps what is asked.
func (r *rig) recorder(t *testing.T) (at string, all func() []sent) {
	to, err := url.Parse(r.at)
	require.NoError(t, err)
	proxy := httputil.NewSingleHostReverseProxy(to)
	var mu sync.Mutex
	var kept []sent
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		kept = append(kept, sent{req.Method, req.URL.RequestURI(), string(body)})
		mu.Unlock()
		req.Body = io.NopCloser(bytes.NewReader(body))
		proxy.ServeHTTP(w, req)
	}))
	t.Cleanup(s.Close)
	return s.URL, func() []sent { mu.Lock(); defer mu.Unlock(); return slices.Clone(kept) }
}

// startMock runs Stripe's own stand-in, which knows the parameters of each call by Stripe's specification and has no state.
func startMock(t *testing.T) (at string) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "stripe-mock")
	build := exec.CommandContext(t.Context(), "go", "build", "-modfile="+filepath.Join("..", "tools", "stripemock", "go.mod"), "-o", program, "github.com/stripe/stripe-mock")
	said, err := build.CombinedOutput()
	require.NoError(t, err, string(said))
	free := func() string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		return l.Addr().String()
	}
	plain, secure := free(), free() // its TLS listener would be on every address
	ctx, stop := context.WithCancel(context.Background())
	mock := exec.CommandContext(ctx, program, "-http-addr", plain, "-https-addr", secure)
	require.NoError(t, mock.Start())
	t.Cleanup(func() { stop(); _ = mock.Wait() }) // it ends by the kill
	testkit.Eventually(t, 30*time.Second, func() bool {
		c, err := net.Dial("tcp", plain)
		if err == nil {
			c.Close()
		}
		return err == nil
	}, "stripe-mock listens")
	return "http://" + plain
}

// ask sends a request to the mock.
func (s sent) ask(t *testing.T, at string) (status int, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), s.method, at+s.address, strings.NewReader(s.body))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+stripeKey)
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	res, err := http.DefaultClient.Do(req)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(body)
}

// Everything that we ask of Stripe is asked once of the simulated one, and then of Stripe's own specification.
func TestStripesSpecificationAcceptsEachRequestOfOurs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	at, all := r.recorder(t)
	for _, s := range []*billing.Service{r.Service, r.due} {
		s.Stripe = billing.Connect(billing.Options{Key: stripeKey, URL: at})
	}
	r.everything(t)
	calls := map[string]sent{}
	for _, s := range all() {
		calls[s.call()+" "+fmt.Sprint(len(s.body) > 0)+names(s)] = s
	}
	mock := startMock(t)
	kinds := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(calls)) {
		status, answer := calls[name].ask(t, mock)
		require.Equal(t, http.StatusOK, status, "%+v: %s", calls[name], answer)
		kinds[calls[name].call()] = true
	}
	require.GreaterOrEqual(t, len(kinds), 24, "%v", slices.Sorted(maps.Keys(kinds)))
	for _, bad := range []sent{{"POST", "/v1/checkout/sessions", "mode=rent"}, {"POST", "/v1/customers", "shoe_size=42"}, {"GET", "/v1/subscriptions?sort=up", ""}} {
		status, _ := bad.ask(t, mock)
		require.Equal(t, http.StatusBadRequest, status, "it does judge: %+v", bad)
	}
}

// names are the parameters of a request, without their values.
func names(s sent) string {
	_, query, _ := strings.Cut(s.address, "?")
	values, err := url.ParseQuery(s.body + "&" + query)
	if err != nil {
		return s.body
	}
	return strings.Join(slices.Sorted(maps.Keys(values)), ",")
}

// everything makes each call that we know, at least once.
func (r *rig) everything(t *testing.T) {
	t.Helper()
	ctx, plans := t.Context(), sweep.DefaultPlans()
	a := r.customer(t)
	_, err := r.Checkout(ctx, a, sweep.Basic, sweep.Month)
	require.NoError(t, err)
	page, err := r.Checkout(ctx, a, sweep.Pro, sweep.Month) // closes the first
	require.NoError(t, err)
	_, err = r.Checkout(ctx, a, sweep.Pro, sweep.Month) // looks at the second
	require.NoError(t, err)
	_, err = r.sim.Pay(session(page), "later")
	require.NoError(t, err)
	r.settle(t, a, func(s sweep.Subscription) bool { return s.Tier == sweep.Pro })
	_, err = r.Change(ctx, a, sweep.Basic, sweep.Month, time.Time{})
	require.NoError(t, err)
	_, err = r.Resume(ctx, a)
	require.NoError(t, err)
	p, err := r.Preview(ctx, a, sweep.Enterprise, sweep.Year)
	require.NoError(t, err)
	_, err = r.Change(ctx, a, sweep.Enterprise, sweep.Year, p.At) // declined: its invoice is looked for
	require.NoError(t, err)
	_, err = r.Open(ctx, a)
	require.NoError(t, err)
	_, err = r.Cancel(ctx, a)
	require.NoError(t, err)
	stripeID := value[string](t, r, "SELECT stripe_customer_id FROM customers")
	r.exec(t, "UPDATE customers SET stripe_customer_id = NULL")
	body := event("evt_found", "invoice.paid", stripeID)
	require.NoError(t, r.Hear(ctx, body, sign(r.sim.Now(), body, r.Secrets[0])))
	testkit.Eventually(t, 2*time.Minute, func() bool {
		_, err := r.Deal(ctx)
		require.NoError(t, err)
		return value[bool](t, r, "SELECT stripe_customer_id IS NOT NULL FROM customers")
	}, "the customer is found")
	r.exec(t, "UPDATE customers SET deleted_at = now()")
	_, err = r.due.Reconcile(ctx, func() error { return nil })
	require.NoError(t, err)
	dearer := plans[sweep.Pro]
	dearer.PriceCents++
	plans[sweep.Pro] = dearer
	for range 2 {
		_, err := billing.SetUp(ctx, r.Stripe, plans, r.Prices, "https://x.example/a")
		require.NoError(t, err)
	}
}
