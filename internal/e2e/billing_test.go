package e2e

import (
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/testkit"
)

// A person buys a plan on Stripe's page, as the simulated Stripe has it; the page that comes after is not opened. Setting up again changes nothing.
func TestAPlanIsPaidOnStripesPage(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), nil)
	u := r.signUp(t, "ada")
	var page struct{ URL, Kind string }
	require.NoError(t, u.Do(u.ctx(), http.MethodPost, "/api/v1/billing/checkout", map[string]string{"plan": "enterprise", "every": "year"}, &page))
	stay := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	shown, err := stay.Get(page.URL)
	require.NoError(t, err)
	shown.Body.Close()
	require.Equal(t, http.StatusOK, shown.StatusCode)
	paid, err := stay.PostForm(page.URL, url.Values{"card": {"ok"}})
	require.NoError(t, err)
	paid.Body.Close()
	require.Equal(t, http.StatusSeeOther, paid.StatusCode)
	var view struct {
		Plan         string
		Subscription *struct {
			Status string
			Cents  int `json:"price_cents"`
		}
	}
	testkit.Eventually(t, patience, func() bool {
		u.get("/api/v1/billing", &view)
		return view.Plan == "enterprise"
	}, "what was paid is in force")
	require.Equal(t, 99_000, view.Subscription.Cents)
	again := r.Command(t.Context(), "scheduler", "stripe-setup")
	printed, err := again.Output()
	require.NoError(t, err)
	require.Contains(t, string(printed), r.Env["STRIPE_PRICES"])
	require.NotContains(t, string(printed), "whsec_", "the endpoint is there: Stripe shows its secret once")
}
