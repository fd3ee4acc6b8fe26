package httpapi_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/mail"
)

var tokenOfAddress = regexp.MustCompile(`/(?:confirm|undo)-email\?token=([A-Za-z0-9_-]{43})`)

// addressToken is that of the mail of a kind which went to an address.
func (r *rig) addressToken(t *testing.T, kind mail.Kind, to string) string {
	t.Helper()
	r.deliverAll(t)
	m, err := r.sink.WaitFor(t.Context(), to, string(kind))
	require.NoError(t, err)
	found := tokenOfAddress.FindStringSubmatch(m.Text)
	require.NotNil(t, found, m.Text)
	return found[1]
}

// VER-5
func TestAnAddressChangesAndIsTakenBackOverHTTP(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	old := r.member(t, "ada@example.com")
	r.member(t, "eve@example.com")
	ask := func(email string) answer {
		return r.call(t, "POST", "/api/v1/auth/email/change", old, `{"email":"`+email+`","password":"`+good+`"}`)
	}
	taken, free := ask("eve@example.com"), ask("new@example.com")
	require.Equal(t, 202, taken.StatusCode, string(taken.body))
	require.Equal(t, 202, free.StatusCode, string(free.body))
	same := func(a answer, email string) []string {
		o := a.object(t)
		require.Equal(t, email, o["email"])
		names := map[string]bool{}
		for name := range o {
			names[name] = true
		}
		return sorted(names)
	}
	require.Equal(t, same(taken, "eve@example.com"), same(free, "new@example.com"))
	token := r.addressToken(t, mail.EmailChange, "new@example.com")
	problem(t, r.call(t, "POST", "/api/v1/auth/email/confirm", "", `{"token":"`+token+`"}`), 401, "unauthenticated")
	problem(t, r.call(t, "POST", "/api/v1/auth/email/confirm", old, `{"token":"`+strings.ToLower(token)+`x"}`), 400, "invalid_request")

	ada := r.browser(t, "ada@example.com", "")
	changed := r.browserOf(t, r.call(t, "POST", "/api/v1/auth/email/confirm", "", `{"token":"`+token+`"}`, ada.headers()...))
	require.Equal(t, 401, r.call(t, "GET", "/api/v1/auth/me", old, "").StatusCode)
	require.Equal(t, 401, r.call(t, "GET", "/api/v1/auth/me", "", "", ada.headers()...).StatusCode)
	me := r.call(t, "GET", "/api/v1/auth/me", "", "", changed.headers()...)
	require.Equal(t, "new@example.com", me.object(t)["email"])

	undo := r.addressToken(t, mail.EmailChanged, "ada@example.com")
	undone := r.call(t, "POST", "/api/v1/auth/email/undo", "", `{"token":"`+undo+`"}`)
	require.Equal(t, 202, undone.StatusCode, string(undone.body))
	require.Equal(t, 401, r.call(t, "GET", "/api/v1/auth/me", "", "", changed.headers()...).StatusCode)
	problem(t, r.call(t, "POST", "/api/v1/auth/email/undo", "", `{"token":"`+undo+`"}`), 400, "invalid_request")
	problem(t, r.call(t, "POST", "/api/v1/auth/login", "", `{"email":"ada@example.com","password":"`+good+`"}`), 401, "unauthenticated")
}
