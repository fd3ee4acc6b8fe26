package account_test

import (
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
	"mailsweep/internal/mail"
	"mailsweep/internal/sweep"
)

const (
	moved = "ada@new.example"
	eve   = "eve@example.com"
)

var addressLink = regexp.MustCompile(`https://app\.example/(confirm|undo)-email\?token=([A-Za-z0-9_-]{43})`)

// addressToken is the token of the newest mail of a kind, which must have gone to an address.
func (r *rig) addressToken(t *testing.T, kind mail.Kind, to string) string {
	t.Helper()
	sent := r.deliver(t, kind)
	require.NotEmpty(t, sent)
	newest := sent[len(sent)-1]
	require.Equal(t, []string{to}, newest.To)
	found := addressLink.FindStringSubmatch(newest.Text)
	require.NotNil(t, found, newest.Text)
	return found[2]
}

func (r *rig) askEmail(t *testing.T, a sweep.Actor, email string) {
	t.Helper()
	asked, err := r.AskEmailChange(t.Context(), a, email, account.ProvenAgain{Password: good}, r.client)
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(24*time.Hour), asked.ExpiresAt, time.Hour)
}

// changes gives a person another address, and the session that follows.
func (r *rig) changes(t *testing.T, a sweep.Actor, email string) account.Session {
	t.Helper()
	r.askEmail(t, a, email)
	session, err := r.ConfirmEmail(t.Context(), a, r.addressToken(t, mail.EmailChange, email), r.client)
	require.NoError(t, err)
	return session
}

// atTime is the service so much later, or sooner.
func (r *rig) atTime(t *testing.T, offset time.Duration) *account.Service {
	now := r.Service
	return &account.Service{DB: r.open(t, "mailsweep_app", offset), Vault: now.Vault, Signer: now.Signer, Plans: now.Plans, Passwords: now.Passwords,
		Pseudonym: now.Pseudonym, Requests: now.Requests, Log: now.Log}
}

// VER-5: password and code first, then the mail to the new address, and only then it changes; everything that was signed in ends.
func TestAnAddressChangesOnceTheNewOneIsProven(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p, session := r.withFactor(t, ada)
	a := r.actorOf(t, session)
	ask := func(email, password, totp string) error {
		p.again(t)
		_, err := r.AskEmailChange(t.Context(), a, email, account.ProvenAgain{Password: password, Code: totp}, r.client)
		return err
	}
	require.Equal(t, sweep.Unauthenticated, code(ask(moved, "not the password", p.code(t, 0))))
	require.Equal(t, sweep.TOTPRequired, code(ask(moved, good, "")))
	require.Equal(t, sweep.Unauthenticated, code(ask(moved, good, "000000")))
	require.Equal(t, sweep.Invalid, code(ask("no address", good, p.code(t, 0))))
	require.Equal(t, sweep.Invalid, code(ask(" ADA@example.com", good, p.code(t, 0))), "the same address in another spelling")
	require.Empty(t, r.deliver(t, mail.EmailChange))
	require.NoError(t, ask("ADA@New.Example ", good, p.code(t, 0)))
	token := r.addressToken(t, mail.EmailChange, moved)
	require.Equal(t, ada, r.text(t, "SELECT email FROM users"), "asking changes nothing")
	r.forgot(t, ada)
	reset := r.resets(t)[0]
	fresh, err := r.ConfirmEmail(t.Context(), a, token, r.client)
	require.NoError(t, err)
	require.Equal(t, moved, fresh.Customer.Email)
	_, err = r.Authenticate(t.Context(), session.AccessToken, r.client)
	require.Equal(t, sweep.Unauthenticated, code(err))
	_, err = r.ResetPassword(t.Context(), reset, anew, r.client)
	require.Equal(t, sweep.BadRequest, code(err), "links to the old address are void")
	require.Equal(t, "undo", r.text(t, "SELECT string_agg(kind, ' ') FROM email_tokens WHERE used_at IS NULL"))
	now := r.actorOf(t, fresh)
	_, err = r.ConfirmEmail(t.Context(), now, token, r.client)
	require.Equal(t, sweep.BadRequest, code(err), "once")
	_, err = r.Login(t.Context(), ada, good, "", r.client)
	require.Equal(t, sweep.Unauthenticated, code(err))
	_, err = r.Login(t.Context(), moved, good, "", r.client)
	require.Equal(t, sweep.TOTPRequired, code(err), "the second factor stays on")
	r.addressToken(t, mail.EmailChanged, ada)
	for _, action := range []string{"email.asked", "email.changed"} {
		require.Equal(t, 1, r.count(t, "SELECT count(*) FROM audit_logs WHERE action = $1", action), action)
	}
	require.Zero(t, r.count(t, "SELECT count(*) FROM audit_logs a WHERE a::text LIKE '%ada@%'"), "no address stands in the audit log")
}

// VER-5: nobody but who asked uses the link, signed in, in time, and only the newest.
func TestALinkToANewAddressIsForWhoAskedAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	r.exec(t, "UPDATE customers SET granted_plan = 'enterprise', plan_version = plan_version + 1")
	_, colleague := r.joined(t, a, "bo@example.com", sweep.Owner)
	_, other := r.member(t, eve)
	r.askEmail(t, a, moved)
	first := r.addressToken(t, mail.EmailChange, moved)
	r.afterAMinute(t)
	r.askEmail(t, a, "ada@second.example")
	second := r.addressToken(t, mail.EmailChange, "ada@second.example")
	refused := func(s *account.Service, a sweep.Actor, token string) {
		t.Helper()
		_, err := s.ConfirmEmail(t.Context(), a, token, r.client)
		require.Equal(t, sweep.BadRequest, code(err))
	}
	refused(r.Service, a, first)
	refused(r.Service, other, second)
	refused(r.Service, colleague, second)
	refused(r.atTime(t, 24*time.Hour), a, second)
	_, err := r.VerifyEmail(t.Context(), second, "", r.client)
	require.Equal(t, sweep.BadRequest, code(err), "a token is for one use")
	key := a
	key.Kind = sweep.ByKey
	_, err = r.ConfirmEmail(t.Context(), key, second, r.client)
	require.Equal(t, sweep.Forbidden, code(err))
	_, err = r.ChangePassword(t.Context(), a, good, anew, r.client)
	require.NoError(t, err)
	refused(r.Service, a, second) // another password voids it
	require.Equal(t, 2, r.count(t, "SELECT count(*) FROM users WHERE email IN ($1, $2)", ada, eve))
}

// VER-5: who asks for an address learns nothing of whom it belongs to; only who reads its mail does.
func TestAskingForAnAddressTellsNothingOfIt(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	_, other := r.member(t, eve)
	require.NoError(t, r.SignUp(t.Context(), "cy@example.com", strangers, "Mallory", r.client))
	for _, email := range []string{eve, "cy@example.com", moved} {
		r.afterAMinute(t)
		r.askEmail(t, a, email)
		token := r.addressToken(t, mail.EmailChange, email)
		if email != eve {
			continue
		}
		_, err := r.ConfirmEmail(t.Context(), a, token, r.client)
		require.Equal(t, sweep.Conflict, code(err))
		_, err = r.Me(t.Context(), other)
		require.NoError(t, err)
		require.Equal(t, 1, r.count(t, "SELECT count(*) FROM users WHERE email = $1", ada))
	}
	r.afterAMinute(t)
	session := r.changes(t, a, "cy@example.com")
	require.Equal(t, "cy@example.com", session.Customer.Email, "a sign-up that nobody has proven makes room")
	_, err := r.Login(t.Context(), "cy@example.com", strangers, "", r.client)
	require.Equal(t, sweep.Unauthenticated, code(err))
	require.Equal(t, 2, r.count(t, "SELECT count(*) FROM users"))
}

// VER-5: mails to new addresses are few, whoever asks.
func TestMailsToNewAddressesAreCounted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	_, other := r.member(t, eve)
	ask := func(a sweep.Actor, email string) sweep.Code {
		_, err := r.AskEmailChange(t.Context(), a, email, account.ProvenAgain{Password: good}, r.client)
		return code(err)
	}
	require.Empty(t, ask(a, moved))
	require.Equal(t, sweep.RateLimited, ask(a, moved))
	require.Equal(t, sweep.RateLimited, ask(other, moved))
	for i := range 9 {
		require.Empty(t, ask(a, numbered(i)))
	}
	require.Equal(t, sweep.RateLimited, ask(a, numbered(9)))
}

// VER-5: for 72 hours who reads the old address gets the account back, and what a thief made of it is gone.
func TestTheOldAddressTakesAChangeBack(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	r.exec(t, "UPDATE customers SET granted_plan = 'enterprise', plan_version = plan_version + 1")
	_, err := r.MakeKey(t.Context(), a, account.KeyRequest{Name: "before", Scopes: []sweep.Scope{sweep.ScopeRead}, Password: good}, r.client)
	require.NoError(t, err)
	thief := r.actorOf(t, r.changes(t, a, one))
	undo := r.addressToken(t, mail.EmailChanged, ada)
	_, err = r.MakeKey(t.Context(), thief, account.KeyRequest{Name: "after", Scopes: []sweep.Scope{sweep.ScopeRead}, Password: good}, r.client)
	require.NoError(t, err)
	v := r.visits(t, one)
	_, err = r.complete(t, v)
	require.Equal(t, sweep.LinkRequired, code(err))
	_, err = r.LinkGoogle(t.Context(), v.Ticket, one, good, "", r.client)
	require.NoError(t, err)
	offer, err := r.OfferFactor(t.Context(), thief, good, r.client)
	require.NoError(t, err)
	p := &person{rig: r, email: one, actor: thief, app: appOf(t, offer)}
	on, err := r.ConfirmFactor(t.Context(), thief, p.code(t, 0), r.client)
	require.NoError(t, err)

	require.Equal(t, sweep.BadRequest, code(r.atTime(t, 72*time.Hour).UndoEmailChange(t.Context(), undo, r.client)))
	require.Equal(t, "3 days", r.text(t, "SELECT (expires_at - created_at)::text FROM email_tokens WHERE kind = 'undo'"))
	require.NoError(t, r.UndoEmailChange(t.Context(), undo, r.client))
	require.Equal(t, sweep.BadRequest, code(r.UndoEmailChange(t.Context(), undo, r.client)), "once")
	_, err = r.Authenticate(t.Context(), on.Session.AccessToken, r.client)
	require.Equal(t, sweep.Unauthenticated, code(err))
	require.Equal(t, ada, r.text(t, "SELECT email FROM users"))
	require.Equal(t, "before", r.text(t, "SELECT string_agg(name, ' ') FROM api_keys WHERE revoked_at IS NULL"))
	require.Zero(t, r.count(t, "SELECT count(google_subject) + (SELECT count(*) FROM second_factors) + (SELECT count(*) FROM recovery_codes) FROM users"))
	for _, email := range []string{ada, one} {
		_, err = r.Login(t.Context(), email, good, "", r.client)
		require.Equal(t, sweep.Unauthenticated, code(err), "the password is void")
	}
	resets := r.resets(t)
	require.Len(t, resets, 1)
	_, err = r.ResetPassword(t.Context(), resets[0], anew, r.client)
	require.NoError(t, err, "a reset went out with the undo")
	r.login(t, ada, anew)
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM audit_logs WHERE action = 'email.undone'"))
}

// VER-5: of several changes the oldest undo takes all back; a younger one leaves the older good.
func TestAnUndoTakesBackWhatCameAfterItToo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	second := r.actorOf(t, r.changes(t, a, moved))
	oldest := r.addressToken(t, mail.EmailChanged, ada)
	third := r.actorOf(t, r.changes(t, second, "ada@third.example"))
	r.afterAMinute(t)
	middle := r.addressToken(t, mail.EmailChanged, moved)
	last := r.actorOf(t, r.changes(t, third, "ada@fourth.example"))
	youngest := r.addressToken(t, mail.EmailChanged, "ada@third.example")
	r.askEmail(t, last, "ada@fifth.example")
	asked := r.addressToken(t, mail.EmailChange, "ada@fifth.example")
	require.NoError(t, r.UndoEmailChange(t.Context(), middle, r.client))
	require.Equal(t, moved, r.text(t, "SELECT email FROM users"))
	require.Equal(t, sweep.BadRequest, code(r.UndoEmailChange(t.Context(), youngest, r.client)), "a thief does not undo the undoing")
	_, err := r.ConfirmEmail(t.Context(), last, asked, r.client)
	require.Equal(t, sweep.BadRequest, code(err), "what was asked for meanwhile is void")
	require.NoError(t, r.SignUp(t.Context(), ada, strangers, "Mallory", r.client), "the address was free")
	r.tokens(t)
	require.NoError(t, r.UndoEmailChange(t.Context(), oldest, r.client))
	require.Equal(t, ada, r.text(t, "SELECT email FROM users"))
	resets := r.resets(t)
	_, err = r.ResetPassword(t.Context(), resets[len(resets)-1], anew, r.client)
	require.NoError(t, err)
	_, err = r.Login(t.Context(), ada, anew, "", r.client)
	require.NoError(t, err)

	mine := r.actorOf(t, r.login(t, ada, anew))
	require.Zero(t, r.count(t, "SELECT count(*) FROM email_tokens WHERE kind = 'undo' AND used_at IS NULL"))
	_, err = r.AskEmailChange(t.Context(), mine, "ada@sixth.example", account.ProvenAgain{Password: anew}, r.client)
	require.NoError(t, err)
	_, err = r.ConfirmEmail(t.Context(), mine, r.addressToken(t, mail.EmailChange, "ada@sixth.example"), r.client)
	require.NoError(t, err)
	old := r.addressToken(t, mail.EmailChanged, ada)
	r.member(t, ada)
	require.Equal(t, sweep.Conflict, code(r.UndoEmailChange(t.Context(), old, r.client)), "who has proven it meanwhile reads the same mail")
}

func (r *rig) login(t *testing.T, email, password string) account.Session {
	t.Helper()
	session, err := r.Login(t.Context(), email, password, "", r.client)
	require.NoError(t, err)
	return session
}

// VER-5: a thief who goes on at another customer of the person's leaves nothing there either, and takes nothing back.
func TestAnUndoReachesAllCustomersOfThePerson(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	_, host := r.member(t, eve)
	r.exec(t, "UPDATE customers SET granted_plan = 'enterprise', plan_version = plan_version + 1")
	r.invite(t, host, ada, sweep.Owner)
	_, err := r.Join(t.Context(), a, r.invited(t, ada), r.client)
	require.NoError(t, err)
	thief := r.actorOf(t, r.changes(t, a, moved))
	undo := r.addressToken(t, mail.EmailChanged, ada)
	session, err := r.Switch(t.Context(), thief, host.Customer, "", r.client)
	require.NoError(t, err)
	there := r.actorOf(t, session)
	_, err = r.MakeKey(t.Context(), there, account.KeyRequest{Name: "after", Scopes: []sweep.Scope{sweep.ScopeRead}, Password: good}, r.client)
	require.NoError(t, err)
	_, err = r.MakeKey(t.Context(), host, account.KeyRequest{Name: "host", Scopes: []sweep.Scope{sweep.ScopeRead}, Password: good}, r.client)
	require.NoError(t, err)
	there = r.actorOf(t, r.changes(t, there, "ada@third.example"))
	thiefs := r.addressToken(t, mail.EmailChanged, moved)
	offer, err := r.OfferFactor(t.Context(), there, good, r.client)
	require.NoError(t, err)
	p := &person{rig: r, email: moved, actor: there, app: appOf(t, offer)}
	_, err = r.ConfirmFactor(t.Context(), there, p.code(t, 0), r.client)
	require.NoError(t, err)

	require.NoError(t, r.UndoEmailChange(t.Context(), undo, r.client))
	require.Equal(t, sweep.BadRequest, code(r.UndoEmailChange(t.Context(), thiefs, r.client)))
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM users WHERE email = $1", ada))
	require.Equal(t, "host", r.text(t, "SELECT string_agg(name, ' ') FROM api_keys WHERE revoked_at IS NULL"))
	require.Zero(t, r.count(t, "SELECT count(*) FROM second_factors"))
	require.Equal(t, 2, r.count(t, "SELECT count(DISTINCT customer_id) FROM audit_logs WHERE action = 'email.undone'"))
}

// VER-5: confirmations and undos of one token at once have one effect, and nobody fails for another reason.
func TestOfManyConfirmationsAtOnceOneCounts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	r.askEmail(t, a, moved)
	token := r.addressToken(t, mail.EmailChange, moved)
	confirm := func(int) error { _, err := r.ConfirmEmail(t.Context(), a, token, r.client); return err }
	require.Equal(t, map[sweep.Code]int{"": 1, sweep.BadRequest: 15}, atOnce(16, confirm))
	undo := r.addressToken(t, mail.EmailChanged, ada)
	require.Equal(t, map[sweep.Code]int{"": 1, sweep.BadRequest: 15}, atOnce(16, func(int) error { return r.UndoEmailChange(t.Context(), undo, r.client) }))
	require.Len(t, r.resets(t), 1)
}
