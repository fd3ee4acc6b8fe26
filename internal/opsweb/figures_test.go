package opsweb_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/ops"
	"mailsweep/internal/sweep"
)

func TestFiguresAreAPageAndJSONAndCSV(t *testing.T) {
	t.Parallel()
	k := newDesk(t)
	p := k.place()
	k.exec("UPDATE plan_history SET at = at - interval '1 minute'")
	k.exec("UPDATE customers SET plan = 'pro' WHERE id = $1", p.customer.String())
	k.exec("INSERT INTO usage_tracking (customer_id, period_start, used) VALUES ($1, $2, 12345)", p.customer.String(), sweep.PeriodAt(time.Now()).Start)
	month := time.Now().UTC().Format("2006-01")
	page := k.get("/ops/figures")
	for _, says := range []string{"Figures of " + month, `href="/ops/figures" aria-current="page"`, "$29.00", "12,345", "<td>pro</td>", "<dt>Churn</dt>", "of a yearly price a twelfth"} {
		require.Contains(t, page, says)
	}
	require.NotContains(t, page, "alice")
	require.NotContains(t, page, "no value")
	require.NotContains(t, page, sweep.CustomerID.Show(p.customer))

	ask := httptest.NewRequest("GET", "/ops/figures?month="+month, nil)
	ask.Header.Set("Accept", "application/json")
	res, body := k.send(ask)
	require.Equal(t, []any{http.StatusOK, "application/json"}, []any{res.StatusCode, res.Header.Get("Content-Type")})
	var f ops.Figures
	require.NoError(t, json.Unmarshal([]byte(body), &f))
	require.Equal(t, []any{month, 2_900, 1, int64(12_345)}, []any{f.Month, f.MRRCents, f.Paying, f.Emails.Sum})
	require.JSONEq(t, stripped(t, body), stripped(t, k.get("/ops/figures?format=json")))
	require.Contains(t, k.get("/ops/figures?format=csv"), month+",pro,paying,1\n")
	for _, bad := range []string{"?month=november", "?month=2126-01", "?format=xml"} {
		res, _ := k.send(httptest.NewRequest("GET", "/ops/figures"+bad, nil))
		require.Equal(t, http.StatusUnprocessableEntity, res.StatusCode, bad)
	}
}

// stripped is figures without the moment at which they were read.
func stripped(t *testing.T, body string) string {
	t.Helper()
	var all map[string]any
	require.NoError(t, json.Unmarshal([]byte(body), &all))
	delete(all, "until")
	rest, err := json.Marshal(all)
	require.NoError(t, err)
	return string(rest)
}
