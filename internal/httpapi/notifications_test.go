package httpapi_test

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMailsAreChosenOverHTTP(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := r.member(t, "ada@example.com")
	const path = "/api/v1/auth/notifications"
	first := func(a answer) map[string]any {
		require.Equal(t, 200, a.StatusCode, string(a.body))
		return a.object(t)["items"].([]any)[0].(map[string]any)
	}
	require.Equal(t, true, first(r.call(t, "GET", path, token, ""))["on"])
	require.Equal(t, false, first(r.call(t, "PUT", path, token, `{"off":["quota_warning"]}`))["on"])
	problem(t, r.call(t, "PUT", path, token, `{"off":["nonsense"]}`), 422, "invalid_request")
	problem(t, r.call(t, "PUT", path, token, `{"off":["security_notice"]}`), 422, "invalid_request")
	kept := first(r.call(t, "GET", path, token, ""))
	require.Equal(t, []any{"quota_warning", false}, []any{kept["kind"], kept["on"]})
	problem(t, r.call(t, "GET", path, "", ""), 401, "unauthenticated")
}
