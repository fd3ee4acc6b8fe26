package account_test

import (
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
	"mailsweep/internal/secret"
	"mailsweep/internal/sweep"
)

// person is a member whose app makes codes.
type person struct {
	*rig
	email string
	actor sweep.Actor
	app   secret.TOTP
	codes []string
}

// withFactor signs a person up, sets a second factor up and gives the session that came of it.
func (r *rig) withFactor(t *testing.T, email string) (*person, account.Session) {
	t.Helper()
	_, a := r.member(t, email)
	p := &person{rig: r, email: email, actor: a}
	p.offered(t)
	on, err := r.ConfirmFactor(t.Context(), a, p.code(t, 0), r.client)
	require.NoError(t, err)
	p.codes = on.RecoveryCodes
	return p, *on.Session
}

func (p *person) offered(t *testing.T) {
	t.Helper()
	offer, err := p.OfferFactor(t.Context(), p.actor, good, p.client)
	require.NoError(t, err)
	p.app = appOf(t, offer)
}

func appOf(t *testing.T, offer account.FactorOffer) secret.TOTP {
	t.Helper()
	app, err := secret.ReadTOTP(offer.Secret)
	require.NoError(t, err)
	return app
}

// code is the app's, so many steps of 30 s from now.
func (p *person) code(t *testing.T, steps int) string {
	t.Helper()
	code, err := p.app.Code(time.Now().Add(time.Duration(steps) * 30 * time.Second))
	require.NoError(t, err)
	return code
}

// again lets the next code of these 30 seconds be the first one.
func (p *person) again(t *testing.T) {
	t.Helper()
	p.exec(t, "UPDATE second_factors SET last_step = 0")
}

// challenged signs in with the password alone.
func (p *person) challenged(t *testing.T) (challenge string) {
	t.Helper()
	_, err := p.Login(t.Context(), p.email, good, "", p.client)
	require.Equal(t, sweep.TOTPRequired, code(err))
	var coded *sweep.Error
	require.ErrorAs(t, err, &coded)
	return coded.Data["challenge"].(string)
}

// MFA-2
func TestASecondFactorIsOnOnlyAfterARightCode(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	before, a := r.member(t, ada)
	p := &person{rig: r, email: ada, actor: a}
	_, err := r.OfferFactor(t.Context(), a, "not the password", r.client)
	require.Equal(t, sweep.Unauthenticated, code(err))
	p.offered(t)
	_, err = r.Login(t.Context(), ada, good, "", r.client)
	require.NoError(t, err, "nothing is asked for yet")
	_, err = r.ConfirmFactor(t.Context(), a, p.code(t, 5), r.client)
	require.Equal(t, sweep.Unauthenticated, code(err))
	first := p.app
	p.offered(t)
	require.NotEqual(t, first.Text(), p.app.Text(), "an offer that was not taken is replaced")
	on, err := r.ConfirmFactor(t.Context(), a, p.code(t, 0), r.client)
	require.NoError(t, err)
	require.Len(t, on.RecoveryCodes, 10)
	_, err = r.Authenticate(t.Context(), before.AccessToken, r.client)
	require.Equal(t, sweep.Unauthenticated, code(err), "sessions from before end")
	_, err = r.Authenticate(t.Context(), on.Session.AccessToken, r.client)
	require.NoError(t, err)
	_, err = r.OfferFactor(t.Context(), a, good, r.client)
	require.Equal(t, sweep.Conflict, code(err))
	for _, table := range []string{"second_factors", "recovery_codes", "audit_logs", "outbox", "login_challenges"} {
		dump := r.text(t, "SELECT coalesce(string_agg(x::text, ''), '') FROM "+table+" x")
		require.NotContains(t, dump, p.app.Text(), table)
		require.NotContains(t, dump, fmt.Sprintf("%x", []byte(p.app)), table)
		require.NotContains(t, dump, on.RecoveryCodes[0], table)
	}
	require.Equal(t, "[redacted] [redacted]", fmt.Sprintf("%v %+v", on, account.FactorOffer{Secret: "S"}))
}

// MFA-1
func TestACodeSignsInOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p, _ := r.withFactor(t, ada)
	p.again(t)
	r.Limits.LoginFailures, r.Limits.LoginFailuresPerIP = 100, 100
	now := p.code(t, 0)
	var mu sync.Mutex
	said := map[sweep.Code]int{}
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			_, err := r.Login(t.Context(), ada, good, now, r.client)
			mu.Lock()
			defer mu.Unlock()
			said[code(err)]++
		})
	}
	all.Wait()
	require.Equal(t, map[sweep.Code]int{"": 1, sweep.Unauthenticated: 19}, said)
	_, err := r.Login(t.Context(), ada, good, p.code(t, -1), r.client)
	require.Equal(t, sweep.Unauthenticated, code(err), "a code from before one that was used")
	_, err = r.Login(t.Context(), ada, good, p.code(t, 3), r.client)
	require.Equal(t, sweep.Unauthenticated, code(err), "a code of later")
}

// MFA-3
func TestFiveWrongCodesEndAChallengeAndCountAsFailures(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p, _ := r.withFactor(t, ada)
	p.again(t)
	challenge := p.challenged(t)
	failures := r.count(t, "SELECT count(*) FROM security_events WHERE kind = 'login.failed'")
	for i := range 5 {
		_, err := r.AnswerChallenge(t.Context(), challenge, fmt.Sprintf("00000%d", i), r.client)
		require.Equal(t, sweep.Unauthenticated, code(err))
	}
	require.Equal(t, 5, r.count(t, "SELECT count(*) FROM security_events WHERE kind = 'login.failed'")-failures)
	_, err := r.AnswerChallenge(t.Context(), challenge, p.code(t, 0), r.client)
	require.ErrorContains(t, err, "password again")
	_, err = r.AnswerChallenge(t.Context(), challenge, p.codes[0], r.client)
	require.ErrorContains(t, err, "password again", "recovery codes do not go around it")
	require.Equal(t, 10, r.count(t, "SELECT count(*) FROM recovery_codes"))
}

// MFA-3: whoever has the password has five tries in all, however often they sign in for another challenge.
func TestWrongCodesAreCountedOverAllChallenges(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p, session := r.withFactor(t, ada)
	p.again(t)
	first := p.challenged(t)
	newest := p.challenged(t)
	_, err := r.AnswerChallenge(t.Context(), first, p.code(t, 0), r.client)
	require.ErrorContains(t, err, "password again", "a newer challenge takes the place of the older")
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			_, err := r.AnswerChallenge(t.Context(), newest, fmt.Sprintf("00000%d", i), r.client)
			if code(err) != sweep.Unauthenticated {
				t.Error(err)
			}
		})
	}
	all.Wait()
	stranger := account.Client{IP: netip.MustParseAddr("198.51.100.77")}
	_, err = r.Login(t.Context(), ada, good, "000009", stranger)
	require.Equal(t, sweep.Unauthenticated, code(err), "the fifth, with the sign-in itself")
	require.Equal(t, 1, r.told(t, "Wrong codes were given with your password"), "whoever does that has the password")
	home := account.Client{IP: netip.MustParseAddr("192.0.2.44"), Device: session.Device}
	_, err = r.Login(t.Context(), ada, good, p.code(t, 0), home)
	require.Equal(t, sweep.Unauthenticated, code(err), "the gate is shut for right codes too")
	r.afterAMinute(t)
	_, err = r.Login(t.Context(), ada, good, p.code(t, 0), home)
	require.NoError(t, err)
}

func TestAChallengeIsAnsweredOnceInTimeAndUnderTheSamePassword(t *testing.T) { // MFA-5
	t.Parallel()
	r := newRig(t)
	p, _ := r.withFactor(t, ada)
	p.again(t)
	challenge := p.challenged(t)
	_, err := r.AnswerChallenge(t.Context(), challenge, "", r.client)
	require.Equal(t, sweep.Unauthenticated, code(err), "no code is no answer")
	session, err := r.AnswerChallenge(t.Context(), challenge, p.code(t, 0), r.client)
	require.NoError(t, err)
	require.Equal(t, ada, session.Customer.Email)
	p.again(t)
	_, err = r.AnswerChallenge(t.Context(), challenge, p.code(t, 0), r.client)
	require.Equal(t, sweep.Unauthenticated, code(err), "once")

	late := p.challenged(t)
	p.exec(t, "UPDATE login_challenges SET expires_at = now() - interval '1 second'")
	_, err = r.AnswerChallenge(t.Context(), late, p.code(t, 0), r.client)
	require.Equal(t, sweep.Unauthenticated, code(err), "in time")

	changed := p.challenged(t)
	p.exec(t, "UPDATE users SET token_version = token_version + 1")
	_, err = r.AnswerChallenge(t.Context(), changed, p.code(t, 0), r.client)
	require.Equal(t, sweep.Unauthenticated, code(err), "what ends tokens ends challenges")
	_, err = r.AnswerChallenge(t.Context(), strings.Repeat("a", 43), p.code(t, 0), r.client)
	require.Equal(t, sweep.Unauthenticated, code(err))
}

// MFA-4
func TestARecoveryCodeSignsInOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p, session := r.withFactor(t, ada)
	r.Limits.LoginFailures, r.Limits.LoginFailuresPerIP = 100, 100
	var all sync.WaitGroup
	var mu sync.Mutex
	said := map[sweep.Code]int{}
	for range 20 {
		all.Go(func() {
			_, err := r.Login(t.Context(), ada, good, strings.ToLower(strings.ReplaceAll(p.codes[3], "-", " ")), r.client)
			mu.Lock()
			defer mu.Unlock()
			said[code(err)]++
		})
	}
	all.Wait()
	require.Equal(t, map[sweep.Code]int{"": 1, sweep.Unauthenticated: 19}, said)
	require.Equal(t, 9, r.count(t, "SELECT count(*) FROM recovery_codes"))
	a, err := r.Authenticate(t.Context(), session.AccessToken, r.client)
	require.NoError(t, err)
	_, err = r.RenewRecoveryCodes(t.Context(), a, "not the password", p.codes[4], r.client)
	require.Equal(t, sweep.Unauthenticated, code(err))
	made, err := r.RenewRecoveryCodes(t.Context(), a, good, p.codes[4], r.client)
	require.NoError(t, err)
	require.Len(t, made.RecoveryCodes, 10)
	_, err = r.Login(t.Context(), ada, good, p.codes[5], r.client)
	require.Equal(t, sweep.Unauthenticated, code(err), "made anew, the old ones are void")
	_, err = r.Login(t.Context(), ada, good, made.RecoveryCodes[9], r.client)
	require.NoError(t, err)
}

// MFA-5
func TestTurningASecondFactorOffNeedsPasswordAndCode(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p, session := r.withFactor(t, ada)
	a, err := r.Authenticate(t.Context(), session.AccessToken, r.client)
	require.NoError(t, err)
	p.again(t)
	for _, try := range [][2]string{{"not the password", p.code(t, 0)}, {good, "000000"}, {good, ""}} {
		_, err := r.DropFactor(t.Context(), a, try[0], try[1], r.client)
		require.Equal(t, sweep.Unauthenticated, code(err), try)
	}
	key := a
	key.Kind = sweep.ByKey
	_, err = r.DropFactor(t.Context(), key, good, p.code(t, 0), r.client)
	require.Equal(t, sweep.Forbidden, code(err), "a key is no person")
	fresh, err := r.DropFactor(t.Context(), a, good, p.code(t, 0), r.client)
	require.NoError(t, err)
	_, err = r.Authenticate(t.Context(), session.AccessToken, r.client)
	require.Equal(t, sweep.Unauthenticated, code(err))
	_, err = r.Authenticate(t.Context(), fresh.AccessToken, r.client)
	require.NoError(t, err)
	_, err = r.Login(t.Context(), ada, good, "", r.client)
	require.NoError(t, err)
	require.Zero(t, r.count(t, "SELECT count(*) FROM recovery_codes"))
}

// MFA-6
func TestAnEnterpriseCanDemandASecondFactor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p, session := r.withFactor(t, ada)
	owner, err := r.Authenticate(t.Context(), session.AccessToken, r.client)
	require.NoError(t, err)
	require.Equal(t, sweep.FeatureNotInPlan, code(r.Demand(t.Context(), owner, account.Demands{Require2FA: true})))
	r.exec(t, "UPDATE customers SET plan = 'enterprise', plan_version = plan_version + 1")
	operator := owner
	operator.Role = sweep.Operator
	require.Equal(t, sweep.Forbidden, code(r.Demand(t.Context(), operator, account.Demands{Require2FA: true})))
	require.NoError(t, r.Demand(t.Context(), owner, account.Demands{Require2FA: true}))
	taken := owner
	taken.ProvenAt = taken.ProvenAt.Add(-sweep.ProofLife)
	require.Equal(t, sweep.SignInAgain, code(r.Demand(t.Context(), taken, account.Demands{})))
	owes, err := r.OwesFactor(t.Context(), owner)
	require.NoError(t, err)
	require.False(t, owes)
	p.again(t)
	_, err = r.DropFactor(t.Context(), owner, good, p.code(t, 0), r.client)
	require.Equal(t, sweep.Forbidden, code(err))
	r.exec(t, "DELETE FROM second_factors")
	require.Eventually(t, func() bool {
		owes, err := r.OwesFactor(t.Context(), owner)
		return err == nil && owes
	}, patience, 50*time.Millisecond)
	require.Equal(t, sweep.Conflict, code(r.Demand(t.Context(), owner, account.Demands{Require2FA: true})), "an owner must have one first")
	r.exec(t, "UPDATE customers SET plan = 'pro', plan_version = plan_version + 1")
	require.Eventually(t, func() bool {
		owes, err := r.OwesFactor(t.Context(), owner)
		return err == nil && !owes
	}, patience, 50*time.Millisecond, "a plan without it demands nothing")
}
