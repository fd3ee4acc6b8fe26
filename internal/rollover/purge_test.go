package rollover_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// GDP-2: three schedulers at once, of which none was up on the day.
func TestADeletedCustomerIsPurgedOnceWhenItsGraceIsOver(t *testing.T) {
	t.Parallel()
	c := newCalendar(t)
	now := time.Now().UTC()
	gone, later, stays := c.customer(), c.customer(), c.customer()
	for _, who := range []sweep.ID{gone, later, stays} {
		c.exec("INSERT INTO keep_list (customer_id, entry, created_at) VALUES ($1, 'x@example.com', now())", who.String())
	}
	deleted := "UPDATE customers SET deleted_at = now(), suspended_at = now(), purge_at = $2 WHERE id = $1"
	c.exec(deleted, gone.String(), now.AddDate(0, 0, 7))
	c.exec(deleted, later.String(), now.AddDate(0, 0, 9))
	left := func() string {
		return c.ask("SELECT concat_ws(' ', (SELECT count(*) FROM keep_list), (SELECT count(*) FROM customers WHERE purged_at IS NOT NULL), (SELECT count(*) FROM audit_logs WHERE action = 'customer.purged'))")
	}
	purge := func(at time.Time, schedulers int) {
		var all sync.WaitGroup
		for range schedulers {
			s := c.at(at)
			require.NoError(t, s.Plan(t.Context()))
			all.Go(func() {
				if err := s.Do(t.Context(), "purge"); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
	}
	purge(now, 1)
	require.Equal(t, "3 0 0", left())
	purge(now.AddDate(0, 0, 8), 3)
	require.Equal(t, "2 1 1", left())
	heads := map[sweep.ID]store.AuditHead{}
	s := c.at(now.AddDate(0, 0, 10))
	s.Head = func(customer sweep.ID, h store.AuditHead) error { heads[customer] = h; return nil }
	due(t, s)
	require.Equal(t, "1 2 2", left())
	require.Len(t, heads, 2, "the chains of the purged stand, and their ends are told outside like any")
	require.NoError(t, s.DB.Tenant(t.Context(), gone, func(tx *store.Tx) error {
		proof, err := tx.VerifyAudit()
		require.Equal(t, store.AuditProof{Rows: 1}, proof)
		has, _, hasErr := tx.HasAuditHead(heads[gone])
		require.True(t, has)
		require.NoError(t, hasErr)
		return err
	}))
}

// A sign-up waits for a proof as long as its mails are good, and a week more; then its address is free and nothing is left that names it. No mail
// speaks of a trial to who never proved an address.
func TestASignUpThatNobodyConfirmsIsDropped(t *testing.T) {
	t.Parallel()
	c := newCalendar(t)
	now := time.Now().UTC()
	signUp := func(email string, since time.Time, verified *time.Time, mails ...time.Time) sweep.ID {
		customer, user := c.customer(), c.newID()
		c.exec("INSERT INTO users (id, email, name, password, verified_at, created_at) VALUES ($1, $2, 'Mallory', 'x', $3, $4)", user.String(), email, verified, since)
		c.exec("INSERT INTO members (customer_id, user_id, role, created_at) VALUES ($1, $2, 'owner', now())", customer.String(), user.String())
		for _, ends := range mails {
			token := c.newID().String()
			c.exec("INSERT INTO email_tokens (customer_id, id, user_id, kind, hash, email, expires_at, created_at) VALUES ($1, $2, $3, 'verify', $4, $5, $6, now())",
				customer.String(), token, user.String(), []byte(token), email, ends)
		}
		return customer
	}
	ago := func(days int) time.Time { return now.AddDate(0, 0, -days) }
	stale := signUp("stale@example.com", ago(9), nil, ago(9), ago(8))
	signUp("mailless@example.com", ago(9), nil)
	signUp("asked-again@example.com", ago(90), nil, ago(89), ago(6))
	signUp("new@example.com", ago(6), nil)
	proven := ago(90)
	signUp("proven@example.com", ago(90), &proven, ago(89))
	left := func() string {
		return c.ask("SELECT string_agg(split_part(email, '@', 1), ' ' ORDER BY email) FROM users")
	}
	s := c.at(now)
	due(t, s)
	require.Equal(t, "asked-again new proven", left())
	require.Equal(t, "2 2 2", c.ask(`SELECT concat_ws(' ', (SELECT count(*) FROM customers WHERE purged_at IS NOT NULL AND name = ''),
		(SELECT count(*) FROM audit_logs WHERE action = 'signup.dropped' AND data->>'reason' = 'never_proven'), (SELECT count(*) FROM audit_logs WHERE action = 'customer.purged'))`))
	require.Empty(t, c.letters())
	require.NoError(t, s.DB.Tenant(t.Context(), stale, func(tx *store.Tx) error {
		proof, err := tx.VerifyAudit()
		require.Equal(t, 2, int(proof.Rows))
		return err
	}))
	due(t, c.at(now.AddDate(0, 0, 8)))
	require.Equal(t, "proven", left(), "each when its time has come")
}
