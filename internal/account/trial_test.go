package account_test

import (
	"encoding/hex"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

// purged deletes an actor's customer and removes what it left, as if its grace were over.
func (r *rig) purged(t *testing.T, a sweep.Actor, email string) {
	t.Helper()
	_, err := r.Delete(t.Context(), a, good, "", email, r.client)
	require.NoError(t, err)
	r.purge(t, a.Customer)
}

func (r *rig) purge(t *testing.T, customer sweep.ID) {
	t.Helper()
	r.exec(t, "UPDATE customers SET purge_at = now() WHERE id = $1", customer.String())
	scheduler := r.open(t, "mailsweep_scheduler", 0)
	for more := true; more; {
		require.NoError(t, scheduler.Tenant(t.Context(), customer, func(tx *store.Tx) (err error) {
			more, err = tx.PurgeSome(1000)
			return err
		}))
	}
	r.afterAMinute(t)
}

// trust: BIL-6, GDP-2: who signs up anew with an address whose account was removed, by whatever way, has no second trial; what is kept of the
// address does not show it and leads to nothing, for 24 months.
func TestAnAddressHasOneTrialAlsoWhenItsAccountIsGone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	first, a := r.member(t, one)
	require.NotNil(t, first.Customer.TrialEndsAt)
	require.Equal(t, a.Customer.String(), r.text(t, "SELECT string_agg(customer::text, ' ') FROM trial_addresses"))
	r.purged(t, a, one)
	dump := testkit.Dump(t, r.database)
	for _, text := range []string{one, hex.EncodeToString([]byte(one)), hex.EncodeToString(r.Pseudonym.Of("email", one))} {
		require.NotContains(t, dump, text)
	}
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM trial_addresses WHERE customer IS NULL AND freed_at IS NOT NULL"), "nothing leads to the account")

	second, b := r.member(t, "  ONE@gmail.example ")
	require.Equal(t, sweep.Free, second.Customer.Plan)
	require.Nil(t, second.Customer.TrialEndsAt)
	require.Equal(t, "Ada", second.Customer.Name)
	r.purged(t, b, one)
	byGoogle, err := r.withGoogle(t, one)
	require.NoError(t, err)
	require.Nil(t, byGoogle.Customer.TrialEndsAt)
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM trial_addresses"))
	other, _ := r.member(t, ada)
	require.NotNil(t, other.Customer.TrialEndsAt, "another address has one")

	for _, c := range []struct{ months, left int }{{23, 2}, {25, 1}} {
		require.NoError(t, r.open(t, "mailsweep_scheduler", 0).ForgetTrials(t.Context(), time.Now().AddDate(0, c.months, 0)))
		require.Equal(t, c.left, r.count(t, "SELECT count(*) FROM trial_addresses"), "after %d months", c.months)
	}
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM trial_addresses WHERE customer IS NOT NULL"), "that of who is there stays")
}

// trust: BIL-6: who began their trial before it was noted at its beginning gets no other; who only worked for somebody who had one has their own.
func TestADeletionNotesWhoseTrialItWas(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	r.joined(t, a, "bob@example.com", sweep.Operator)
	r.exec(t, "DELETE FROM trial_addresses")
	r.purged(t, a, ada)
	again, _ := r.member(t, ada)
	require.Nil(t, again.Customer.TrialEndsAt)
	bob, _ := r.member(t, "bob@example.com")
	require.NotNil(t, bob.Customer.TrialEndsAt)
}

// trust: BIL-6: a link that is used many times at once begins one trial, and one that was taken back by a failure uses none up.
func TestATrialIsUsedUpWithItsBeginning(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	require.NoError(t, r.SignUp(t.Context(), ada, good, "Ada", r.client))
	require.Equal(t, 0, r.count(t, "SELECT count(*) FROM trial_addresses"), "a stranger's sign-up uses nobody's trial")
	token := r.tokens(t)[0]
	r.exec(t, "ALTER TABLE customers ADD CONSTRAINT none CHECK (trial_ends_at IS NULL)")
	_, err := r.VerifyEmail(t.Context(), token, good, r.client)
	require.Error(t, err)
	require.Equal(t, 0, r.count(t, "SELECT count(*) FROM trial_addresses"))
	r.exec(t, "ALTER TABLE customers DROP CONSTRAINT none")
	var all sync.WaitGroup
	sessions := make([]account.Session, 5)
	for i := range sessions {
		all.Go(func() { sessions[i], _ = r.VerifyEmail(t.Context(), token, good, r.client) }) // one of them is let in
	}
	all.Wait()
	in := 0
	for _, s := range sessions {
		if s.AccessToken != "" {
			require.NotNil(t, s.Customer.TrialEndsAt)
			in++
		}
	}
	require.Equal(t, 1, in)
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM trial_addresses"))
}
