package httpapi_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// An owner reads what was done in the account, and nobody else's.
func TestAnOwnerReadsTheAuditLog(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token, other := r.member(t, "ada@example.com"), r.member(t, "bob@example.com")
	require.Equal(t, 200, r.call(t, "PUT", "/api/v1/keep-list", token, `{"entries":["@bank.example"]}`).StatusCode)
	actions := func(token string) (list []any) {
		a := r.call(t, "GET", "/api/v1/audit?limit=100", token, "")
		require.Equal(t, 200, a.StatusCode, string(a.body))
		for _, e := range a.object(t)["items"].([]any) {
			list = append(list, e.(map[string]any)["action"])
		}
		return list
	}
	require.Equal(t, "keep_list.replaced", actions(token)[0])
	require.NotContains(t, actions(other), "keep_list.replaced")
	problem(t, r.call(t, "GET", "/api/v1/audit?cursor=job_1", token, ""), 400, "invalid_request")
}
