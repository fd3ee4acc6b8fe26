package store_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/store"
)

func TestOfManySchedulersOneTakesADuty(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	now := func(now time.Time) time.Time { return now.Add(-time.Minute) }
	var took atomic.Int32
	var all sync.WaitGroup
	for range 3 {
		db := open(t, y.d, "mailsweep_scheduler")
		all.Go(func() {
			if err := db.PlanDuty(t.Context(), "x", now); err != nil {
				t.Error(err)
			}
			d, ok, err := db.TakeDuty(t.Context(), "x", time.Minute)
			if err != nil {
				t.Error(err)
			}
			if !ok {
				return
			}
			took.Add(1)
			if ours, err := db.FinishDuty(t.Context(), d, d.Now.Add(time.Hour)); err != nil || !ours {
				t.Error("finish", ours, err)
			}
		})
	}
	all.Wait()
	require.Equal(t, int32(1), took.Load())
}

func TestADutyWhoseSchedulerDiedIsTakenAgainWithItsDueTime(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db := open(t, y.d, "mailsweep_scheduler")
	due := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	require.NoError(t, db.PlanDuty(t.Context(), "x", func(time.Time) time.Time { return due }))
	first, ok, err := db.TakeDuty(t.Context(), "x", time.Hour)
	require.NoError(t, err)
	require.True(t, ok)
	_, ok, err = db.TakeDuty(t.Context(), "x", time.Hour)
	require.NoError(t, err)
	require.False(t, ok, "in hand")
	y.exec("UPDATE duties SET taken_until = clock_timestamp() - interval '1 second'")
	second, ok, err := db.TakeDuty(t.Context(), "x", time.Hour)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, due, second.Due)
	for name, late := range map[string]func() (bool, error){
		"finish": func() (bool, error) { return db.FinishDuty(t.Context(), first, due.AddDate(1, 0, 0)) },
		"renew":  func() (bool, error) { return db.RenewDuty(t.Context(), first, time.Hour) },
		"drop":   func() (bool, error) { return db.DropDuty(t.Context(), first, 0) },
	} {
		ours, err := late()
		require.NoError(t, err)
		require.False(t, ours, "%s by the one that was thought dead", name)
	}
	ours, err := db.FinishDuty(t.Context(), second, due.AddDate(0, 1, 0))
	require.NoError(t, err)
	require.True(t, ours)
	third, ok, err := db.TakeDuty(t.Context(), "x", time.Hour)
	require.NoError(t, err)
	require.True(t, ok, "the next one was missed too")
	require.Equal(t, due.AddDate(0, 1, 0), third.Due)
	require.NotNil(t, third.Last)
}

func TestOnlyTheSchedulerSeesDuties(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	for _, role := range []string{"mailsweep_app", "mailsweep_worker"} {
		_, _, err := open(t, y.d, role).TakeDuty(t.Context(), "x", time.Minute)
		require.Error(t, err, role)
	}
}

func TestExpiryEmptiesWhatIsOldAndKeepsTheRest(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	p := y.place("a")
	c := p.customer.String()
	for _, age := range []string{"40 days", "20 days"} {
		job, plan, user := y.job(p, "a", "execute", 1), newID(t).String(), newID(t).String()
		y.set(job, "state = 'succeeded', params = 'p', result = 'r', checkpoint = 'c', finished_at = now() - interval '"+age+"'")
		y.exec(`INSERT INTO cleanup_plans (customer_id, id, mailbox_id, account, generation, action, head, ids, kept, messages, bytes, history_id, made_by, made_at, expires_at)
			VALUES ($1, $2, $3, 'a', 1, 'trash', 'h', 'i', 'k', 1, 1, 1, $4, now(), now() - $5::interval)`, c, plan, p.mailbox.String(), job.String(), age)
		y.exec("INSERT INTO batches (customer_id, job_id, n, ids, state, asked, created_at) VALUES ($1, $2, 0, 'ids', 'done', 1, now() - $3::interval)", c, job.String(), age)
		y.exec("INSERT INTO users (id, email, password, created_at) VALUES ($1, $2, '', now())", user, user+"@example.com")
		y.exec("INSERT INTO members (customer_id, user_id, role, created_at) VALUES ($1, $2, 'owner', now())", c, user)
		y.exec("INSERT INTO sessions (customer_id, id, user_id, hash, created_at, seen_at, expires_at) VALUES ($1, $2, $3, $4, now(), now(), now() - $5::interval)", c, plan, user, []byte(age), age)
		y.exec("INSERT INTO email_tokens (customer_id, id, user_id, kind, hash, email, expires_at, created_at) VALUES ($1, $2, $3, 'verify', $4, '', now() - $5::interval / 5, now())", c, plan, user, []byte(age), age)
		y.exec("INSERT INTO oauth_states (customer_id, hash, user_id, verifier, expires_at) VALUES ($1, $2, $3, '', now() - $4::interval / 30)", c, []byte(age), user, age)
		y.exec("INSERT INTO idempotency_keys (customer_id, route, key, request_hash, created_at) VALUES ($1, 'r', $2::text, '', now() - $2::text::interval / 30)", c, age)
	}
	y.exec(`INSERT INTO sessions (customer_id, id, user_id, hash, created_at, seen_at, expires_at, ended_at)
		SELECT customer_id, $2, user_id, 'ended', now(), now(), now() + interval '1 day', now() - interval '31 days' FROM members WHERE customer_id = $1 LIMIT 1`, c, newID(t).String())
	y.exec("INSERT INTO mailbox_indexes (customer_id, mailbox_id, segment, version, sealed, as_of) VALUES ($1, $2, 'old', 1, '', now() - interval '46 days'), ($1, $2, 'new', 1, '', now())", c, p.mailbox.String())
	for _, days := range []int{8, 2, 0} { // gone, known and expired, ready
		id := newID(t).String()
		y.exec(`INSERT INTO exports (customer_id, id, user_id, created_at, ready_at, expires_at) VALUES ($1, $2, $2, now() - make_interval(days => $3), now(), now() - make_interval(days => $3 - 1))`, c, id, days)
		y.exec("INSERT INTO export_parts (customer_id, export_id, n, sealed) VALUES ($1, $2, 0, '')", c, id)
	}
	db := open(t, y.d, "mailsweep_scheduler")
	require.NoError(t, db.Tenant(t.Context(), p.customer, func(tx *store.Tx) error {
		rows, err := tx.Expire(time.Time{})
		require.Equal(t, int64(12), rows)
		return err
	}))
	for _, left := range []string{"cleanup_plans WHERE ids <> '' AND head <> '' AND kept <> ''", "batches WHERE ids IS NOT NULL", "jobs WHERE result IS NOT NULL AND params IS NOT NULL",
		"sessions", "email_tokens", "oauth_states", "idempotency_keys", "mailbox_indexes", "export_parts", "exports WHERE expires_at > now()", "exports WHERE expires_at <= now()"} {
		require.Equal(t, int64(1), ask[int64](y, "SELECT count(*) FROM "+left), left)
	}
	y.exec("UPDATE mailboxes SET state = 'disconnected', analysis = 'a', disconnected_at = now() - interval '31 days'")
	require.NoError(t, db.Tenant(t.Context(), p.customer, func(tx *store.Tx) error {
		_, err := tx.Expire(tx.Now.Add(-24 * time.Hour))
		return err
	}))
	require.Equal(t, int64(0), ask[int64](y, "SELECT count(*) FROM mailbox_indexes"))
	require.True(t, ask[bool](y, "SELECT analysis IS NULL FROM mailboxes"))
}
