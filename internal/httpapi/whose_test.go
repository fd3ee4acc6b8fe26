package httpapi_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TEN-12: no header, query or body says who the customer is: in each of 24 places another's id changes nothing, or is refused.
func TestNothingButTheCredentialSaysWhoTheCustomerIs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	ada, eve := r.member(t, "ada@example.com"), r.member(t, "eve@example.com")
	id := func(token string) string {
		id, is := r.call(t, "GET", "/api/v1/auth/me", token, "").object(t)["id"].(string)
		require.True(t, is)
		return id
	}
	own, other := id(ada), id(eve)
	require.NotEqual(t, own, other)
	require.Equal(t, 200, r.call(t, "PUT", "/api/v1/keep-list", eve, `{"entries":["@eve.example"]}`).StatusCode)
	tried := 0
	for _, name := range []string{"X-Customer-ID", "X-Customer", "X-Tenant-ID", "X-Tenant", "X-Account-ID", "X-Organization-ID", "X-User-ID", "X-Forwarded-User", "X-Auth-Request-User", "X-Original-User", "Customer-ID", "App-Customer-Id"} {
		require.Equal(t, own, r.call(t, "GET", "/api/v1/auth/me", ada, "", name, other).object(t)["id"], name)
		tried++
	}
	require.Equal(t, own, r.call(t, "GET", "/api/v1/auth/me", ada, "", "Cookie", "customer_id="+other).object(t)["id"])
	for _, name := range []string{"customer_id", "customer", "tenant", "tenant_id", "account_id", "cid", "app.customer_id"} {
		a := r.call(t, "GET", "/api/v1/keep-list?"+name+"="+other, ada, "")
		require.NotContains(t, string(a.body), "eve.example", name)
		require.True(t, a.StatusCode == 200 || a.StatusCode == 400 || a.StatusCode == 422, "%s: %d", name, a.StatusCode)
		tried++
	}
	for _, member := range []string{"customer_id", "customer", "tenant_id", "cid"} {
		a := r.call(t, "PUT", "/api/v1/keep-list", ada, `{"entries":["@ada.example"],"`+member+`":"`+other+`"}`)
		require.Equal(t, 422, a.StatusCode, member)
		tried++
	}
	require.Equal(t, 24, tried+1, "places, the cookie with them")
	kept := string(r.call(t, "GET", "/api/v1/keep-list", eve, "").body)
	require.True(t, strings.Contains(kept, "eve.example") && !strings.Contains(kept, "ada.example"), kept)
}
