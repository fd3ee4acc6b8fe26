package account_test

import (
	"encoding/hex"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
	"mailsweep/internal/secret"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

func TestConnectingSealsTheTokenToTheWorker(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	m, err := r.connect(t, a, sweep.ID{}, "one@gmail.example")
	require.NoError(t, err)
	require.Equal(t, "one@gmail.example", m.Email)
	require.Equal(t, "active", m.State)
	require.Contains(t, m.Scopes, google.ScopeModify)
	id, err := sweep.MailboxID.Parse(m.ID)
	require.NoError(t, err)
	var refresh []byte
	require.NoError(t, r.worker.Tenant(t.Context(), a.Customer, func(tx *store.Tx) error {
		row, err := tx.Mailbox(id)
		require.NoError(t, err)
		var sealed []byte
		require.NoError(t, tx.Raw("SELECT sealed FROM oauth_tokens WHERE mailbox_id = ?", id.String()).Row().Scan(&sealed))
		where := secret.Context{Customer: a.Customer.String(), Provider: "google", Account: hex.EncodeToString(row.Account), Field: "refresh_token"}
		refresh, err = r.opener.Open(sealed, where)
		require.NoError(t, err)
		where.Customer = sweep.ID{15: 9}.String()
		_, err = r.opener.Open(sealed, where)
		require.Error(t, err, "it opens for another customer")
		return nil
	}))
	require.NotEmpty(t, refresh)
	require.Equal(t, 0, r.count(t, "SELECT count(*) FROM oauth_tokens WHERE position($1::bytea in sealed) > 0", refresh))
	require.Equal(t, 0, r.count(t, "SELECT count(*) FROM oauth_states"), "the state is used up")
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM audit_logs WHERE action = 'mailbox.connected' AND data::text NOT LIKE '%example%'"))
	list, err := r.Mailboxes(t.Context(), a.Customer)
	require.NoError(t, err)
	require.Equal(t, []account.MailboxView{m}, list)
}

func TestTheAPIRoleCannotReadTokens(t *testing.T) { // ENC-4
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	_, err := r.connect(t, a, sweep.ID{}, "one@gmail.example")
	require.NoError(t, err)
	err = r.DB.Tenant(t.Context(), a.Customer, func(tx *store.Tx) error { return tx.Exec("SELECT sealed FROM oauth_tokens").Error })
	require.ErrorContains(t, err, "permission denied")
}

// Each attack begins like an honest connection; none may leave a mailbox or a grant of somebody else's. With the three of invented codes below and the
// missing scope they are eighteen.
func TestCallbackAttacksConnectNothing(t *testing.T) { // OUT-4
	t.Parallel()
	r := newRig(t)
	_, victim := r.member(t, ada)
	_, attacker := r.member(t, "mallory@example.com")
	attacks := 0
	failed := func(to string, word string) {
		t.Helper()
		attacks++
		require.Equal(t, public+"/mailboxes?connect_error="+word, to)
	}
	callback := func(state, code, problem string) string {
		t.Helper()
		to, err := r.Callback(t.Context(), state, code, problem)
		require.NoError(t, err)
		return to
	}
	begin := func(a sweep.Actor) (account.Started, url.Values) {
		started, err := r.StartConnect(t.Context(), a, sweep.ID{})
		require.NoError(t, err)
		return started, r.consent(t, started.AuthorizeURL, "one@gmail.example")
	}
	refusedTo := func(a sweep.Actor, state string, want sweep.Code) {
		t.Helper()
		attacks++
		_, err := r.CompleteConnect(t.Context(), a, state)
		require.Equal(t, want, code(err))
	}
	started, back := begin(attacker)
	failed(callback("", back.Get("code"), ""), "expired")
	failed(callback("forged", back.Get("code"), ""), "expired")
	failed(callback(strings.Repeat("s", 9000), "c", ""), "expired")
	refusedTo(attacker, started.State, sweep.Conflict) // before the consent

	// the attacker's link, the victim's Google account: the attacker does not have what the victim's browser was told, and to the victim it
	// is worth nothing
	consent := told(t, callback(started.State, back.Get("code"), ""))
	refusedTo(attacker, started.State, sweep.NotFound)
	refusedTo(victim, started.State, sweep.NotFound)
	refusedTo(victim, consent, sweep.NotFound)
	failed(callback(started.State, back.Get("code"), ""), "expired") // replay of the callback
	failed(callback(consent, back.Get("code"), ""), "expired")
	viewer := attacker
	viewer.Role = sweep.Viewer
	refusedTo(viewer, consent, sweep.Forbidden)
	byKey := attacker
	byKey.Kind = sweep.ByKey
	refusedTo(byKey, consent, sweep.Forbidden)
	colleague := attacker
	colleague.User = victim.User
	refusedTo(colleague, consent, sweep.NotFound)

	// a code of one attempt under the state of another: PKCE
	mine, _ := begin(victim)
	_, theirs := begin(attacker)
	failed(callback(mine.State, theirs.Get("code"), ""), "expired")
	refusedTo(victim, mine.State, sweep.Conflict)
	require.Equal(t, 0, r.count(t, "SELECT count(*) FROM mailboxes")+r.count(t, "SELECT count(*) FROM oauth_tokens"))
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM oauth_states WHERE granted IS NOT NULL AND error = ''"), "the replay touched what was parked")
	require.Equal(t, 14, attacks)
}

func TestInventedCodesAndRefusalsConnectNothing(t *testing.T) { // OUT-4
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	for _, c := range []struct {
		code, problem, word string
		want                sweep.Code
	}{{"invented", "", "expired", sweep.Conflict}, {"", "", "denied", sweep.Forbidden}, {"x", "access_denied", "denied", sweep.Forbidden}} {
		s, err := r.StartConnect(t.Context(), a, sweep.ID{})
		require.NoError(t, err)
		to, err := r.Callback(t.Context(), s.State, c.code, c.problem)
		require.NoError(t, err)
		require.Equal(t, public+"/mailboxes?connect_error="+c.word, to)
		_, err = r.CompleteConnect(t.Context(), a, s.State)
		require.Equal(t, c.want, code(err))
	}
	require.Equal(t, 0, r.count(t, "SELECT count(*) FROM mailboxes")+r.count(t, "SELECT count(*) FROM oauth_states WHERE granted IS NOT NULL"))
}

func TestRefusingTheMailScopeConnectsNothing(t *testing.T) { // OUT-4
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	started, err := r.StartConnect(t.Context(), a, sweep.ID{})
	require.NoError(t, err)
	form := url.Values{"answer": {"allow"}, "email": {"one@gmail.example"}, "scope": {"openid", "email"}}
	answer, err := browser.Post(started.AuthorizeURL, "application/x-www-form-urlencoded", strings.NewReader(form.Encode()))
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, http.StatusFound, answer.StatusCode)
	back, err := answer.Location()
	require.NoError(t, err)
	to, err := r.Callback(t.Context(), started.State, back.Query().Get("code"), "")
	require.NoError(t, err)
	require.Equal(t, public+"/mailboxes?connect_error=scope_missing", to)
	_, err = r.CompleteConnect(t.Context(), a, started.State)
	require.Equal(t, sweep.Forbidden, code(err))
}

func TestGoogleAwayIsSaidAndConnectsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	started, err := r.StartConnect(t.Context(), a, sweep.ID{})
	require.NoError(t, err)
	back := r.consent(t, started.AuthorizeURL, "one@gmail.example")
	r.google.Inject(google.Fault{Method: "token", Status: 503, Times: 100})
	to, err := r.Callback(t.Context(), started.State, back.Get("code"), "")
	require.Equal(t, public+"/mailboxes?connect_error=unavailable", to)
	require.Equal(t, sweep.Unavailable, code(err))
	_, err = r.CompleteConnect(t.Context(), a, started.State)
	require.Equal(t, sweep.Unavailable, code(err))
}

func TestAConnectionExpires(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	started, err := r.StartConnect(t.Context(), a, sweep.ID{})
	require.NoError(t, err)
	back := r.consent(t, started.AuthorizeURL, "one@gmail.example")
	parked := r.park(t, a, sweep.ID{}, "one@gmail.example")
	r.exec(t, "UPDATE oauth_states SET expires_at = now() - interval '1 second'")
	to, err := r.Callback(t.Context(), started.State, back.Get("code"), "")
	require.NoError(t, err)
	require.Equal(t, public+"/mailboxes?connect_error=expired", to)
	_, err = r.CompleteConnect(t.Context(), a, parked)
	require.Equal(t, sweep.NotFound, code(err))
	_, err = r.StartConnect(t.Context(), a, sweep.ID{})
	require.NoError(t, err)
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM oauth_states WHERE granted IS NULL"), "the old ones are swept away, but for the grant, which the worker gives back")
}

func TestAConnectionCompletesOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	state := r.park(t, a, sweep.ID{}, "one@gmail.example")
	var all sync.WaitGroup
	errs := make([]error, 10)
	for i := range errs {
		all.Go(func() { _, errs[i] = r.CompleteConnect(t.Context(), a, state) })
	}
	all.Wait()
	codes := map[sweep.Code]int{}
	for _, err := range errs {
		codes[code(err)]++
	}
	require.Equal(t, map[sweep.Code]int{"": 1, sweep.NotFound: 9}, codes)
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM oauth_tokens"))
}

func TestReconnectingKeepsTheMailboxAndInsertsANewerToken(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	first, err := r.connect(t, a, sweep.ID{}, "one@gmail.example")
	require.NoError(t, err)
	id, _ := sweep.MailboxID.Parse(first.ID)
	r.exec(t, "UPDATE mailboxes SET state = 'needs_reconnect'")
	_, err = r.connect(t, a, id, "two@gmail.example")
	require.Equal(t, sweep.WrongGoogleAccount, code(err))
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM oauth_tokens"))
	again, err := r.connect(t, a, id, "one@gmail.example")
	require.NoError(t, err)
	require.Equal(t, first, again)
	require.NoError(t, r.Disconnect(t.Context(), a, id))
	third, err := r.connect(t, a, sweep.ID{}, "one@gmail.example") // without saying which
	require.NoError(t, err)
	require.Equal(t, first.ID, third.ID)
	require.True(t, third.ConnectedAt.After(first.ConnectedAt))
	require.Equal(t, 3, r.count(t, "SELECT count(*) FROM oauth_tokens"))
	_, err = r.StartConnect(t.Context(), a, sweep.ID{15: 3})
	require.Equal(t, sweep.NotFound, code(err))
}

func TestThePlanBoundsTheMailboxes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	first, err := r.connect(t, a, sweep.ID{}, "one@gmail.example")
	require.NoError(t, err)
	second, err := r.connect(t, a, sweep.ID{}, "two@gmail.example") // a trial carries five
	require.NoError(t, err)
	r.exec(t, "UPDATE customers SET trial_ends_at = now()")
	list, err := r.Mailboxes(t.Context(), a.Customer)
	require.NoError(t, err)
	require.Equal(t, []bool{false, true}, []bool{list[0].OverLimit, list[1].OverLimit}, "the oldest is kept")
	require.Equal(t, first.ID, list[0].ID)
	id, _ := sweep.MailboxID.Parse(second.ID)
	_, err = r.connect(t, a, id, "two@gmail.example")
	require.NoError(t, err, "what is connected may be connected again")
	require.NoError(t, r.Disconnect(t.Context(), a, id))
	_, err = r.connect(t, a, sweep.ID{}, "two@gmail.example")
	require.Equal(t, sweep.MailboxLimit, code(err))
	list, err = r.Mailboxes(t.Context(), a.Customer)
	require.NoError(t, err)
	require.Len(t, list, 1)
}

func TestParallelConnectionsDoNotPassThePlansLimit(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	r.exec(t, "UPDATE customers SET trial_ends_at = now()")
	states := []string{r.park(t, a, sweep.ID{}, "one@gmail.example"), r.park(t, a, sweep.ID{}, "two@gmail.example")}
	errs := make([]error, 2)
	other, err := pgx.Connect(t.Context(), r.database.Bootstrap)
	require.NoError(t, err)
	defer other.Close(t.Context())
	gate, err := other.Begin(t.Context()) // both are held up until both have begun
	require.NoError(t, err)
	_, err = gate.Exec(t.Context(), "SELECT FROM customers FOR UPDATE")
	require.NoError(t, err)
	var all sync.WaitGroup
	for i := range states {
		all.Go(func() { _, errs[i] = r.CompleteConnect(t.Context(), a, states[i]) })
	}
	testkit.Eventually(t, 10*time.Second, func() bool {
		return r.count(t, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'") == 2
	}, "both wait")
	require.NoError(t, gate.Commit(t.Context()))
	all.Wait()
	require.ElementsMatch(t, []sweep.Code{"", sweep.MailboxLimit}, []sweep.Code{code(errs[0]), code(errs[1])})
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM mailboxes"))
}

func TestOneTrialPerGoogleAccount(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, first := r.member(t, ada)
	_, second := r.member(t, "second@example.com")
	_, err := r.connect(t, first, sweep.ID{}, "one@gmail.example")
	require.NoError(t, err)
	before, err := r.Me(t.Context(), second)
	require.NoError(t, err)
	require.Equal(t, sweep.Pro, before.Plan)
	_, err = r.connect(t, second, sweep.ID{}, "one@gmail.example")
	require.NoError(t, err, "two customers may connect the same account")
	after, err := r.Me(t.Context(), second)
	require.NoError(t, err)
	require.Equal(t, sweep.Free, after.Plan)
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM customers WHERE plan_version = 2"))
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM audit_logs WHERE action = 'trial.ended'"))
	mine, err := r.Me(t.Context(), first)
	require.NoError(t, err)
	require.Equal(t, sweep.Pro, mine.Plan, "the first customer's trial goes on")
	_, err = r.connect(t, first, sweep.ID{}, "one@gmail.example")
	require.NoError(t, err)
	mine, _ = r.Me(t.Context(), first)
	require.Equal(t, sweep.Pro, mine.Plan, "and survives a reconnect")
}
