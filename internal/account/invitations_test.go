package account_test

import (
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
	"mailsweep/internal/mail"
	"mailsweep/internal/sweep"
)

func (r *rig) invite(t *testing.T, owner sweep.Actor, email string, role sweep.Role) account.InvitationView {
	t.Helper()
	view, err := r.Invite(t.Context(), owner, email, role, account.ProvenAgain{Password: good}, r.client)
	require.NoError(t, err)
	return view
}

var tokenOfInvitation = regexp.MustCompile(`accept-invitation\?token=([A-Za-z0-9_-]{43})`)

// invitedAll gives the tokens of every mail to an address.
func (r *rig) invitedAll(t *testing.T, email string) (tokens []string) {
	t.Helper()
	for _, m := range r.deliver(t, mail.Invitation) {
		if m.To[0] == email {
			found := tokenOfInvitation.FindStringSubmatch(m.Text)
			require.NotNil(t, found, m.Text)
			tokens = append(tokens, found[1])
		}
	}
	return tokens
}

// invited gives the newest.
func (r *rig) invited(t *testing.T, email string) string {
	t.Helper()
	all := r.invitedAll(t, email)
	require.NotEmpty(t, all)
	return all[len(all)-1]
}

func (r *rig) accept(t *testing.T, token, password string) (account.Session, error) {
	t.Helper()
	return r.AcceptInvitation(t.Context(), account.Acceptance{Token: token, Name: "Bo", Password: password}, r.client)
}

func TestAnInvitationBringsOneNewPersonInOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, owner := r.member(t, ada)
	view := r.invite(t, owner, " BO@example.com", sweep.Operator)
	require.Equal(t, []any{"bo@example.com", sweep.Operator, sweep.UserID.Show(owner.User)}, []any{view.Email, view.Role, view.InvitedBy})
	p, err := r.People(t.Context(), owner)
	require.NoError(t, err)
	require.Equal(t, []account.InvitationView{view}, p.Invitations)
	token := r.invited(t, "bo@example.com")
	for _, table := range []string{"invitations", "outbox", "audit_logs"} {
		require.NotContains(t, r.text(t, "SELECT coalesce(string_agg(x::text, ''), '') FROM "+table+" x"), token, table)
	}
	_, err = r.accept(t, token, "short")
	require.Equal(t, sweep.Invalid, code(err), "the token stays good")
	for _, bad := range []string{"", "x", strings.Repeat("A", 43), token[:42] + "_"} {
		_, err = r.accept(t, bad, good)
		require.Equal(t, sweep.BadRequest, code(err))
	}
	var all sync.WaitGroup
	errs, sessions := make([]error, 20), make([]account.Session, 20)
	for i := range errs {
		all.Go(func() { sessions[i], errs[i] = r.accept(t, token, good) })
	}
	all.Wait()
	won := 0
	for i, err := range errs {
		if err == nil {
			won++
			require.Equal(t, []any{"bo@example.com", "Bo", sweep.Operator, sweep.CustomerID.Show(owner.Customer)},
				[]any{sessions[i].Customer.Email, sessions[i].Customer.Name, sessions[i].Customer.Role, sessions[i].Customer.ID})
		} else {
			require.Contains(t, []sweep.Code{sweep.BadRequest, sweep.Conflict}, code(err))
		}
	}
	require.Equal(t, 1, won)
	session, err := r.Login(t.Context(), "bo@example.com", good, "", r.client)
	require.NoError(t, err, "the address is proven and the password in force")
	require.Equal(t, sweep.Operator, session.Customer.Role)
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM customers"))
	_, err = r.accept(t, token, good)
	require.Equal(t, sweep.BadRequest, code(err))
}

// Who has a login is told apart by nothing, and joins only by proving it.
func TestAMailAloneJoinsNoTwoAccounts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, owner := r.member(t, ada)
	_, bo := r.member(t, "bo@example.com")
	_, eve := r.member(t, "eve@example.com")
	known, unknown := r.invite(t, owner, "bo@example.com", sweep.Viewer), r.invite(t, owner, "new@example.com", sweep.Viewer)
	for _, v := range []*account.InvitationView{&known, &unknown} {
		v.ID, v.Email, v.CreatedAt, v.ExpiresAt = "", "", time.Time{}, time.Time{}
	}
	require.Equal(t, unknown, known)
	var texts []string
	for _, m := range r.deliver(t, mail.Invitation) {
		text := tokenOfInvitation.ReplaceAllString(m.Text, "")
		texts = append(texts, regexp.MustCompile(`until .*\.`).ReplaceAllString(text, ""))
	}
	require.Len(t, texts, 2)
	require.Equal(t, texts[0], texts[1])
	token := r.invited(t, "bo@example.com")
	for _, password := range []string{"", "another fine password"} {
		_, err := r.accept(t, token, password)
		require.Equal(t, sweep.Unauthenticated, code(err))
	}
	require.Equal(t, 3, r.count(t, "SELECT count(*) FROM members"))
	_, err := r.Join(t.Context(), eve, token, r.client)
	require.Equal(t, sweep.Forbidden, code(err), "it went to another address")
	_, err = r.Login(t.Context(), "bo@example.com", good, "", r.client)
	require.NoError(t, err, "nothing was changed")
	session, err := r.accept(t, token, good)
	require.NoError(t, err)
	require.Equal(t, []any{sweep.UserID.Show(bo.User), sweep.CustomerID.Show(owner.Customer)}, []any{session.Customer.UserID, session.Customer.ID})
	r.afterAMinute(t)
	_, err = r.Invite(t.Context(), owner, "bo@example.com", sweep.Owner, account.ProvenAgain{Password: good}, r.client)
	require.Equal(t, sweep.Conflict, code(err), "who is there is not invited")
}

// A sign-up that nobody has confirmed may be a stranger's: its password is worth nothing, as after any proof of the address.
func TestAnInvitationTakesAStrangersSignUpOver(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, owner := r.member(t, ada)
	require.NoError(t, r.SignUp(t.Context(), "bo@example.com", "the stranger's own words", "Eve", r.client))
	r.invite(t, owner, "bo@example.com", sweep.Operator)
	_, err := r.accept(t, r.invited(t, "bo@example.com"), good)
	require.NoError(t, err)
	_, err = r.Login(t.Context(), "bo@example.com", "the stranger's own words", "", r.client)
	require.Equal(t, sweep.Unauthenticated, code(err))
	session, err := r.Login(t.Context(), "bo@example.com", good, "", r.client)
	require.NoError(t, err)
	require.Equal(t, "Bo", session.Customer.Name)
	tokens := r.tokens(t)
	_, err = r.VerifyEmail(t.Context(), tokens[len(tokens)-1], "the stranger's own words", r.client)
	require.Equal(t, sweep.BadRequest, code(err))
}

func TestAnInvitationEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, owner := r.member(t, ada)
	refused := func(token, why string) {
		t.Helper()
		_, err := r.accept(t, token, good)
		require.Equal(t, sweep.BadRequest, code(err), why)
	}
	view := r.invite(t, owner, "bo@example.com", sweep.Viewer)
	r.afterAMinute(t)
	again, err := r.ResendInvitation(t.Context(), owner, id(t, sweep.InvitationID, view.ID), r.client)
	require.NoError(t, err)
	require.Equal(t, view.ID, again.ID)
	tokens := r.invitedAll(t, "bo@example.com")
	require.Len(t, tokens, 2)
	refused(tokens[0], "a newer mail voids the older")
	for _, c := range []struct {
		after time.Duration
		want  sweep.Code
	}{{7 * 24 * time.Hour, sweep.BadRequest}, {7*24*time.Hour - time.Minute, ""}} {
		late := &account.Service{DB: r.open(t, "mailsweep_app", c.after), Vault: r.Vault, Signer: r.Signer, Plans: sweep.Plans{sweep.Free: r.Plans[sweep.Pro], sweep.Pro: r.Plans[sweep.Pro]}, Passwords: r.Passwords, Pseudonym: r.Pseudonym}
		_, err := late.AcceptInvitation(t.Context(), account.Acceptance{Token: tokens[1], Password: good}, r.client)
		require.Equal(t, c.want, code(err), "%s", c.after)
	}
	view = r.invite(t, owner, "cy@example.com", sweep.Viewer)
	require.NoError(t, r.RevokeInvitation(t.Context(), owner, id(t, sweep.InvitationID, view.ID)))
	require.Equal(t, sweep.NotFound, code(r.RevokeInvitation(t.Context(), owner, id(t, sweep.InvitationID, view.ID))))
	refused(r.invited(t, "cy@example.com"), "it was revoked")
}

// What an owner sent who is none any more lets nobody in.
func TestAnInvitationIsAsGoodAsItsSender(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, owner := r.member(t, ada)
	r.exec(t, "UPDATE customers SET plan = 'enterprise'")
	_, bo := r.joined(t, owner, "bo@example.com", sweep.Owner)
	r.invite(t, bo, "one@example.com", sweep.Owner)
	_, err := r.SetRole(t.Context(), owner, bo.User, sweep.Operator, account.ProvenAgain{Password: good}, r.client)
	require.NoError(t, err)
	_, err = r.accept(t, r.invited(t, "one@example.com"), good)
	require.Equal(t, sweep.BadRequest, code(err))
	p, err := r.People(t.Context(), owner)
	require.NoError(t, err)
	require.Empty(t, p.Invitations)
	_, err = r.SetRole(t.Context(), owner, bo.User, sweep.Owner, account.ProvenAgain{Password: good}, r.client)
	require.NoError(t, err)
	r.invite(t, bo, "two@example.com", sweep.Owner)
	require.NoError(t, r.Remove(t.Context(), owner, bo.User))
	_, err = r.accept(t, r.invited(t, "two@example.com"), good)
	require.Equal(t, sweep.BadRequest, code(err))
	require.Equal(t, 0, r.count(t, "SELECT count(*) FROM invitations"))
}

func TestThePlanBoundsItsPeopleAndTheMailsThatGoOut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, owner := r.member(t, ada)
	try := func(email string) error {
		_, err := r.Invite(t.Context(), owner, email, sweep.Viewer, account.ProvenAgain{Password: good}, r.client)
		return err
	}
	_, err := r.Invite(t.Context(), owner, "bo@example.com", sweep.Viewer, account.ProvenAgain{Password: "not the password"}, r.client)
	require.Equal(t, sweep.Unauthenticated, code(err), "a stolen session invites nobody")
	require.Equal(t, sweep.Invalid, code(try("nonsense")))
	require.NoError(t, try("bo@example.com"))
	require.Equal(t, sweep.RateLimited, code(try("bo@example.com")), "one a minute")
	require.NoError(t, try("cy@example.com"))
	err = try("di@example.com")
	require.Equal(t, sweep.PeopleLimit, code(err), "a trial carries three")
	var e *sweep.Error
	require.ErrorAs(t, err, &e)
	require.Equal(t, 3, e.Data["limit"])
	for _, email := range []string{"bo@example.com", "cy@example.com"} {
		_, err := r.accept(t, r.invited(t, email), good)
		require.NoError(t, err)
	}
	require.Equal(t, 3, r.count(t, "SELECT count(*) FROM members"))

	// invitations that were open when the plan became smaller let nobody in
	r.exec(t, "DELETE FROM users WHERE email IN ('bo@example.com', 'cy@example.com')")
	require.NoError(t, try("di@example.com"))
	r.exec(t, "UPDATE customers SET trial_ends_at = now()")
	_, err = r.accept(t, r.invited(t, "di@example.com"), good)
	require.Equal(t, sweep.PeopleLimit, code(err))
	require.Equal(t, sweep.PeopleLimit, code(try("el@example.com")))
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM members"))
}

// Who deleted their only account works for others at once, not only after the purge; what they prove there begins no session in the deleted one.
func TestWhoDeletedTheirOnlyAccountAcceptsAnInvitation(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, owner := r.member(t, ada)
	_, bo := r.member(t, "bo@example.com")
	_, err := r.Delete(t.Context(), bo, good, "", "bo@example.com", r.client)
	require.NoError(t, err)
	r.invite(t, owner, "bo@example.com", sweep.Viewer)
	token := r.invited(t, "bo@example.com")
	_, err = r.accept(t, token, "not the password")
	require.Equal(t, sweep.Unauthenticated, code(err))
	begun := "SELECT count(*) FROM audit_logs WHERE action = 'user.signed_in'"
	before := r.count(t, begun)
	r.client.Cookie = true
	session, err := r.accept(t, token, good)
	require.NoError(t, err)
	require.Equal(t, sweep.CustomerID.Show(owner.Customer), session.Customer.ID)
	require.Equal(t, before+1, r.count(t, begun), "one session")
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM sessions"))
	r.client.Cookie = false
	session, err = r.Login(t.Context(), "bo@example.com", good, "", r.client)
	require.NoError(t, err, "and signs in there from then on")
	require.Equal(t, sweep.CustomerID.Show(owner.Customer), session.Customer.ID)
}
