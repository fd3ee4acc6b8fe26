package store_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

// yard is a database with customers whose jobs are laid out by hand, past the admission.
type yard struct {
	t    *testing.T
	d    testkit.Database
	conn *pgx.Conn
	mu   sync.Mutex
}

func newYard(t *testing.T) *yard {
	t.Helper()
	d := database(t)
	conn, err := pgx.Connect(t.Context(), d.Bootstrap)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(context.Background()) })
	return &yard{t: t, d: d, conn: conn}
}

func (y *yard) exec(query string, args ...any) {
	y.t.Helper()
	y.mu.Lock()
	defer y.mu.Unlock()
	_, err := y.conn.Exec(y.t.Context(), query, args...)
	require.NoError(y.t, err)
}

func ask[T any](y *yard, query string, args ...any) (v T) {
	y.t.Helper()
	y.mu.Lock()
	defer y.mu.Unlock()
	require.NoError(y.t, y.conn.QueryRow(y.t.Context(), query, args...).Scan(&v))
	return v
}

func newID(t *testing.T) sweep.ID {
	t.Helper()
	id, err := sweep.NewID(time.Now(), rand.Reader)
	require.NoError(t, err)
	return id
}

// place is a customer with one mailbox on a Google account.
type place struct{ customer, mailbox sweep.ID }

func (y *yard) place(account string) place {
	y.t.Helper()
	p := place{newID(y.t), newID(y.t)}
	y.exec("INSERT INTO customers (id, data_key, created_at) VALUES ($1, '', now())", p.customer.String())
	y.exec("INSERT INTO google_accounts (account, created_at) VALUES ($1, now()) ON CONFLICT DO NOTHING", []byte(account))
	y.exec("INSERT INTO mailboxes (customer_id, id, account, email, state, connected_at) VALUES ($1, $2, $3, 'a@example.com', 'active', now())",
		p.customer.String(), p.mailbox.String(), []byte(account))
	return p
}

func (y *yard) job(p place, account string, kind sweep.JobKind, vt float64) sweep.ID {
	y.t.Helper()
	id := newID(y.t)
	y.exec(`INSERT INTO jobs (customer_id, id, mailbox_id, account, kind, state, rank, vt, run_at, request_id, created_at)
		VALUES ($1, $2, $3, $4, $5, 'queued', $6, $7, clock_timestamp(), 'req', now())`,
		p.customer.String(), id.String(), p.mailbox.String(), []byte(account), string(kind), kind.Rank(), vt)
	return id
}

// set puts a job into a state without regard to how it could have come there.
func (y *yard) set(job sweep.ID, assignment string) {
	y.t.Helper()
	y.exec("SET session_replication_role = replica")
	y.exec("UPDATE jobs SET "+assignment+" WHERE id = $1", job.String())
	y.exec("RESET session_replication_role")
	y.exec("DELETE FROM open_jobs WHERE job_id = $1", job.String())
	y.exec("INSERT INTO open_jobs SELECT customer_id, id, mailbox_id, kind, plan_id, undo_of FROM jobs WHERE id = $1 AND job_is_open(state)", job.String())
}

func jobsOf(ds []store.Dispatched) (ids []sweep.ID) {
	for _, d := range ds {
		ids = append(ids, d.Job)
	}
	return ids
}

func TestLeastServedCustomerGoesFirst(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db := open(t, y.d, "mailsweep_scheduler")
	flooder, light := y.place("f"), y.place("l")
	for i := range 50 {
		y.job(flooder, "f", sweep.Analyze, float64(100*(i+1)))
	}
	late := y.job(light, "l", sweep.DryRun, 150)
	got, err := db.Dispatch(t.Context(), store.Line{Window: 3, Each: 100})
	require.NoError(t, err)
	require.Len(t, got, 3)
	require.Contains(t, jobsOf(got), late, "a newcomer does not wait behind a flood")
	require.Equal(t, "req", got[0].RequestID)
	again, err := db.Dispatch(t.Context(), store.Line{Window: 3, Each: 100})
	require.NoError(t, err)
	require.Empty(t, again, "the window is full")
	require.Equal(t, 200.0, ask[float64](y, "SELECT vt FROM dispatch_clock"), "the clock follows what was served")
}

func TestOneWritingJobPerAccountAcrossCustomersAndDispatchers(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	var dbs []*store.DB
	for range 2 {
		dbs = append(dbs, open(t, y.d, "mailsweep_scheduler"))
	}
	one, two := y.place("shared"), y.place("shared")
	total := 0
	for i := range 6 {
		y.job(one, "shared", sweep.Execute, float64(i))
		y.job(two, "shared", sweep.Execute, float64(i))
		total += 2
	}
	for done := 0; done < total; done++ {
		var mu sync.Mutex
		var got []store.Dispatched
		var both sync.WaitGroup
		for _, db := range dbs {
			both.Go(func() {
				jobs, err := db.Dispatch(t.Context(), store.Line{Writes: true, Window: 100, Each: 100})
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				}
				got = append(got, jobs...)
			})
		}
		both.Wait()
		require.Len(t, got, 1, "round %d", done)
		y.set(got[0].Job, "state = 'succeeded'")
		freed, err := dbs[0].FreeLanes(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, freed)
	}
}

// A dispatcher that began to look before another one took the lane finds it taken.
func TestALaneTakenMeanwhileKeepsTheJobQueued(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db := open(t, y.d, "mailsweep_app")
	p := y.place("a")
	job := y.job(p, "a", sweep.Execute, 1)
	other, err := pgx.Connect(t.Context(), y.d.Bootstrap)
	require.NoError(t, err)
	defer other.Close(context.Background())
	taking, err := other.Begin(t.Context())
	require.NoError(t, err)
	_, err = taking.Exec(t.Context(), "UPDATE google_accounts SET active_job_id = $1", newID(t).String())
	require.NoError(t, err)
	got := make(chan []store.Dispatched, 1)
	go func() {
		jobs, err := db.Dispatch(context.Background(), store.Line{Writes: true, Window: 100, Each: 100})
		if err != nil {
			t.Error(err)
		}
		got <- jobs
	}()
	testkit.Eventually(t, 5*time.Second, func() bool {
		return ask[bool](y, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'mailsweep-test' AND wait_event_type = 'Lock')")
	}, "the second waits for the first")
	require.NoError(t, taking.Commit(t.Context()))
	require.Empty(t, <-got)
	require.Equal(t, "queued", ask[string](y, "SELECT state FROM jobs WHERE id = $1", job.String()))
}

func TestUndoGoesBeforeExecute(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db := open(t, y.d, "mailsweep_app")
	p := y.place("a")
	y.job(p, "a", sweep.Execute, 1)
	undo := y.job(p, "a", sweep.Undo, 900)
	got, err := db.Dispatch(t.Context(), store.Line{Writes: true, Window: 100, Each: 100})
	require.NoError(t, err)
	require.Equal(t, []sweep.ID{undo}, jobsOf(got))
}

// A job that comes back to the queue holds its lane; an undo submitted meanwhile must not shut both out.
func TestReturnedJobWithLaneGoesOnBeforeANewUndo(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db := open(t, y.d, "mailsweep_app")
	p := y.place("a")
	execute := y.job(p, "a", sweep.Execute, 5)
	got, err := db.Dispatch(t.Context(), store.Line{Writes: true, Window: 100, Each: 100})
	require.NoError(t, err)
	require.Len(t, got, 1)
	y.set(execute, "state = 'running', lease_until = clock_timestamp() - interval '1 second'")
	undo := y.job(p, "a", sweep.Undo, 1)
	dead, err := db.DeadLeases(t.Context(), 5)
	require.NoError(t, err)
	require.Len(t, dead, 1)
	got, err = db.Dispatch(t.Context(), store.Line{Writes: true, Window: 100, Each: 100})
	require.NoError(t, err)
	require.Equal(t, []sweep.ID{execute}, jobsOf(got))
	y.set(execute, "state = 'succeeded'")
	_, err = db.FreeLanes(t.Context())
	require.NoError(t, err)
	got, err = db.Dispatch(t.Context(), store.Line{Writes: true, Window: 100, Each: 100})
	require.NoError(t, err)
	require.Equal(t, []sweep.ID{undo}, jobsOf(got))
}

func TestRequeueActsOnTheNewestEpochOnly(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db := open(t, y.d, "mailsweep_scheduler")
	p := y.place("a")
	y.job(p, "a", sweep.Analyze, 1)
	got, err := db.Dispatch(t.Context(), store.Line{Window: 9, Each: 100})
	require.NoError(t, err)
	first := got[0]
	back, err := db.Requeue(t.Context(), first.Customer, first.Job, first.Epoch)
	require.NoError(t, err)
	require.True(t, back)
	got, err = db.Dispatch(t.Context(), store.Line{Window: 9, Each: 100})
	require.NoError(t, err)
	require.Equal(t, first.Epoch+1, got[0].Epoch)
	back, err = db.Requeue(t.Context(), first.Customer, first.Job, first.Epoch)
	require.NoError(t, err)
	require.False(t, back, "an old epoch changes nothing")
	young, err := db.Unclaimed(t.Context(), time.Hour)
	require.NoError(t, err)
	require.Empty(t, young)
	all, err := db.Unclaimed(t.Context(), 0)
	require.NoError(t, err)
	require.Len(t, all, 1)
}

func TestOfTooManyUnclaimedJobsTheOldestAreTold(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db := open(t, y.d, "mailsweep_scheduler")
	p := y.place("a")
	oldest := y.job(p, "a", sweep.Analyze, 1)
	y.exec(`INSERT INTO jobs (customer_id, id, mailbox_id, account, kind, state, rank, vt, run_at, dispatched_at, created_at)
		SELECT customer_id, overlay(id::text PLACING lpad(to_hex(n), 12, '0') FROM 25)::uuid, mailbox_id, account, kind, 'dispatched', rank, vt, run_at,
		  clock_timestamp() - make_interval(mins => n), now() FROM jobs, generate_series(1, 1500) n`)
	y.set(oldest, "state = 'dispatched', dispatched_at = clock_timestamp() - interval '7 days'")
	got, err := db.Unclaimed(t.Context(), time.Second)
	require.NoError(t, err)
	require.Len(t, got, 1000)
	require.Equal(t, oldest, got[0].Job)
}

// Callers see what was handed out as queued.
func TestWhatWaitedAndIsHandedOutHasChangedForCallers(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db, l := open(t, y.d, "mailsweep_scheduler"), y.listener()
	p := y.place("a")
	waited, fresh := y.job(p, "a", sweep.Analyze, 1), y.job(p, "a", sweep.DryRun, 2)
	y.set(waited, "state = 'waiting', epoch = 1, version = 7")
	changes, cancel := l.Subscribe(p.customer, waited)
	defer cancel()
	defer y.listen(l)()
	receive(t, changes)
	l.Reading(p.customer, waited)(7)
	got, err := db.Dispatch(t.Context(), store.Line{Window: 9, Each: 100})
	require.NoError(t, err)
	require.ElementsMatch(t, []sweep.ID{waited, fresh}, jobsOf(got))
	version := func(job sweep.ID) int64 {
		return ask[int64](y, "SELECT version FROM jobs WHERE id = $1", job.String())
	}
	require.Equal(t, []int64{8, 1}, []int64{version(waited), version(fresh)})
	receive(t, changes)
	_, known := l.Version(p.customer, waited)
	require.False(t, known, "whoever asks next reads the job")
}

func TestPoisonStaysForItsCallerAndTheRestGoesBack(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db := open(t, y.d, "mailsweep_scheduler")
	p := y.place("a")
	poison, other := y.job(p, "a", sweep.Analyze, 1), y.job(p, "a", sweep.DryRun, 2)
	y.set(poison, "state = 'running', barren = 4, lease_until = clock_timestamp() - interval '1 second'")
	y.set(other, "state = 'running', lease_until = clock_timestamp() - interval '1 second'")
	dead, err := db.DeadLeases(t.Context(), 5)
	require.NoError(t, err)
	require.ElementsMatch(t, []store.DeadLease{{Customer: p.customer, Job: poison, Poison: true}, {Customer: p.customer, Job: other}}, dead)
	require.Equal(t, "running", ask[string](y, "SELECT state FROM jobs WHERE id = $1", poison.String()))
	require.Equal(t, "queued", ask[string](y, "SELECT state FROM jobs WHERE id = $1", other.String()))
	require.Equal(t, int32(1), ask[int32](y, "SELECT barren FROM jobs WHERE id = $1", other.String()))
	counts, err := db.JobCounts(t.Context())
	require.NoError(t, err)
	require.ElementsMatch(t, []store.JobCount{{sweep.Analyze, sweep.Running, 1}, {sweep.DryRun, sweep.Queued, 1}}, counts)
}

func TestListsAcrossCustomersGiveIdsOnly(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db := open(t, y.d, "mailsweep_scheduler")
	a, b := y.place("a"), y.place("b")
	page, err := db.Customers(t.Context(), sweep.ID{}, 1)
	require.NoError(t, err)
	require.Len(t, page, 1)
	rest, err := db.Customers(t.Context(), page[0], 10)
	require.NoError(t, err)
	require.ElementsMatch(t, []sweep.ID{a.customer, b.customer}, append(page, rest...))

	end := time.Now().Add(time.Hour).UTC()
	y.exec("UPDATE customers SET trial_ends_at = $1 WHERE id = $2", end, a.customer.String())
	ending, err := db.TrialsEnding(t.Context(), end, end.Add(time.Second))
	require.NoError(t, err)
	require.Equal(t, []sweep.ID{a.customer}, ending)
	ending, err = db.TrialsEnding(t.Context(), end.Add(-time.Second), end)
	require.NoError(t, err)
	require.Empty(t, ending, "the end of the range is outside")

	y.exec("UPDATE mailboxes SET state = 'disconnected' WHERE id = $1", b.mailbox.String())
	worker := open(t, y.d, "mailsweep_worker")
	boxes, err := worker.MailboxesToRevoke(t.Context(), 10)
	require.NoError(t, err)
	require.Equal(t, []store.Revocable{{Customer: b.customer, Mailbox: b.mailbox}}, boxes)
	_, err = db.MailboxesToRevoke(t.Context(), 10)
	require.Error(t, err, "only the worker may ask")

	made, err := db.EnsurePartitions(t.Context(), time.Date(2039, 11, 30, 0, 0, 0, 0, time.UTC), 2)
	require.NoError(t, err)
	require.Equal(t, 10, made, "five tables, two months")
}

func TestOneLeaderAndAnotherAfterItsConnectionDied(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	first, second := open(t, y.d, "mailsweep_app").Leader("x"), open(t, y.d, "mailsweep_scheduler").Leader("x")
	lead := func(l *store.Leader) bool {
		held, err := l.Lead(t.Context())
		require.NoError(t, err)
		return held
	}
	require.True(t, lead(first))
	require.True(t, lead(first))
	require.False(t, lead(second))
	third := open(t, y.d, "mailsweep_app").Leader("y")
	defer third.Resign()
	require.True(t, lead(third), "another name is another lead")

	y.exec("SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND classid = 7281 AND objid = (hashtext('x')::bigint & 4294967295)::oid")
	testkit.Eventually(t, 3*time.Second, func() bool { return lead(second) }, "the standby leads")
	testkit.Eventually(t, 3*time.Second, func() bool { held, _ := first.Lead(t.Context()); return !held }, "the old leader knows")
	second.Resign()
	require.True(t, lead(first))
	first.Resign()
}

func TestListenerWakesItsSubscribersOnly(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	l := y.listener()
	a, b := y.place("a"), y.place("b")
	job := newID(t)
	mine, cancel := l.Subscribe(a.customer, job)
	other, cancelOther := l.Subscribe(b.customer, job)
	defer cancelOther()
	stop := y.listen(l)
	require.Equal(t, int64(0), receive(t, mine), "connecting wakes")
	require.Equal(t, int64(0), receive(t, other))

	y.exec("SELECT pg_notify('job', 'nonsense')")
	for v := range 100 {
		y.exec("SELECT pg_notify('job', $1)", fmt.Sprintf("%s %s %d", a.customer, job, v+1))
	}
	testkit.Eventually(t, 2*time.Second, func() bool { return receive(t, mine) == 100 }, "the newest version arrives")
	require.Empty(t, other, "another customer's subscriber hears nothing")

	y.exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mailsweep-listener' AND datname = current_database()")
	require.Equal(t, int64(0), receive(t, mine), "reconnecting wakes")
	cancel()
	cancel()
	stop()
}

// listener is one that does not listen yet.
func (y *yard) listener() *store.Listener {
	return store.NewListener(y.d.URL("mailsweep_app", password), slog.New(slog.DiscardHandler))
}

// listen lets l run until stop, which waits for its end.
func (y *yard) listen(l *store.Listener) (stop func()) {
	ctx, cancel := context.WithCancel(y.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- l.Run(ctx) }()
	return func() {
		cancel()
		require.NoError(y.t, <-ended)
	}
}

func receive(t *testing.T, c <-chan int64) int64 {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(5 * time.Second):
		require.Fail(t, "nothing heard within 5 s")
		return -1
	}
}

func TestHaltsReachWhomTheyName(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	p, q := y.place("a"), y.place("b")
	halted := func(who place, kind sweep.JobKind, build string) string {
		return ask[string](y, "SELECT coalesce(halted($1, $2, $3), '')", who.customer.String(), string(kind), build)
	}
	halt := func(scope, value, reason string) {
		y.exec("INSERT INTO halts (id, scope, value, reason, created_by, created_at) VALUES ($1, $2, $3, $4, 'ops', now())", newID(t).String(), scope, value, reason)
	}
	require.Empty(t, halted(p, sweep.Execute, ""))
	halt("build", "", "no build")
	require.Empty(t, halted(p, sweep.Execute, ""), "a halt of no build is none")
	halt("customer", p.customer.String(), "customer")
	require.Equal(t, "customer", halted(p, sweep.Execute, ""))
	require.Empty(t, halted(q, sweep.Execute, ""))
	halt("kind", "undo", "kind")
	require.Equal(t, "kind", halted(q, sweep.Undo, ""))
	halt("build", "v1", "build")
	require.Equal(t, "build", halted(q, sweep.Execute, "v1"))
	y.exec("UPDATE halts SET lifted_at = now()")
	require.Empty(t, halted(p, sweep.Undo, "v1"))
	halt("all", "", "all")
	require.Equal(t, "all", halted(q, sweep.Analyze, "v2"))
}

func TestAMailTaskDeliveredTwiceIsTakenOnce(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db, worker := open(t, y.d, "mailsweep_scheduler"), open(t, y.d, "mailsweep_worker")
	p := y.place("a")
	post := newID(t)
	y.exec("INSERT INTO outbox (customer_id, id, kind, data, run_at, created_at) VALUES ($1, $2, 'trial_ended', 'sealed', clock_timestamp(), now())", p.customer.String(), post.String())
	due, err := db.OutboxDue(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, due, 1)
	again, err := db.OutboxDue(t.Context(), 10)
	require.NoError(t, err)
	require.Empty(t, again, "handed out for a minute")
	take := func(epoch int) (m store.Mailing, ok bool) {
		require.NoError(t, worker.Tenant(t.Context(), p.customer, func(tx *store.Tx) (err error) {
			m, ok, err = tx.TakeMailing(post, epoch)
			return err
		}))
		return m, ok
	}
	m, ok := take(due[0].Epoch)
	require.True(t, ok)
	require.Equal(t, []byte("sealed"), m.Data)
	require.Equal(t, 1, m.Attempts)
	_, ok = take(due[0].Epoch)
	require.False(t, ok)
	write := func(f func(*store.Tx) error) { require.NoError(t, worker.Tenant(t.Context(), p.customer, f)) }
	write(func(tx *store.Tx) error { return tx.MailingFailed(post, "unavailable", time.Millisecond) })
	testkit.Eventually(t, 2*time.Second, func() bool {
		due, err = db.OutboxDue(t.Context(), 10)
		return err == nil && len(due) == 1
	}, "due again")
	_, ok = take(due[0].Epoch)
	require.True(t, ok)
	write(func(tx *store.Tx) error { return tx.MailingSent(post) })
	require.True(t, ask[bool](y, "SELECT state = 'done' AND data IS NULL AND sent_at IS NOT NULL AND error = '' FROM outbox WHERE id = $1", post.String()))
}

// An errand's claim holds for as long as it may take; a letter whose sender died goes out soon.
func TestAnErrandsClaimHoldsLonger(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db, worker := open(t, y.d, "mailsweep_scheduler"), open(t, y.d, "mailsweep_worker")
	p := y.place("a")
	for _, kind := range []string{"make_export", "trial_ended"} {
		y.exec("INSERT INTO outbox (customer_id, id, kind, data, run_at, created_at) VALUES ($1, $2, $3, 'sealed', clock_timestamp(), now())", p.customer.String(), newID(t).String(), kind)
	}
	due, err := db.OutboxDue(t.Context(), 10)
	require.NoError(t, err)
	require.Len(t, due, 2)
	for _, d := range due {
		require.NoError(t, worker.Tenant(t.Context(), p.customer, func(tx *store.Tx) error {
			_, ok, err := tx.TakeMailing(d.Post, d.Epoch)
			require.True(t, ok)
			return err
		}))
		left := ask[float64](y, "SELECT extract(epoch FROM run_at - clock_timestamp())::float8 FROM outbox WHERE id = $1", d.Post.String())
		require.Equal(t, store.Errand(d.Kind), left > 180, "%s: %.0f s", d.Kind, left)
	}
}

// Making partitions locks jobs and batches in one order, a worker's transaction in the other: the worker must not be the victim.
func TestMakingPartitionsStepsBackForWork(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db := open(t, y.d, "mailsweep_scheduler")
	work, err := pgx.Connect(t.Context(), y.d.Bootstrap)
	require.NoError(t, err)
	defer work.Close(context.Background())
	tx, err := work.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "UPDATE batches SET ids = NULL")
	require.NoError(t, err)
	made := make(chan int, 1)
	go func() {
		n, err := db.EnsurePartitions(context.Background(), time.Date(2039, 1, 1, 0, 0, 0, 0, time.UTC), 1)
		if err != nil {
			t.Error(err)
		}
		made <- n
	}()
	testkit.Eventually(t, 5*time.Second, func() bool {
		return ask[bool](y, "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'jobs'::regclass AND mode = 'AccessExclusiveLock' AND granted)")
	}, "jobs are locked, batches are not yet")
	_, err = tx.Exec(t.Context(), "UPDATE jobs SET version = version + 1")
	require.NoError(t, err, "the worker goes on")
	require.NoError(t, tx.Commit(t.Context()))
	require.Equal(t, 5, <-made)
}

// The database refuses exactly the moves that package sweep does not know.
func TestTheDatabaseKnowsTheSameMoves(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	known := map[[2]sweep.JobState]bool{}
	for _, e := range sweep.Events() {
		for _, from := range e.From() {
			known[[2]sweep.JobState{from, e.To()}] = true
		}
	}
	for _, from := range sweep.States() {
		for _, to := range sweep.States() {
			may := ask[bool](y, "SELECT job_may_move($1, $2)", string(from), string(to))
			require.Equal(t, known[[2]sweep.JobState{from, to}], may, "%s to %s", from, to)
		}
	}
	job := y.job(y.place("a"), "a", sweep.Analyze, 1)
	_, err := y.conn.Exec(t.Context(), "UPDATE jobs SET state = 'succeeded' WHERE id = $1", job.String())
	require.ErrorContains(t, err, "a job cannot go from queued to succeeded")
}

func TestOneCustomerGetsItsShareOfALineAndNoMore(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db := open(t, y.d, "mailsweep_scheduler")
	heavy, light := y.place("heavy"), y.place("light")
	for n := range 30 {
		y.job(heavy, "heavy", sweep.Analyze, float64(n))
	}
	late := y.job(light, "light", sweep.Analyze, 100)
	line := store.Line{Window: 10, Each: 4}
	var all []sweep.ID
	for range 3 {
		got, err := db.Dispatch(t.Context(), line)
		require.NoError(t, err)
		all = append(all, jobsOf(got)...)
	}
	require.Len(t, all, 5, "four of the one, all of the other")
	require.Contains(t, all, late, "though its turn was the last")
}

func TestWhatOpsStoppedIsNotHandedOut(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db := open(t, y.d, "mailsweep_scheduler")
	a, b := y.place("shared"), y.place("shared")
	stop := func(scope, value string, pause bool) {
		y.exec("UPDATE halts SET lifted_at = now()")
		y.exec("INSERT INTO halts (id, scope, value, reason, created_by, created_at, pause) VALUES ($1, $2, $3, 'why', 'ops', now(), $4)", newID(t).String(), scope, value, pause)
	}
	first, second := y.job(a, "shared", sweep.Execute, 1), y.job(b, "shared", sweep.Execute, 2)
	given := func() []sweep.ID {
		got, err := db.Dispatch(t.Context(), store.Line{Writes: true, Window: 9, Each: 9})
		require.NoError(t, err)
		return jobsOf(got)
	}
	stop("all", "", false)
	require.Empty(t, given())
	stop("kind", "execute", true)
	require.Empty(t, given(), "a pause keeps what is queued")
	stop("customer", a.customer.String(), true)
	require.Equal(t, []sweep.ID{second}, given(), "and does not keep others on the same Google account")
	y.exec("UPDATE halts SET lifted_at = now()")
	require.Empty(t, given(), "the account's lane is taken")
	y.set(second, "state = 'succeeded'")
	_, err := db.FreeLanes(t.Context())
	require.NoError(t, err)
	require.Equal(t, []sweep.ID{first}, given())
}
