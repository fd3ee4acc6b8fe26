package account_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
	"mailsweep/internal/mail"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

// GDP-2, JWT-5, KEY-3: another process knows within a second or two, this one at once.
func TestADeletedCustomerIsShutEverywhere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	session, a := r.member(t, ada)
	other := &account.Service{DB: r.DB, Vault: r.Vault, Signer: r.Signer, Plans: r.Plans, Pseudonym: r.Pseudonym, Requests: r.Requests, Log: r.Log}
	key := r.key(t, a, wish(sweep.ScopeRead)).Key
	for _, held := range []string{session.AccessToken, key} {
		_, err := other.Authenticate(t.Context(), held, r.client)
		require.NoError(t, err)
	}
	_, err := r.connect(t, a, sweep.ID{}, "one@gmail.example")
	require.NoError(t, err)
	parked := r.park(t, a, sweep.ID{}, "two@gmail.example")
	running, queued := newJob(t, r, a, "running"), newJob(t, r, a, "queued")
	told := 0
	r.Order = func(sweep.ID) { told++ }
	before := time.Now()

	d, err := r.Delete(t.Context(), a, good, "", " ADA@example.com", r.client)
	require.NoError(t, err)
	require.Equal(t, 7*24*time.Hour, d.PurgeAt.Sub(d.DeletedAt))
	_, err = r.Authenticate(t.Context(), session.AccessToken, r.client)
	require.Equal(t, sweep.Unauthenticated, code(err))
	for _, held := range []string{session.AccessToken, key} {
		testkit.Eventually(t, patience, func() bool {
			_, err := other.Authenticate(t.Context(), held, r.client)
			return code(err) == sweep.Unauthenticated
		}, "another process refuses it")
	}
	_, err = r.CompleteConnect(t.Context(), a, parked)
	require.Equal(t, sweep.NotFound, code(err), "what was under way")
	_, err = r.Login(t.Context(), ada, good, "", r.client)
	require.Equal(t, sweep.AccountDeleted, code(err))
	_, err = r.Login(t.Context(), ada, "wrong "+good, "", r.client)
	require.Equal(t, sweep.Unauthenticated, code(err), "who has no password learns nothing")

	require.Equal(t, "t canceled", r.text(t, "SELECT concat(cancel_requested, ' ', (SELECT state FROM jobs WHERE id = '"+queued+"')) FROM jobs WHERE id = '"+running+"'"))
	require.Equal(t, 1, told)
	require.Equal(t, 0, r.count(t, "SELECT count(*) FROM mailboxes WHERE state <> 'disconnected'"))
	require.Equal(t, 0, r.count(t, "SELECT count(*) FROM api_keys WHERE revoked_at IS NULL"), "for good, also should the customer be restored")
	google := &fakeRevocation{}
	require.NoError(t, (&account.Revoker{DB: r.worker, Opener: r.opener, OAuth: google, Log: r.Log}).RevokeDue(t.Context()))
	require.EqualValues(t, 2, google.calls.Load(), "of the mailbox, and of the consent that was given and not completed")
	require.Equal(t, 0, r.count(t, "SELECT count(*) FROM oauth_tokens")+r.count(t, "SELECT count(*) FROM oauth_states"))
	letters := r.deliver(t, mail.AccountDeleted)
	require.Len(t, letters, 1)
	require.Contains(t, letters[0].Text, d.PurgeAt.Format("2 January 2006"))
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM audit_logs WHERE action = 'customer.deleted' AND at > $1", before.Add(-time.Minute)))
}

// newJob lays out an open job of an actor's only mailbox.
func newJob(t *testing.T, r *rig, a sweep.Actor, state string) (id string) {
	t.Helper()
	err := r.root.QueryRow(t.Context(), `INSERT INTO jobs (customer_id, id, mailbox_id, account, kind, state, rank, vt, run_at, created_at, lease_until, fence)
		SELECT customer_id, (left(uuid_floor(now())::text, 19) || right(gen_random_uuid()::text, 17))::uuid, id, account, 'execute', $2, 1, 1, now(), now(), now() + interval '1 hour', 1
		FROM mailboxes WHERE customer_id = $1 RETURNING id::text`, a.Customer.String(), state).Scan(&id)
	require.NoError(t, err)
	return id
}

// GDP-2
func TestOnlyAnOwnerWhoProvesThemselvesDeletes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p, _ := r.withFactor(t, ada)
	_, b := r.member(t, "ben@example.com")
	byKey, operator, viewer := b, b, b
	byKey.Kind, operator.Role, viewer.Role = sweep.ByKey, sweep.Operator, sweep.Viewer
	for name, try := range map[string]struct {
		a                       sweep.Actor
		password, code, confirm string
		want                    sweep.Code
	}{
		"key":               {byKey, good, "", "ben@example.com", sweep.Forbidden},
		"operator":          {operator, good, "", "ben@example.com", sweep.Forbidden},
		"viewer":            {viewer, good, "", "ben@example.com", sweep.Forbidden},
		"nobody":            {sweep.Actor{}, good, "", "ben@example.com", sweep.Forbidden},
		"wrong password":    {b, good + "!", "", "ben@example.com", sweep.Unauthenticated},
		"no password":       {b, "", "", "ben@example.com", sweep.Unauthenticated},
		"not confirmed":     {b, good, "", "", sweep.Invalid},
		"confirmed for ada": {b, good, "", ada, sweep.Invalid},
		"no code":           {p.actor, good, "", ada, sweep.TOTPRequired},
		"wrong code":        {p.actor, good, "000000", ada, sweep.Unauthenticated},
	} {
		_, err := r.Delete(t.Context(), try.a, try.password, try.code, try.confirm, r.client)
		require.Equal(t, try.want, code(err), name)
	}
	require.Equal(t, 0, r.count(t, "SELECT count(*) FROM customers WHERE deleted_at IS NOT NULL"))
	_, err := r.Delete(t.Context(), p.actor, good, p.codes[0], ada, r.client)
	require.NoError(t, err)
	_, err = r.Delete(t.Context(), b, good, "", "ben@example.com", r.client)
	require.NoError(t, err)
	_, err = r.Delete(t.Context(), b, good, "", "ben@example.com", r.client)
	require.Equal(t, sweep.NotFound, code(err), "it is deleted already")
}

// GDP-2: ten at once delete once; strangers cannot tell who is deleted.
func TestADeletionHappensOnceAndShowsToNobody(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	var all sync.WaitGroup
	var mu sync.Mutex
	codes := map[sweep.Code]int{}
	for range 5 {
		all.Go(func() {
			_, err := r.Delete(t.Context(), a, good, "", ada, r.client)
			mu.Lock()
			defer mu.Unlock()
			codes[code(err)]++
		})
	}
	all.Wait()
	require.Equal(t, 1, codes[""], "%v", codes)
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM audit_logs WHERE action = 'customer.deleted'"))
	require.Len(t, r.deliver(t, mail.AccountDeleted), 1)
	mails := len(r.sink.Messages())
	for _, email := range []string{ada, "nobody@example.com"} {
		require.NoError(t, r.ForgotPassword(t.Context(), email, r.client))
		require.NoError(t, r.ResendVerification(t.Context(), email, r.client))
	}
	require.NoError(t, r.SignUp(t.Context(), ada, good, "Ada", r.client))
	r.deliver(t, mail.VerifyEmail)
	require.Equal(t, mails, len(r.sink.Messages()))
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM users"), "nobody was signed up")
}

// GDP-2: who works elsewhere too loses one of their customers and nothing else: they sign in at the other, with the second factor that they had.
func TestWhoWorksElsewhereTooGoesOnThere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, boss := r.member(t, "boss@example.com")
	_, a := r.member(t, ada)
	bob, _ := r.withFactor(t, "bob@example.com")
	at := bob.actor
	r.invite(t, boss, "bob@example.com", sweep.Viewer)
	_, err := r.Join(t.Context(), at, r.invited(t, "bob@example.com"), r.client)
	require.NoError(t, err)
	_, err = r.Invite(t.Context(), at, ada, sweep.Owner, account.ProvenAgain{Password: good, Code: bob.codes[9]}, r.client)
	require.NoError(t, err)
	_, err = r.Join(t.Context(), a, r.invited(t, ada), r.client)
	require.NoError(t, err)
	inBobs := a
	inBobs.Customer = at.Customer

	_, err = r.Delete(t.Context(), inBobs, good+"x", "", ada, r.client)
	require.Equal(t, sweep.Unauthenticated, code(err))
	_, err = r.Delete(t.Context(), inBobs, good, "", "bob@example.com", r.client)
	require.Equal(t, sweep.Invalid, code(err), "not confirmed by the own address")
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM second_factors"), "what is refused changes nothing elsewhere")

	_, err = r.Delete(t.Context(), inBobs, good, "", ada, r.client)
	require.NoError(t, err, "the other owner deletes it")
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM audit_logs WHERE action = 'second_factor.brought' AND actor = 'system' AND customer_id = $1", boss.Customer.String()))
	require.Len(t, r.deliver(t, mail.AccountDeleted), 2, "both are told")
	_, err = r.Login(t.Context(), "bob@example.com", good, "", r.client)
	require.Equal(t, sweep.TOTPRequired, code(err), "with the factor that they had there")
	session, err := r.Login(t.Context(), "bob@example.com", good, bob.codes[8], r.client)
	require.NoError(t, err)
	now, err := r.Authenticate(t.Context(), session.AccessToken, r.client)
	require.NoError(t, err)
	require.Equal(t, boss.Customer, now.Customer)
	_, err = r.Switch(t.Context(), now, at.Customer, bob.codes[7], r.client)
	require.Equal(t, sweep.AccountDeleted, code(err))
	list, err := r.Customers(t.Context(), now)
	require.NoError(t, err)
	require.Len(t, list, 1)
	_, err = r.Login(t.Context(), ada, good, "", r.client)
	require.NoError(t, err, "at her own")
}
