package store_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

// monthsAgo is the beginning of a month, so many before this one.
func monthsAgo(n int) time.Time {
	now := time.Now().UTC()
	return time.Date(now.Year(), now.Month()-time.Month(n), 1, 0, 0, 0, 0, time.UTC)
}

// past is a yard with partitions for the months since the first, and the scheduler that keeps them.
type past struct {
	*yard
	db *store.DB
}

func newPast(t *testing.T, months int) *past {
	t.Helper()
	p := &past{yard: newYard(t)}
	p.db = open(t, p.d, "mailsweep_scheduler")
	_, err := p.db.EnsurePartitions(t.Context(), monthsAgo(months), months)
	require.NoError(t, err)
	return p
}

func (p *past) idOf(at time.Time) sweep.ID {
	p.t.Helper()
	id, err := sweep.NewID(at, rand.Reader)
	require.NoError(p.t, err)
	return id
}

// cleanup lays out an execute of that time with a batch, its ledger row in the period and a mail about it.
func (p *past) cleanup(who place, at time.Time, state string, emails int) sweep.ID {
	p.t.Helper()
	job := p.idOf(at)
	c, period := who.customer.String(), sweep.PeriodAt(at).Start
	p.exec(`INSERT INTO jobs (customer_id, id, mailbox_id, account, kind, state, rank, vt, run_at, created_at, period_start, reserved, settled)
		VALUES ($1, $2, $3, 'a', 'execute', $4, 1, 0, $5, $5, $6, $7, $7)`, c, job.String(), who.mailbox.String(), state, at, period, max(0, emails))
	p.exec("INSERT INTO batches (customer_id, job_id, n, state, asked, created_at) VALUES ($1, $2, 0, 'done', $3, $4)", c, job.String(), emails, at)
	p.exec("INSERT INTO usage_ledger (customer_id, job_id, batch_no, kind, emails, period_start, created_at) VALUES ($1, $2, 0, CASE WHEN $3 < 0 THEN 'proof' ELSE 'settle' END, $3, $4, $5)", c, job.String(), emails, period, at)
	p.exec("INSERT INTO usage_tracking (customer_id, period_start) VALUES ($1, $2) ON CONFLICT (customer_id, period_start) DO NOTHING", c, period)
	p.exec("UPDATE usage_tracking SET used = used + $3 WHERE customer_id = $1 AND period_start = $2", c, period, emails)
	p.exec("INSERT INTO outbox (customer_id, id, kind, state, run_at, created_at) VALUES ($1, $2, 'x', 'done', $3, $3)", c, job.String(), at)
	p.audit(who, at)
	return job
}

func (p *past) audit(who place, at time.Time) {
	p.exec("SELECT audit($1::uuid, $2, $3, 'user', 'job.execute', 'o', 'r', NULL, '{\"n\": 1}') WHERE set_config('app.customer_id', $1::text, true) IS NOT NULL", who.customer.String(), p.idOf(at).String(), at)
}

func (p *past) tables(schema string, month time.Time) int64 {
	return ask[int64](p.yard, "SELECT count(*) FROM pg_class c WHERE relkind = 'r' AND relnamespace = $1::text::regnamespace AND relname ~ ('_' || $2::text || '$')", schema, month.Format("200601"))
}

func (p *past) breaches(who place) (rules []string) {
	p.t.Helper()
	require.NoError(p.t, p.db.Tenant(p.t.Context(), who.customer, func(tx *store.Tx) error {
		found, err := tx.QuotaBreaches()
		for _, d := range found {
			rules = append(rules, d.Rule)
		}
		return err
	}))
	return rules
}

func (p *past) anchor(who place, month time.Time) {
	p.t.Helper()
	require.NoError(p.t, p.db.Tenant(p.t.Context(), who.customer, func(tx *store.Tx) error { return tx.AnchorAudit(month) }))
}

func (p *past) detach(month time.Time) map[string]int {
	p.t.Helper()
	unfinished, err := p.db.DetachMonth(p.t.Context(), month)
	require.NoError(p.t, err)
	return unfinished
}

func TestAMonthOlderThanTheRetentionIsArchivedWholeAndNoYoungerOne(t *testing.T) {
	t.Parallel()
	p := newPast(t, 15)
	who := p.place("a")
	for ago := range 16 {
		p.cleanup(who, monthsAgo(ago).Add(time.Hour), "succeeded", 10)
	}
	aged, err := p.db.AgedMonths(t.Context(), time.Now(), 13)
	require.NoError(t, err)
	require.Equal(t, []time.Time{monthsAgo(15), monthsAgo(14)}, aged)
	ahead, err := p.db.AgedMonths(t.Context(), time.Now().AddDate(1, 0, 0), 13)
	require.NoError(t, err)
	require.Equal(t, aged, ahead, "a business clock that runs ahead makes nothing older")
	for _, month := range aged {
		require.Empty(t, p.detach(month))
		require.Empty(t, p.detach(month), "again changes nothing")
		require.Equal(t, []int64{0, 5}, []int64{p.tables("public", month), p.tables("archive", month)})
	}
	require.Equal(t, int64(5), p.tables("public", monthsAgo(13)))
	require.Empty(t, p.breaches(who), "the archived months' sums agree too")
	p.exec("UPDATE usage_tracking SET used = used + 1 WHERE period_start = $1", monthsAgo(15))
	require.Equal(t, []string{"used is not the sum of the ledger"}, p.breaches(who))
	for _, table := range []string{"jobs", "batches", "usage_ledger", "audit_logs", "outbox"} {
		require.Equal(t, int64(14), ask[int64](p.yard, "SELECT count(*) FROM "+table), table)
		require.Equal(t, int64(1), ask[int64](p.yard, "SELECT count(*) FROM archive."+table+"_"+monthsAgo(14).Format("200601")), table)
	}
	aged, err = p.db.AgedMonths(t.Context(), time.Now(), 13)
	require.NoError(t, err)
	require.Empty(t, aged)
}

func TestTheArchiveIsShutToEveryProcessAndStaysFenced(t *testing.T) {
	t.Parallel()
	p := newPast(t, 14)
	who, month := p.place("a"), monthsAgo(14)
	p.cleanup(who, month.Add(time.Hour), "succeeded", 1)
	require.NoError(t, store.Migrate(t.Context(), p.d.Bootstrap, nil), "rights on a database itself are not copied with it")
	p.detach(month)
	for _, role := range []string{"mailsweep_app", "mailsweep_worker", "mailsweep_scheduler", "mailsweep_ops"} {
		conn, err := pgx.Connect(t.Context(), p.d.URL(role, password))
		require.NoError(t, err)
		for _, table := range []string{"jobs", "batches", "usage_ledger", "audit_logs", "outbox"} {
			_, err := conn.Exec(t.Context(), "SELECT FROM archive."+table+"_"+month.Format("200601"))
			require.ErrorContains(t, err, "permission denied", role+" "+table)
		}
		require.NoError(t, conn.Close(t.Context()))
	}
	p.inDoubt(func(tx pgx.Tx) {
		found, err := violations(t.Context(), tx)
		require.NoError(t, err)
		require.Empty(t, found)
	})
	_, err := p.conn.Exec(t.Context(), "DELETE FROM archive.audit_logs_"+month.Format("200601"))
	require.ErrorContains(t, err, "append-only")
}

func TestAMonthWithAnOpenJobOrAnUnsentMailStaysUntilItIsOver(t *testing.T) {
	t.Parallel()
	p := newPast(t, 14)
	who, month := p.place("a"), monthsAgo(14)
	var jobs []sweep.ID
	for _, state := range []string{"queued", "dispatched", "running", "waiting", "paused", "succeeded"} {
		jobs = append(jobs, p.cleanup(who, month.Add(time.Hour), state, 1))
	}
	p.exec("UPDATE outbox SET state = 'queued' WHERE id = $1", jobs[0].String())
	require.Equal(t, map[string]int{"jobs": 5, "outbox": 1}, p.detach(month))
	require.Equal(t, []int64{4, 1}, []int64{p.tables("public", month), p.tables("archive", month)}, "jobs, batches, ledger and mails stay together")
	p.exec("UPDATE jobs SET state = 'canceled' WHERE state <> 'succeeded'")
	p.exec("UPDATE outbox SET state = 'failed' WHERE state = 'queued'")
	require.Empty(t, p.detach(month))
	require.Equal(t, []int64{0, 5}, []int64{p.tables("public", month), p.tables("archive", month)})
}

func TestTheDatabaseItselfKeepsThisMonthAndTheTwoBefore(t *testing.T) {
	t.Parallel()
	p := newPast(t, 3)
	for ago := range 3 {
		_, err := p.db.DetachMonth(t.Context(), monthsAgo(ago))
		require.ErrorContains(t, err, "are kept")
	}
	require.Empty(t, p.detach(monthsAgo(3)))
	for _, role := range []string{"mailsweep_app", "mailsweep_worker", "mailsweep_ops"} {
		_, err := open(t, p.d, role).DetachMonth(t.Context(), monthsAgo(3))
		require.ErrorContains(t, err, "permission denied", role)
	}
}

func TestDetachingStepsBackForWhoeverHoldsTheTables(t *testing.T) {
	t.Parallel()
	p := newPast(t, 14)
	held, err := p.conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = held.Exec(t.Context(), "SELECT FROM jobs, outbox")
	require.NoError(t, err)
	done := make(chan error, 1)
	go func() { _, err := p.db.DetachMonth(t.Context(), monthsAgo(14)); done <- err }()
	app, who := open(t, p.d, "mailsweep_app"), newID(t)
	for range 20 {
		began := time.Now()
		require.NoError(t, app.Tenant(t.Context(), who, func(tx *store.Tx) error { _, err := tx.Jobs("", nil, sweep.ID{}, 1); return err }))
		require.Less(t, time.Since(began), time.Second, "nobody queues behind it for long")
	}
	require.NoError(t, held.Rollback(t.Context()))
	require.NoError(t, <-done)
	require.Equal(t, int64(5), p.tables("archive", monthsAgo(14)))
}

func TestTheAuditChainGoesOnFromWhatADetachedMonthLeft(t *testing.T) {
	t.Parallel()
	p := newPast(t, 15)
	who, silent := p.place("a"), p.place("b")
	turn := monthsAgo(14)
	for _, at := range []time.Duration{-time.Hour, -time.Minute, time.Second, -time.Second, 2 * time.Second, time.Hour} { // around midnight entries interleave
		p.audit(who, turn.Add(at))
	}
	p.audit(silent, turn.Add(-time.Hour))
	p.audit(who, time.Now())
	verify := func(who place) (proof store.AuditProof) {
		require.NoError(t, p.db.Tenant(t.Context(), who.customer, func(tx *store.Tx) (err error) { proof, err = tx.VerifyAudit(); return err }))
		return proof
	}
	require.Equal(t, store.AuditProof{Rows: 7}, verify(who))
	for n, month := range []time.Time{monthsAgo(15), monthsAgo(14)} {
		for range 2 {
			p.anchor(who, month)
			p.anchor(silent, month)
		}
		require.Empty(t, p.detach(month))
		require.Equal(t, store.AuditProof{Rows: []int{4, 1}[n]}, verify(who))
		require.Equal(t, store.AuditProof{}, verify(silent), "all of it is detached")
	}
	require.Equal(t, int64(3), ask[int64](p.yard, "SELECT count(*) FROM audit_anchors WHERE customer_id = $1 AND month = $2", who.customer.String(), monthsAgo(15))+
		ask[int64](p.yard, "SELECT count(*) FROM audit_anchors WHERE customer_id = $1 AND month = $2 AND seq = 6", who.customer.String(), monthsAgo(14)))
	p.audit(who, time.Now())
	p.exec("ALTER TABLE audit_logs DISABLE TRIGGER audit_append_only")
	p.exec("DELETE FROM audit_anchors WHERE month = $1", monthsAgo(14))
	require.Equal(t, store.AuditProof{Rows: 2, Broken: 7}, verify(who), "without its anchor the chain hangs in the air")
	p.anchor(who, monthsAgo(14))
	p.exec("DELETE FROM audit_logs WHERE seq = 8")
	require.Equal(t, store.AuditProof{Rows: 1, Broken: 7, Cut: true}, verify(who))
}

// Quota rule 1 across detaching: what was used of a period is its ledger's sum while the ledger is here, and stays as it was after.
func TestUsedIsTheLedgerOfLivePeriodsAcrossADetach(t *testing.T) {
	t.Parallel()
	p := newPast(t, 18)
	rapid.Check(t, func(r *rapid.T) {
		who := p.place("a")
		used := map[time.Time]int{}
		for range rapid.IntRange(1, 30).Draw(r, "jobs") {
			month := monthsAgo(rapid.IntRange(0, 18).Draw(r, "months ago"))
			if p.tables("public", month) == 0 {
				continue // archived by an earlier walk
			}
			n := rapid.IntRange(-50, 500).Draw(r, "emails")
			if used[month]+n < 0 {
				continue
			}
			used[month] += n
			p.cleanup(who, month.Add(time.Hour), "succeeded", n)
		}
		if rapid.IntRange(0, 9).Draw(r, "detach") == 0 {
			aged, err := p.db.AgedMonths(t.Context(), time.Now(), rapid.IntRange(2, 17).Draw(r, "keep"))
			require.NoError(t, err)
			for _, month := range aged[:min(1, len(aged))] {
				require.Empty(t, p.detach(month))
			}
		}
		require.Empty(t, p.breaches(who), "also of months in the archive")
		begins := ask[time.Time](p.yard, "SELECT ledger_begins()")
		for month, n := range used {
			require.Equal(t, n, ask[int](p.yard, "SELECT used FROM usage_tracking WHERE customer_id = $1 AND period_start = $2", who.customer.String(), month))
			if !month.Before(begins) {
				require.Equal(t, n, ask[int](p.yard, "SELECT coalesce(sum(emails), 0) FROM usage_ledger WHERE customer_id = $1 AND period_start = $2", who.customer.String(), month))
			}
		}
	})
	require.Less(t, p.tables("public", monthsAgo(18)), int64(5), "something was detached")
}

// downTo takes migrations back until the outbox is one table again.
func downTo(t *testing.T, d testkit.Database, y *yard) {
	t.Helper()
	for ask[string](y, "SELECT relkind::text FROM pg_class WHERE oid = 'outbox'::regclass") == "p" {
		require.NoError(t, store.Down(t.Context(), d.Bootstrap))
	}
}

// poster writes mails as a process of the release before does, without a pause, until it is stopped.
func (y *yard) poster(ctx context.Context, p place) (posted int, slowest time.Duration, err error) {
	conn, err := pgx.Connect(context.WithoutCancel(ctx), y.d.URL("mailsweep_app", password))
	if err != nil {
		return 0, 0, err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(context.WithoutCancel(ctx), fmt.Sprintf("SET app.customer_id = '%s'", p.customer)); err != nil {
		return 0, 0, err
	}
	for ; ctx.Err() == nil; posted++ {
		id, began := newID(y.t), time.Now()
		if _, err := conn.Exec(context.WithoutCancel(ctx), "INSERT INTO outbox (customer_id, id, kind, run_at, created_at) VALUES ($1, $2, 'x', now(), now())", p.customer.String(), id.String()); err != nil {
			return posted, slowest, err
		}
		slowest = max(slowest, time.Since(began))
	}
	return posted, slowest, nil
}

func TestTheOutboxIsPartitionedWhileOthersPostAndNothingIsLost(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	p := y.place("a")
	downTo(t, y.d, y)
	y.exec("INSERT INTO outbox (customer_id, id, kind, state, run_at, created_at) SELECT $1, gen_random_uuid(), 'x', 'done', now(), now() FROM generate_series(1, 1) WHERE false", p.customer.String())
	y.exec(`INSERT INTO outbox (customer_id, id, kind, state, run_at, created_at)
		SELECT $1, (lpad(to_hex((extract(epoch FROM now() - n * interval '1 hour') * 1000)::bigint), 12, '0') || '7000' || lpad(to_hex(n), 16, '8'))::uuid, 'x', 'done', now(), now() FROM generate_series(1, 20000) n`, p.customer.String())
	ctx, stop := context.WithCancel(t.Context())
	var all sync.WaitGroup
	var mu sync.Mutex
	total, slowest := int64(20000), time.Duration(0)
	for range 3 {
		all.Go(func() {
			n, took, err := y.poster(ctx, p)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				t.Error(err)
			}
			total, slowest = total+int64(n), max(slowest, took)
		})
	}
	err := store.Migrate(t.Context(), y.d.Bootstrap, nil)
	stop()
	all.Wait()
	require.NoError(t, err)
	t.Logf("%d posts while the schema changed, the slowest took %s", total-20000, slowest)
	require.Equal(t, total, ask[int64](y, "SELECT count(*) FROM outbox"))
	_, err = open(t, y.d, "mailsweep_scheduler").EnsurePartitions(t.Context(), monthsAgo(3), 6)
	require.NoError(t, err, "months that lie in the first partition need none")
	y.inDoubt(func(tx pgx.Tx) {
		found, err := violations(t.Context(), tx)
		require.NoError(t, err)
		require.Empty(t, found)
	})
	due, err := open(t, y.d, "mailsweep_scheduler").OutboxDue(t.Context(), 1)
	require.NoError(t, err)
	require.Len(t, due, 1)
	downTo(t, y.d, y)
	require.Equal(t, total, ask[int64](y, "SELECT count(*) FROM outbox"), "and back")
}

func TestTotalsOfRunsAreCountedAsTheyEnd(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	totals := func() (sum sweep.HistoryTotals) {
		w.tenant(w.app, func(tx *store.Tx) (err error) { sum, err = tx.HistoryTotals(); return err })
		return sum
	}
	require.Zero(t, totals())
	run := store.RunRow{Job: w.job, Plan: w.plan, Mailbox: w.p.mailbox, Action: sweep.Trash, State: sweep.Running, Planned: 100}
	w.tenant(w.worker, func(tx *store.Tx) error {
		require.NoError(t, tx.StartRun(run))
		return tx.StartRun(run)
	})
	require.Equal(t, sweep.HistoryTotals{Runs: 1}, totals())
	run.Cleaned, run.Bytes = 90, 1<<40
	w.tenant(w.worker, func(tx *store.Tx) error {
		require.NoError(t, tx.EndRun(run))
		return tx.Undone(w.job, newID(t), sweep.UndoResult{Restored: 80})
	})
	require.Equal(t, sweep.HistoryTotals{Runs: 1, Cleaned: 90, Restored: 80, Bytes: 1 << 40}, totals())
	w.exec("DELETE FROM cleanup_runs")
	require.Zero(t, totals())
	w.exec("DELETE FROM customers")
	require.Zero(t, ask[int64](w.yard, "SELECT count(*) FROM run_totals"))
}

// What is archived is no breach: the books that stay here agree with each other.
func TestTheBooksAgreeOnceAMonthIsArchived(t *testing.T) {
	t.Parallel()
	p := newPast(t, 14)
	live, gone := p.place("live"), p.place("gone")
	for _, who := range []place{live, gone} {
		p.cleanup(who, monthsAgo(14).Add(time.Hour), "succeeded", 10)
		p.exec("UPDATE jobs SET settled = 10, reserved = 10, finished_at = created_at WHERE customer_id = $1", who.customer.String())
	}
	p.audit(live, time.Now())
	breaches := func() (all []store.Discrepancy) {
		for _, who := range []place{live, gone} {
			require.NoError(t, p.db.Tenant(t.Context(), who.customer, func(tx *store.Tx) error {
				quota, err := tx.QuotaBreaches()
				require.NoError(t, err)
				jobs, err := tx.JobBreaches(time.Minute)
				all = append(append(all, quota...), jobs...)
				return err
			}))
		}
		return all
	}
	require.Empty(t, breaches())
	p.anchor(live, monthsAgo(14))
	p.anchor(gone, monthsAgo(14))
	require.Empty(t, p.detach(monthsAgo(14)))
	require.Empty(t, breaches())
}
