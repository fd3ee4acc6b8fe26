package httpapi_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
	"mailsweep/internal/secret"
	"mailsweep/internal/testkit"
)

// MFA-5, MFA-6: over HTTP, as a client does it.
func TestASecondFactorFromEnrolmentToDemand(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := r.member(t, "ada@example.com")
	offer := r.call(t, "POST", "/api/v1/auth/2fa/enrol", token, `{"password":"`+good+`"}`)
	require.Equal(t, 200, offer.StatusCode, string(offer.body))
	require.Equal(t, "no-store", offer.Header.Get("Cache-Control"))
	var offered account.FactorOffer
	offer.into(t, &offered)
	app, err := secret.ReadTOTP(offered.Secret)
	require.NoError(t, err)
	next := func() string {
		_, err := r.root.Exec(t.Context(), "UPDATE second_factors SET last_step = 0")
		require.NoError(t, err)
		code, err := app.Code(time.Now())
		require.NoError(t, err)
		return code
	}
	var on account.FactorOn
	r.call(t, "POST", "/api/v1/auth/2fa/confirm", token, `{"code":"`+next()+`"}`).into(t, &on)
	require.Len(t, on.RecoveryCodes, 10)
	require.Equal(t, 200, r.call(t, "GET", "/api/v1/auth/me", on.Session.AccessToken, "").StatusCode)

	login := r.call(t, "POST", "/api/v1/auth/login", "", `{"email":"ada@example.com","password":"`+good+`"}`)
	require.Equal(t, 401, login.StatusCode)
	owed := login.object(t)
	require.Equal(t, "totp_required", owed["code"])
	verified := r.call(t, "POST", "/api/v1/auth/2fa/verify", "", `{"challenge":"`+owed["challenge"].(string)+`","code":"`+next()+`"}`)
	require.Equal(t, 200, verified.StatusCode, string(verified.body))
	session := verified.object(t)["access_token"].(string)

	require.Equal(t, "feature_not_in_plan", r.call(t, "PUT", "/api/v1/demands", session, `{"require_2fa":true}`).object(t)["code"])
	_, err = r.root.Exec(t.Context(), "UPDATE customers SET plan = 'enterprise', plan_version = plan_version + 1")
	require.NoError(t, err)
	require.Equal(t, 200, r.call(t, "PUT", "/api/v1/demands", session, `{"require_2fa":true}`).StatusCode)
	require.Equal(t, 200, r.call(t, "GET", "/api/v1/gmail/usage", session, "").StatusCode)
	_, err = r.root.Exec(t.Context(), "DELETE FROM second_factors")
	require.NoError(t, err)
	testkit.Eventually(t, 15*time.Second, func() bool {
		a := r.call(t, "GET", "/api/v1/gmail/usage", session, "")
		return a.StatusCode == 403 && a.object(t)["code"] == "second_factor_required"
	}, "the factor is owed")
	require.Equal(t, 200, r.call(t, "GET", "/api/v1/auth/me", session, "").StatusCode, "who owes it may see who they are")
	require.Equal(t, 200, r.call(t, "POST", "/api/v1/auth/2fa/enrol", session, `{"password":"`+good+`"}`).StatusCode)
}
