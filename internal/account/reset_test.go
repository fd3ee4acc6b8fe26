package account_test

import (
	"net/netip"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
	"mailsweep/internal/mail"
	"mailsweep/internal/sweep"
)

const anew = "a brand new otter song"

var resetLink = regexp.MustCompile(`https://app\.example/reset-password\?token=([A-Za-z0-9_-]{43})`)

// resets are the tokens of all reset mails so far.
func (r *rig) resets(t *testing.T) (tokens []string) {
	t.Helper()
	for _, m := range r.deliver(t, mail.PasswordReset) {
		found := resetLink.FindStringSubmatch(m.Text)
		require.NotNil(t, found, m.Text)
		tokens = append(tokens, found[1])
	}
	return tokens
}

// told counts the notices with a subject.
func (r *rig) told(t *testing.T, subject string) (n int) {
	t.Helper()
	for _, m := range r.deliver(t, mail.SecurityNotice) {
		if m.Subject == subject {
			n++
		}
	}
	return n
}

func (r *rig) forgot(t *testing.T, email string) {
	t.Helper()
	require.NoError(t, r.ForgotPassword(t.Context(), email, r.client))
}

// RST-4, JWT-5
func TestAResetEndsEverythingAndSignsNobodyIn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p, session := r.withFactor(t, ada)
	p.again(t)
	challenge := p.challenged(t)
	r.forgot(t, ada)
	_, err := r.Authenticate(t.Context(), session.AccessToken, r.client)
	require.NoError(t, err, "asking changes nothing")
	done, err := r.ResetPassword(t.Context(), r.resets(t)[0], anew, r.client)
	require.NoError(t, err)
	require.NotEmpty(t, done.Device)
	_, err = r.Authenticate(t.Context(), done.Device, r.client)
	require.Equal(t, sweep.Unauthenticated, code(err))
	_, err = r.Authenticate(t.Context(), session.AccessToken, r.client)
	require.Equal(t, sweep.Unauthenticated, code(err))
	_, err = r.AnswerChallenge(t.Context(), challenge, p.code(t, 0), r.client)
	require.Equal(t, sweep.Unauthenticated, code(err))
	_, err = r.Login(t.Context(), ada, good, p.code(t, 0), r.client)
	require.Equal(t, sweep.Unauthenticated, code(err))
	_, err = r.Login(t.Context(), ada, anew, "", r.client)
	require.Equal(t, sweep.TOTPRequired, code(err), "the second factor stays on")
	_, err = r.Login(t.Context(), ada, anew, p.code(t, 0), r.client)
	require.NoError(t, err)
	require.Equal(t, 1, r.told(t, "Your password was changed"))
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM audit_logs WHERE action = 'password.reset'"))
}

// RST-2
func TestAResetTokenIsShortLivedTheNewestAndNowhereInClear(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.member(t, ada)
	r.forgot(t, ada)
	r.forgot(t, ada)
	tokens := r.resets(t)
	require.Len(t, tokens, 2)
	_, err := r.ResetPassword(t.Context(), tokens[0], anew, r.client)
	require.Equal(t, sweep.BadRequest, code(err), "a newer mail voids the older")
	for _, table := range []string{"email_tokens", "outbox", "audit_logs"} {
		require.NotContains(t, r.text(t, "SELECT coalesce(string_agg(x::text, ''), '') FROM "+table+" x"), tokens[1], table)
	}
	late := *r
	now := r.Service
	late.Service = &account.Service{DB: r.open(t, "mailsweep_app", 30*time.Minute), Vault: now.Vault, Signer: now.Signer, Plans: now.Plans, Passwords: now.Passwords}
	_, err = late.ResetPassword(t.Context(), tokens[1], anew, r.client)
	require.Equal(t, sweep.BadRequest, code(err))
	_, err = r.ResetPassword(t.Context(), tokens[1], "short", r.client)
	require.Equal(t, sweep.Invalid, code(err))
	_, err = r.VerifyEmail(t.Context(), tokens[1], "", r.client)
	require.Equal(t, sweep.BadRequest, code(err), "a token is for one use")
	late.Service.DB = r.open(t, "mailsweep_app", 29*time.Minute)
	_, err = late.ResetPassword(t.Context(), tokens[1], anew, r.client)
	require.NoError(t, err)
}

// RST-3
func TestOfTwentyResetsAtOnceOneSucceeds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.member(t, ada)
	r.forgot(t, ada)
	token := r.resets(t)[0]
	var all sync.WaitGroup
	var mu sync.Mutex
	said := map[sweep.Code]int{}
	for range 20 {
		all.Go(func() {
			_, err := r.ResetPassword(t.Context(), token, anew, r.client)
			mu.Lock()
			defer mu.Unlock()
			said[code(err)]++
		})
	}
	all.Wait()
	require.Equal(t, map[sweep.Code]int{"": 1, sweep.BadRequest: 19}, said)
}

// RST-1
func TestAForgottenPasswordIsMailedThreeTimesAnHour(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.member(t, ada)
	r.member(t, "eve@example.com")
	for i := range 6 {
		c := account.Client{IP: netip.AddrFrom4([4]byte{10, 9, byte(i), 1})}
		require.NoError(t, r.ForgotPassword(t.Context(), ada, c))
	}
	require.Len(t, r.resets(t), 3)
	r.afterAMinute(t)
	for i := range 10 {
		require.NoError(t, r.ForgotPassword(t.Context(), numbered(i), r.client))
	}
	require.NoError(t, r.ForgotPassword(t.Context(), "eve@example.com", r.client), "dropped, and nobody is told")
	require.Len(t, r.resets(t), 3)
	require.Equal(t, sweep.Invalid, code(r.ForgotPassword(t.Context(), "no address", r.client)))
}

// Whoever proves the address with a reset has an account, whoever signed up for it. VER-1
func TestAResetProvesTheAddress(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	require.NoError(t, r.SignUp(t.Context(), ada, "the stranger's own words", "Eve", r.client))
	verify := r.tokens(t)[0]
	r.forgot(t, ada)
	done, err := r.ResetPassword(t.Context(), r.resets(t)[0], anew, r.client)
	require.NoError(t, err)
	_, err = r.VerifyEmail(t.Context(), verify, "the stranger's own words", r.client)
	require.Equal(t, sweep.BadRequest, code(err))
	for range 10 {
		_, err := r.Login(t.Context(), ada, "the stranger's own words", "", r.client)
		require.Equal(t, sweep.Unauthenticated, code(err))
	}
	home := r.client
	home.Device = done.Device
	_, err = r.Login(t.Context(), ada, anew, "", home)
	require.NoError(t, err, "and the device that reset it gets in, whatever strangers tried") // THR-4
}

// PWD-7
func TestAChangeNeedsThePasswordInForceAndEndsOtherSessions(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	session, a := r.member(t, ada)
	_, err := r.ChangePassword(t.Context(), a, "not the password", anew, r.client)
	require.Equal(t, sweep.Unauthenticated, code(err))
	_, err = r.ChangePassword(t.Context(), a, good, "short", r.client)
	require.Equal(t, sweep.Invalid, code(err))
	r.forgot(t, ada)
	fresh, err := r.ChangePassword(t.Context(), a, good, anew, r.client)
	require.NoError(t, err)
	_, err = r.Authenticate(t.Context(), session.AccessToken, r.client)
	require.Equal(t, sweep.Unauthenticated, code(err))
	_, err = r.Authenticate(t.Context(), fresh.AccessToken, r.client)
	require.NoError(t, err)
	_, err = r.ResetPassword(t.Context(), r.resets(t)[0], good, r.client)
	require.Equal(t, sweep.BadRequest, code(err), "links from before are void")
	require.Equal(t, 1, r.told(t, "Your password was changed"))
	_, err = r.Login(t.Context(), ada, anew, "", r.client)
	require.NoError(t, err)
}

// THR-7
func TestAPersonIsToldOfNewDevicesLocksAndFactors(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p, session := r.withFactor(t, ada)
	require.Equal(t, 1, r.told(t, "A second factor is on"))
	enter := func(c account.Client) {
		p.again(t)
		_, err := r.Login(t.Context(), ada, good, p.code(t, 0), c)
		require.NoError(t, err)
	}
	const subject = "A sign-in from a new device"
	enter(r.client)
	require.Zero(t, r.told(t, subject), "where the account began")
	elsewhere := account.Client{IP: netip.MustParseAddr("198.51.100.9"), UserAgent: "curl/8"}
	enter(elsewhere)
	enter(elsewhere)
	require.Equal(t, 1, r.told(t, subject), "once")
	elsewhere.UserAgent, elsewhere.Device = "another", session.Device
	enter(elsewhere)
	require.Equal(t, 1, r.told(t, subject), "a device is known by its token")
	_, err := r.Login(t.Context(), ada, good, p.codes[0], r.client)
	require.NoError(t, err)
	require.Equal(t, 1, r.told(t, "A recovery code was used"))
	for range 9 {
		_, err := r.Login(t.Context(), ada, "not the password", "", r.client)
		require.Equal(t, sweep.Unauthenticated, code(err))
	}
	require.Equal(t, 1, r.told(t, "Somebody guesses at your password"))
}
