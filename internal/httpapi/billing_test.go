package httpapi_test

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/stripe/stripe-go/v76/webhook"

	"mailsweep/internal/billing"
	"mailsweep/internal/sweep"
)

// subscribe buys a plan over HTTP and hears of it.
func (p *poster) subscribe(t *testing.T, plan string) {
	t.Helper()
	page := p.call(t, "POST", "/api/v1/billing/checkout", p.token, `{"plan":"`+plan+`"}`)
	require.Equal(t, 200, page.StatusCode, string(page.body))
	at := page.object(t)["url"].(string)
	_, err := p.stripe.Pay(at[strings.LastIndex(at, "/")+1:], "ok")
	require.NoError(t, err)
	var customer string
	require.NoError(t, p.root.QueryRow(t.Context(), "SELECT stripe_customer_id FROM customers WHERE stripe_customer_id IS NOT NULL").Scan(&customer))
	require.Equal(t, 200, p.hears(t, "evt_"+plan, "customer.subscription.created", customer).StatusCode)
	n, err := p.Billing.Deal(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, n)
}

// hears posts an event as Stripe does.
func (r *rig) hears(t *testing.T, id, kind, customer string, pad ...string) answer {
	t.Helper()
	body := fmt.Sprintf(`{"id":%q,"object":"event","type":%q,"api_version":"2023-10-16","created":%d,"livemode":false,"data":{"object":{"id":"sub_1","object":"subscription","customer":%q}}%s}`,
		id, kind, time.Now().Unix(), customer, strings.Join(pad, ""))
	now := time.Now()
	return r.call(t, "POST", "/webhooks/stripe", "", body, "Stripe-Signature", fmt.Sprintf("t=%d,v1=%s", now.Unix(), hex.EncodeToString(webhook.ComputeSignature(now, []byte(body), r.Billing.Secrets[0]))))
}

func TestAPlanIsBoughtChangedAndCanceledOverHTTP(t *testing.T) {
	t.Parallel()
	p := newPoster(t)
	p.exec(t, "UPDATE customers SET granted_plan = NULL, trial_ends_at = NULL, plan_version = plan_version + 1")
	for _, body := range []string{`{}`, `{"plan":"free"}`, `{"plan":"platinum"}`, `{"plan":"Pro"}`, `{"plan":"pro","every":"week"}`, `{"plan":"pro","price_cents":1}`, `{"plan":"pro","customer_id":"cus_1"}`} {
		problem(t, p.call(t, "POST", "/api/v1/billing/checkout", p.token, body), 422, "invalid_request")
	}
	for _, path := range []string{"portal", "cancel", "resume"} {
		problem(t, p.call(t, "POST", "/api/v1/billing/"+path, p.token, ""), 409, "conflict")
	}
	require.Equal(t, "free", p.call(t, "GET", "/api/v1/billing", p.token, "").object(t)["plan"])
	p.subscribe(t, "basic")
	view := p.call(t, "GET", "/api/v1/billing", p.token, "").object(t)
	require.Equal(t, []any{"basic", "active", 900.0}, []any{view["plan"], view["subscription"].(map[string]any)["status"], view["subscription"].(map[string]any)["price_cents"]})
	preview := p.call(t, "GET", "/api/v1/billing/preview?plan=enterprise&every=year", p.token, "").object(t)
	require.Equal(t, []any{"now", 99000.0}, []any{preview["effect"], preview["then_cents"]})
	changed := p.call(t, "POST", "/api/v1/billing/change", p.token, `{"plan":"enterprise","every":"year","at":"`+preview["at"].(string)+`"}`)
	require.Equal(t, 200, changed.StatusCode, string(changed.body))
	require.Equal(t, "now", changed.object(t)["effect"])
	paid := p.stripe.Books().Paid
	for _, invoices := range paid {
		require.EqualValues(t, preview["total_cents"], invoices[len(invoices)-1])
	}
	problem(t, p.call(t, "POST", "/api/v1/billing/change", p.token, `{"plan":"pro","at":"2020-01-01T00:00:00Z"}`), 409, "conflict")

	p.connect(t, p.token)
	p.exec(t, `INSERT INTO google_accounts (account, created_at) VALUES ('second', now())`)
	p.exec(t, `INSERT INTO mailboxes (customer_id, id, account, email, state, connected_at) SELECT id, gen_random_uuid(), 'second', 'new@gmail.example', 'active', now() + interval '1 hour' FROM customers`)
	tooSmall := problem(t, p.call(t, "POST", "/api/v1/billing/change", p.token, `{"plan":"basic"}`), 409, "conflict")
	require.Equal(t, "new@gmail.example", tooSmall["let_go"].([]any)[0].(map[string]any)["email"], "the newest goes first")
	require.Len(t, tooSmall["let_go"], 1)
	require.Equal(t, "at_period_end", p.call(t, "POST", "/api/v1/billing/change", p.token, `{"plan":"pro"}`).object(t)["effect"], "five fit into pro")
	require.Equal(t, "at_period_end", p.call(t, "POST", "/api/v1/billing/cancel", p.token, "").object(t)["effect"])
	require.Equal(t, "ending", p.call(t, "GET", "/api/v1/billing", p.token, "").object(t)["banner"].(map[string]any)["kind"])
	require.Equal(t, "now", p.call(t, "POST", "/api/v1/billing/resume", p.token, "").object(t)["effect"])
	require.Eventually(t, func() bool {
		return p.call(t, "POST", "/api/v1/api-keys", p.token, "{}").StatusCode == 422
	}, patience, 20*time.Millisecond, "what was bought is seen within a second")
	_, key := p.apiKey(t, p.token, sweep.ScopeBilling)
	require.Equal(t, 200, p.call(t, "GET", "/api/v1/billing", key, "").StatusCode)
	require.Equal(t, 200, p.call(t, "POST", "/api/v1/billing/portal", key, "").StatusCode)
	_, reads := p.apiKey(t, p.token, sweep.ScopeRead)
	problem(t, p.call(t, "GET", "/api/v1/billing", reads, ""), 403, "forbidden")
}

// WHK-1: the webhook is outside of what guards pages and programs, and takes up to 256 KiB.
func TestStripesWebhookTakesWhatStripeSends(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	require.Equal(t, `{"received":true}`, strings.TrimSpace(string(r.hears(t, "evt_1", "invoice.paid", "cus_1").body)))
	require.Equal(t, 200, r.hears(t, "evt_1", "invoice.paid", "cus_1").StatusCode)
	require.Equal(t, 200, r.hears(t, "evt_large", "invoice.paid", "cus_1", `,"x":"`+strings.Repeat("x", 250<<10)+`"`).StatusCode)
	problem(t, r.hears(t, "evt_too_large", "invoice.paid", "cus_1", `,"x":"`+strings.Repeat("x", 1<<20)+`"`), 413, "too_large")
	problem(t, r.call(t, "POST", "/webhooks/stripe", "", `{"id":"evt_2"}`, "Stripe-Signature", "t=1,v1=00"), 400, "invalid_request")
	problem(t, r.call(t, "POST", "/webhooks/stripe", "", `{"id":"evt_2"}`), 400, "invalid_request")
	problem(t, r.call(t, "POST", "/api/v1/auth/login", "", `{"email":"`+strings.Repeat("x", 65<<10)+`"}`), 413, "too_large")
	require.Equal(t, 2, r.count(t, "stripe_events"))
	require.NotContains(t, r.log.String(), r.Billing.Secrets[0])
}

// trust: BIL-10: without payments, and while Stripe is away, only they are unavailable.
func TestWithoutStripeOnlyPaymentsAreUnavailable(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*rig){
		"not set up": func(r *rig) { r.Billing.Stripe = nil },
		"away": func(r *rig) {
			dead, err := url.Parse("http://127.0.0.1:1")
			if err == nil {
				r.Billing.Stripe = billing.Connect(billing.Options{Key: "sk_test_simulated", URL: dead.String()})
			}
		},
	} {
		r := newRig(t, change)
		token := r.member(t, "ada@example.com")
		for range 3 {
			p := r.call(t, "POST", "/api/v1/billing/checkout", token, `{"plan":"pro"}`)
			problem(t, p, http.StatusServiceUnavailable, "unavailable")
			require.NotEmpty(t, p.Header.Get("Retry-After"), name)
		}
		for _, path := range []string{"/api/v1/billing", "/api/v1/billing/plans", "/api/v1/gmail/usage", "/api/v1/auth/me", "/health/ready"} {
			require.Equal(t, 200, r.call(t, "GET", path, token, "").StatusCode, "%s: %s", name, path)
		}
	}
}

// Nobody whose address is not proven buys: not with a token from before, nor with a key.
func TestNobodyUnverifiedBuys(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := r.member(t, "ada@example.com")
	r.exec(t, "UPDATE users SET verified_at = NULL")
	require.Eventually(t, func() bool {
		return r.call(t, "POST", "/api/v1/billing/checkout", token, `{"plan":"pro"}`).StatusCode == 401
	}, patience, 20*time.Millisecond)
	var user, customer string
	require.NoError(t, r.root.QueryRow(t.Context(), "SELECT user_id, customer_id FROM members").Scan(&user, &customer))
	a := sweep.Actor{Kind: sweep.ByToken, Role: sweep.Owner}
	var err error
	a.User, err = sweep.ParseUUID(user)
	require.NoError(t, err)
	a.Customer, err = sweep.ParseUUID(customer)
	require.NoError(t, err)
	before := r.stripe.Books()
	_, err = r.Billing.Checkout(t.Context(), a, sweep.Pro, sweep.Month)
	require.Equal(t, sweep.EmailUnverified, sweep.CodeOf(err))
	require.Equal(t, before, r.stripe.Books())
}
