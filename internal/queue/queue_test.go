package queue_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/queue"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/telemetry"
	"mailsweep/internal/testkit"
	"mailsweep/migrations"
)

const password = "test-only"

// plant is a database, a Redis and one customer, with the parts that carry jobs running on them.
type plant struct {
	t                 *testing.T
	d                 testkit.Database
	at                queue.Redis
	conn              *pgx.Conn
	customer, mailbox sweep.ID
	log               *slog.Logger
}

func newPlant(t *testing.T, redisURL string) *plant {
	t.Helper()
	return plantOn(t, queue.Redis{URL: redisURL})
}

func plantOn(t *testing.T, at queue.Redis) *plant {
	t.Helper()
	d := testkit.Postgres(t, testkit.Schema{Files: migrations.SQL, Migrate: func(ctx context.Context, url string) error {
		return store.Migrate(ctx, url, store.Passwords{"mailsweep_app": password, "mailsweep_worker": password, "mailsweep_scheduler": password})
	}})
	conn, err := pgx.Connect(t.Context(), d.Bootstrap)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(context.Background()) })
	p := &plant{t: t, d: d, at: at, conn: conn, customer: newID(t), mailbox: newID(t), log: slog.New(slog.DiscardHandler)}
	p.exec("INSERT INTO customers (id, data_key, created_at) VALUES ($1, '', now())", p.customer.String())
	p.exec("INSERT INTO google_accounts (account, created_at) VALUES ('a', now())")
	p.exec("INSERT INTO mailboxes (customer_id, id, account, email, state, connected_at) VALUES ($1, $2, 'a', 'alice@example.com', 'active', now())", p.customer.String(), p.mailbox.String())
	return p
}

func newID(t *testing.T) sweep.ID {
	t.Helper()
	id, err := sweep.NewID(time.Now(), rand.Reader)
	require.NoError(t, err)
	return id
}

func (p *plant) exec(query string, args ...any) {
	p.t.Helper()
	_, err := p.conn.Exec(p.t.Context(), query, args...)
	require.NoError(p.t, err)
}

func (p *plant) count(where string) (n int) {
	p.t.Helper()
	require.NoError(p.t, p.conn.QueryRow(p.t.Context(), "SELECT count(*) FROM jobs WHERE "+where).Scan(&n))
	return n
}

func (p *plant) submit(kind sweep.JobKind) sweep.ID {
	p.t.Helper()
	id := newID(p.t)
	p.exec(`INSERT INTO jobs (customer_id, id, mailbox_id, account, kind, state, rank, vt, run_at, request_id, traceparent, created_at)
		VALUES ($1, $2, $3, 'a', $4, 'queued', $5, 1, clock_timestamp(), 'req-1', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', now())`,
		p.customer.String(), id.String(), p.mailbox.String(), string(kind), kind.Rank())
	return id
}

func (p *plant) db(role string) *store.DB {
	p.t.Helper()
	db, err := store.Open(p.t.Context(), store.Options{URL: p.d.URL(role, password), Process: "test"})
	require.NoError(p.t, err)
	p.t.Cleanup(db.Close)
	return db
}

func (p *plant) redis() redis.UniversalClient {
	p.t.Helper()
	c, err := queue.Connect(p.at)
	require.NoError(p.t, err)
	p.t.Cleanup(func() { c.Close() })
	return c
}

// runs starts loops that end, and are waited for, before the test does.
func (p *plant) runs(loops ...func(context.Context) error) (stop func()) {
	p.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for _, run := range loops {
		all.Go(func() {
			if err := run(ctx); err != nil {
				p.t.Error(err)
			}
		})
	}
	stop = sync.OnceFunc(func() { cancel(); all.Wait() })
	p.t.Cleanup(stop)
	return stop
}

func (p *plant) dispatcher() *queue.Dispatcher {
	return &queue.Dispatcher{DB: p.db("mailsweep_app"), Redis: p.redis(), Interactive: 16, Bulk: 16, Each: 100, Log: p.log}
}

func (p *plant) sweeper() *queue.Sweeper {
	db := p.db("mailsweep_scheduler")
	return &queue.Sweeper{DB: db, Redis: p.redis(), Every: 300 * time.Millisecond, Log: p.log,
		Fail: func(ctx context.Context, customer, job sweep.ID, code sweep.Code, detail string) error {
			return db.Tenant(ctx, customer, func(tx *store.Tx) error {
				return tx.Exec("UPDATE jobs SET state = 'failed', error_code = ?, error_detail = ? WHERE customer_id = ? AND id = ?", string(code), detail, customer.String(), job.String()).Error
			})
		}}
}

// claims does what a worker's handler does first: a stale or second task gets nothing.
func (p *plant) claims(work func(ctx context.Context, task queue.Task) error) func(context.Context, queue.Task) error {
	db := p.db("mailsweep_worker")
	set := func(ctx context.Context, task queue.Task, query string) (n int64, err error) {
		err = db.Tenant(ctx, task.Customer, func(tx *store.Tx) error {
			done := tx.Exec(query, task.Customer.String(), task.Job.String(), task.Epoch)
			n = done.RowsAffected
			return done.Error
		})
		return n, err
	}
	return func(ctx context.Context, task queue.Task) error {
		n, err := set(ctx, task, "UPDATE jobs SET state = 'running', lease_until = clock_timestamp() + interval '1 minute' WHERE customer_id = ? AND id = ? AND epoch = ? AND state = 'dispatched'")
		if err != nil || n == 0 {
			return err
		}
		if err := work(ctx, task); err != nil {
			return err
		}
		_, err = set(context.WithoutCancel(ctx), task, "UPDATE jobs SET state = 'succeeded' WHERE customer_id = ? AND id = ? AND epoch = ? AND state = 'running'")
		return err
	}
}

func TestAHintedJobStartsAtOnceWithItsRequestsIDs(t *testing.T) {
	t.Parallel()
	p := newPlant(t, testkit.Redis(t))
	type start struct {
		task         queue.Task
		at           time.Time
		ids, headers string
	}
	started := make(chan start, 10)
	d := p.dispatcher()
	w := &queue.Worker{Redis: p.redis(), Concurrency: 4, Log: p.log, Job: p.claims(func(ctx context.Context, task queue.Task) error {
		started <- start{task, time.Now(), telemetry.RequestID(ctx) + " " + telemetry.JobID(ctx), telemetry.Traceparent(ctx)}
		return nil
	})}
	p.runs(d.Run, w.Run)
	warm := p.submit(sweep.DryRun)
	d.Hint()
	require.Equal(t, warm, (<-started).task.Job)
	for _, kind := range []sweep.JobKind{sweep.Analyze, sweep.Execute} {
		begin := time.Now()
		job := p.submit(kind)
		d.Hint()
		s := <-started
		require.Equal(t, queue.Task{Customer: p.customer, Job: job, Epoch: 1, Kind: kind}, s.task)
		require.Equal(t, "req-1 "+sweep.JobID.Show(job), s.ids)
		require.Equal(t, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", s.headers)
		t.Logf("%s started after %s", kind, s.at.Sub(begin))
	}
	testkit.Eventually(t, 5*time.Second, func() bool { return p.count("state = 'succeeded'") == 3 }, "all succeed")
}

func TestTwoDispatchersSendAJobOnceAndAHintCrossesProcesses(t *testing.T) {
	t.Parallel()
	p := newPlant(t, testkit.Redis(t))
	var runs sync.Map
	w := &queue.Worker{Redis: p.redis(), Concurrency: 8, Log: p.log, Job: p.claims(func(_ context.Context, task queue.Task) error {
		if _, twice := runs.LoadOrStore(task.Job, true); twice {
			t.Error("ran twice", task.Job)
		}
		return nil
	})}
	a, b := p.dispatcher(), p.dispatcher()
	p.runs(a.Run, b.Run, w.Run)
	for range 40 {
		p.submit(sweep.Analyze)
		b.Hint()
	}
	testkit.Eventually(t, 20*time.Second, func() bool { return p.count("state = 'succeeded'") == 40 }, "all succeed")
	require.Equal(t, 0, p.count("epoch <> 1"))
}

// Three workers with four slots each for what somebody waits for, and a window of two: all twelve get work.
func TestTheWindowGrowsWithTheWorkers(t *testing.T) {
	t.Parallel()
	p := newPlant(t, testkit.Redis(t))
	release := make(chan struct{})
	var working atomic.Int32
	for range 3 {
		w := &queue.Worker{Redis: p.redis(), Concurrency: 16, Log: p.log, Job: func(context.Context, queue.Task) error {
			working.Add(1)
			<-release
			return nil
		}}
		p.runs(w.Run)
	}
	t.Cleanup(func() { close(release) })
	d := p.dispatcher()
	d.Interactive = 2
	p.runs(d.Run)
	for range 30 {
		p.submit(sweep.DryRun)
	}
	testkit.Eventually(t, 20*time.Second, func() bool { return working.Load() == 12 }, "twelve are at work")
	require.Equal(t, 24, p.count("state = 'dispatched'"))
}

func TestAllOpenJobsComeBackAfterAFlush(t *testing.T) {
	t.Parallel()
	own := testkit.OwnRedis(t)
	p := newPlant(t, own.URL)
	c := p.redis()
	d := p.dispatcher()
	s := p.sweeper()
	stop := p.runs(d.Run, s.Run)
	const jobs = 12
	for range jobs {
		p.submit(sweep.Analyze)
	}
	testkit.Eventually(t, 10*time.Second, func() bool { n, _ := c.LLen(t.Context(), "asynq:{interactive}:pending").Result(); return n == jobs }, "all in Redis")
	var runs atomic.Int32
	require.NoError(t, c.FlushAll(t.Context()).Err())
	flushed := time.Now()
	w := &queue.Worker{Redis: p.redis(), Concurrency: 8, Log: p.log, Job: p.claims(func(context.Context, queue.Task) error { runs.Add(1); return nil })}
	stopWorker := p.runs(w.Run)
	testkit.Eventually(t, 20*time.Second, func() bool { return p.count("state = 'succeeded'") == jobs }, "all complete")
	t.Logf("all back %s after the flush", time.Since(flushed))
	require.Equal(t, int32(jobs), runs.Load(), "each once")
	inspector := asynq.NewInspectorFromRedisClient(c)
	testkit.Eventually(t, 5*time.Second, func() bool { names, _ := inspector.Queues(); return len(names) == 5 }, "inspectors see the queues again")
	stopWorker()
	stop()
}

func TestJobsWaitWhileRedisIsAwayAndGoOnAfterwards(t *testing.T) {
	t.Parallel()
	own := testkit.OwnRedis(t)
	p := newPlant(t, own.URL)
	d, s := p.dispatcher(), p.sweeper()
	w := &queue.Worker{Redis: p.redis(), Concurrency: 4, Log: p.log, Job: p.claims(func(context.Context, queue.Task) error { return nil })}
	p.runs(d.Run, s.Run, w.Run)
	p.submit(sweep.Analyze)
	testkit.Eventually(t, 10*time.Second, func() bool { return p.count("state = 'succeeded'") == 1 }, "one before")
	own.Kill()
	away := time.Now()
	for range 5 {
		p.submit(sweep.DryRun)
		d.Hint()
	}
	testkit.Eventually(t, 20*time.Second, func() bool { return p.count("state = 'dispatched'") <= 1 && p.count("epoch > 0") > 1 }, "what was not sent is back in the queue")
	testkit.Eventually(t, 10*time.Second, func() bool { return time.Since(away) > 3*time.Second }, "Redis was away for a while")
	require.NoError(t, own.Restart(t.Context()))
	testkit.Eventually(t, 30*time.Second, func() bool { return p.count("state = 'succeeded'") == 6 }, "all succeed")
	require.Zero(t, p.count("epoch > 2"), "nothing was handed out again and again meanwhile")
}

func TestAPoisonedJobIsHandedToItsEnd(t *testing.T) {
	t.Parallel()
	p := newPlant(t, testkit.Redis(t))
	job := p.submit(sweep.Execute)
	p.exec("UPDATE jobs SET state = 'dispatched'")
	p.exec("UPDATE jobs SET state = 'running', barren = 4, lease_until = clock_timestamp() - interval '1 second'")
	p.exec("UPDATE google_accounts SET active_job_id = $1", job.String())
	p.runs(p.sweeper().Run)
	testkit.Eventually(t, 5*time.Second, func() bool { return p.count("state = 'failed' AND error_code = 'internal'") == 1 }, "failed")
	testkit.Eventually(t, 5*time.Second, func() bool {
		var free bool
		require.NoError(t, p.conn.QueryRow(t.Context(), "SELECT active_job_id IS NULL FROM google_accounts").Scan(&free))
		return free
	}, "its lane is free")
}

func TestStoppingHandsBackAndWaitsForHandlers(t *testing.T) {
	t.Parallel()
	p := newPlant(t, testkit.Redis(t))
	begun, ended := make(chan struct{}), make(chan struct{})
	w := &queue.Worker{Redis: p.redis(), Concurrency: 4, Shutdown: 10 * time.Second, Log: p.log, Job: p.claims(func(ctx context.Context, _ queue.Task) error {
		close(begun)
		<-ctx.Done()
		time.AfterFunc(200*time.Millisecond, func() { close(ended) })
		<-ended // hands back
		return nil
	})}
	d := p.dispatcher()
	p.runs(d.Run)
	stop := p.runs(w.Run)
	p.submit(sweep.Analyze)
	<-begun
	stop()
	select {
	case <-ended:
	default:
		require.Fail(t, "the worker did not wait for its handler")
	}
	require.Equal(t, 1, p.count("state = 'succeeded'"))
	n, err := p.redis().ZCard(t.Context(), "asynq:{interactive}:retry").Result()
	require.NoError(t, err)
	require.Zero(t, n, "no retry was burnt")
}

// What handlers return or panic with may name people; Redis and the queue page hold codes only.
func TestFailuresReachRedisAsCodesOnly(t *testing.T) {
	t.Parallel()
	p := newPlant(t, testkit.Redis(t))
	c := p.redis()
	var calls atomic.Int32
	w := &queue.Worker{Redis: p.redis(), Concurrency: 4, Log: p.log, Job: func(_ context.Context, task queue.Task) error {
		calls.Add(1)
		if task.Kind == sweep.Analyze {
			panic("alice@example.com")
		}
		return fmt.Errorf("cannot reach alice@example.com: %w", sweep.Errorf(sweep.Unavailable, "alice@example.com"))
	}}
	stop := p.runs(p.dispatcher().Run, w.Run)
	p.submit(sweep.Analyze)
	p.submit(sweep.DryRun)
	testkit.Eventually(t, 10*time.Second, func() bool { n, _ := c.ZCard(t.Context(), "asynq:{interactive}:retry").Result(); return n == 2 }, "both wait for a retry")
	stop()
	tasks, err := asynq.NewInspectorFromRedisClient(c).ListRetryTasks("interactive")
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"internal", "unavailable"}, []string{tasks[0].LastErr, tasks[1].LastErr})
	for _, task := range tasks {
		require.NotZero(t, task.MaxRetry)
		require.JSONEq(t, fmt.Sprintf(`{"customer_id":%q,"job_id":%q,"epoch":1}`, p.customer, strings.Split(task.ID, ":")[1]), string(task.Payload))
	}
}

func TestPostsAndDutiesReachTheirHandlers(t *testing.T) {
	t.Parallel()
	p := newPlant(t, testkit.Redis(t))
	post := newID(t)
	p.exec("INSERT INTO outbox (customer_id, id, kind, run_at, created_at) VALUES ($1, $2, 'x', clock_timestamp(), now())", p.customer.String(), post.String())
	posts, duties := make(chan queue.Post, 1), make(chan string, 100)
	w := &queue.Worker{Redis: p.redis(), Log: p.log,
		Mail: func(_ context.Context, post queue.Post) error { posts <- post; return nil },
		Duty: func(_ context.Context, name string) error { duties <- name; return errors.New("never archived") }}
	periodic := &queue.Periodic{Redis: p.redis(), Duties: map[string]string{"monthly": "@every 1s", "far": "0 0 1 1 *"}, Log: p.log}
	p.runs(p.dispatcher().Run, w.Run, periodic.Run)
	require.Equal(t, queue.Post{Customer: p.customer, ID: post, Epoch: 1}, <-posts)
	for range 2 {
		require.Equal(t, "monthly", <-duties)
	}
	inspector := asynq.NewInspectorFromRedisClient(p.redis())
	testkit.Eventually(t, 15*time.Second, func() bool { entries, _ := inspector.SchedulerEntries(); return len(entries) == 2 }, "ops see the duties")
	info, err := inspector.GetQueueInfo("duty")
	require.NoError(t, err)
	require.Zero(t, info.Archived+info.Retry)
}

// Work that takes long keeps no letter waiting, however much of it there is.
func TestLettersDoNotWaitForErrands(t *testing.T) {
	t.Parallel()
	p := newPlant(t, testkit.Redis(t))
	post := func(kind string) sweep.ID {
		id := newID(t)
		p.exec("INSERT INTO outbox (customer_id, id, kind, run_at, created_at) VALUES ($1, $2, $3, clock_timestamp(), now())", p.customer.String(), id.String(), kind)
		return id
	}
	errands, begun, sent := map[sweep.ID]bool{}, make(chan struct{}, 10), make(chan sweep.ID, 10)
	for range 5 {
		errands[post("make_export")] = true
	}
	end := make(chan struct{})
	w := &queue.Worker{Redis: p.redis(), Log: p.log, Mail: func(_ context.Context, post queue.Post) error {
		if errands[post.ID] {
			begun <- struct{}{}
			<-end
			return nil
		}
		sent <- post.ID
		return nil
	}}
	defer p.runs(p.dispatcher().Run, w.Run)()
	defer close(end)
	<-begun
	letter := post("x")
	require.Equal(t, letter, <-sent)
	require.Empty(t, begun, "one errand at a time")
}

func TestRedisThatMayEvictIsRefused(t *testing.T) {
	t.Parallel()
	own := testkit.OwnRedis(t)
	c, err := queue.Connect(queue.Redis{URL: own.URL})
	require.NoError(t, err)
	defer c.Close()
	log := slog.New(slog.DiscardHandler)
	require.NoError(t, queue.CheckRedis(t.Context(), c, log))
	require.NoError(t, c.ConfigSet(t.Context(), "maxmemory-policy", "volatile-lru").Err())
	require.ErrorIs(t, queue.CheckRedis(t.Context(), c, log), queue.ErrUnfit)
	require.NoError(t, c.Do(t.Context(), "ACL", "SETUSER", "default", "-config").Err())
	require.NoError(t, queue.CheckRedis(t.Context(), c, log), "not permitted to ask")
	_, err = queue.Connect(queue.Redis{URL: "http://user:secret@host"})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "secret")
}

func TestALostActiveTaskAndAnArchivedOneAreSentAgain(t *testing.T) {
	t.Parallel()
	p := newPlant(t, testkit.Redis(t))
	c := p.redis()
	inspector := asynq.NewInspectorFromRedisClient(c)
	stop := p.runs(p.dispatcher().Run)
	job := p.submit(sweep.Execute)
	testkit.Eventually(t, 5*time.Second, func() bool { return p.count("state = 'dispatched'") == 1 }, "dispatched")
	id := fmt.Sprintf("job:%s:1", job)
	testkit.Eventually(t, 5*time.Second, func() bool { return inspector.ArchiveTask("bulk", id) == nil }, "archived")
	p.exec("UPDATE jobs SET dispatched_at = dispatched_at - interval '6 seconds'")
	stop()
	require.NoError(t, c.LPush(t.Context(), "asynq:{bulk}:active", "orphan").Err())
	_, err := inspector.GetQueueInfo("bulk")
	require.Error(t, err, "an orphan id blinds the inspector")
	p.runs(p.sweeper().Run)
	testkit.Eventually(t, 5*time.Second, func() bool { return p.count("state = 'queued'") == 1 }, "given back")
	testkit.Eventually(t, 5*time.Second, func() bool { _, err := inspector.GetQueueInfo("bulk"); return err == nil }, "the orphan is gone")
}

func get(t *testing.T, h http.Handler, method, target string) (*http.Response, string) {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(method, target, nil))
	body, err := io.ReadAll(w.Result().Body)
	require.NoError(t, err)
	return w.Result(), string(body)
}

func TestTheQueuePageShowsIDsAndNothingOfPeople(t *testing.T) {
	t.Parallel()
	p := newPlant(t, testkit.Redis(t))
	c := p.redis()
	m := queue.Monitor(c)
	client := asynq.NewClientFromRedisClient(c)
	job := newID(t)
	for n := range 120 {
		body := fmt.Sprintf(`{"customer_id":"alice@example.com","job_id":%q,"epoch":%d}`, job, n)
		_, err := client.Enqueue(asynq.NewTask("job:execute", []byte(body)), asynq.Queue("bulk"))
		require.NoError(t, err)
	}
	_, err := client.Enqueue(asynq.NewTask("job:execute", []byte(`{"job_id":"alice@example.com"}`)), asynq.Queue("interactive"))
	require.NoError(t, err)
	_, err = client.Enqueue(asynq.NewTask("job:analyze", []byte(`{"job_id":"alice@example.com"}`)), asynq.Queue("interactive"), asynq.Retention(time.Hour))
	require.NoError(t, err)
	srv := asynq.NewServerFromRedisClient(c, asynq.Config{Queues: map[string]int{"interactive": 1}, TaskCheckInterval: 5 * time.Millisecond, LogLevel: asynq.FatalLevel})
	require.NoError(t, srv.Start(asynq.HandlerFunc(func(_ context.Context, task *asynq.Task) error {
		if task.Type() == "job:analyze" {
			_, err := task.ResultWriter().Write([]byte("sent to alice@example.com"))
			return err
		}
		return errors.New("mail of alice@example.com")
	})))
	ended := func(where string) bool {
		n, _ := c.ZCard(t.Context(), "asynq:{interactive}:"+where).Result()
		return n == 1
	}
	testkit.Eventually(t, 5*time.Second, func() bool { return ended("retry") && ended("completed") }, "one failed once, one has a result")
	srv.Shutdown()

	res, page := get(t, m, "GET", "/ops/queues/queues/bulk/pending_tasks")
	require.Equal(t, 200, res.StatusCode)
	require.NotRegexp(t, `https?://`, page, "no third party")
	csp := res.Header.Get("Content-Security-Policy")
	require.Contains(t, csp, "frame-ancestors 'none'")
	require.Equal(t, 2, strings.Count(csp, "sha256-"))
	require.NotContains(t, strings.Split(csp, "style-src")[0], "unsafe")
	require.Equal(t, "nosniff", res.Header.Get("X-Content-Type-Options"))

	res, list := get(t, m, "GET", "/ops/queues/api/queues/bulk/pending_tasks?size=100000000&page=1")
	require.Equal(t, 200, res.StatusCode)
	require.Equal(t, 100, strings.Count(list, `"payload"`))
	require.Contains(t, list, "job:execute "+job.String()+" epoch")
	for _, path := range []string{"bulk/pending_tasks", "interactive/retry_tasks", "interactive/completed_tasks", "bulk", "interactive"} {
		_, body := get(t, m, "GET", "/ops/queues/api/queues/"+path)
		list += body
	}
	for _, path := range []string{"queues", "servers", "scheduler_entries", "queue_stats", "redis_info"} {
		res, body := get(t, m, "GET", "/ops/queues/api/"+path)
		require.Equal(t, 200, res.StatusCode, path)
		list += body
	}
	require.Contains(t, list, `"error_message":"withheld"`)
	require.Contains(t, list, `"type":"job:analyze"`, "the task with a result is listed, without it")
	for _, size := range []string{"0", "-1", "1e9", "x"} {
		_, capped := get(t, m, "GET", "/ops/queues/api/queues/bulk/pending_tasks?size="+size)
		require.LessOrEqual(t, strings.Count(capped, `"payload"`), 100, size)
	}
	require.Contains(t, list, `"redis_version"`)
	for _, never := range []string{"alice", "example.com", "executable", "config_file", p.customer.String()} {
		require.NotContains(t, list, never)
	}
	for _, method := range []string{"POST", "DELETE", "PUT"} {
		res, _ = get(t, m, method, "/ops/queues/api/queues/bulk:pause")
		require.Equal(t, http.StatusMethodNotAllowed, res.StatusCode)
	}
	require.NoError(t, c.LPush(t.Context(), "asynq:{bulk}:active", "orphan").Err())
	res, body := get(t, m, "GET", "/ops/queues/api/queues")
	require.Equal(t, http.StatusServiceUnavailable, res.StatusCode)
	require.Equal(t, `{"error":"unavailable"}`, body)
	res, _ = get(t, m, "GET", "/ops/queues/static/js/main.5adda2da.chunk.js.map")
	require.Equal(t, http.StatusNotFound, res.StatusCode)
	res, _ = get(t, m, "GET", "/ops/queues/static/js/main.5adda2da.chunk.js")
	require.Contains(t, res.Header.Get("Content-Type"), "javascript")
}

func TestTasksAreCountedByQueueAndState(t *testing.T) {
	t.Parallel()
	c := newPlant(t, testkit.Redis(t)).redis()
	client := asynq.NewClientFromRedisClient(c)
	for _, at := range []asynq.Option{asynq.ProcessIn(0), asynq.ProcessIn(time.Hour)} {
		_, err := client.EnqueueContext(t.Context(), asynq.NewTask("job:execute", nil), asynq.Queue("bulk"), at)
		require.NoError(t, err)
	}
	require.NoError(t, c.LPush(t.Context(), "asynq:{mail}:active", "orphan").Err(), "what makes asynq's own count fail")
	sizes, err := queue.Sizes(t.Context(), c)
	require.NoError(t, err)
	require.Len(t, sizes, 25)
	for _, s := range sizes {
		want := 0
		switch s.Queue + " " + s.State {
		case "bulk pending", "bulk scheduled", "mail active":
			want = 1
		}
		require.Equal(t, want, s.N, "%+v", s)
	}
}
