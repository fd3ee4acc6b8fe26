package queue_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/queue"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

// tally counts what a sweeper repaired.
type tally struct {
	mu sync.Mutex
	by map[queue.Reason]int
}

func (c *tally) add(what queue.Reason, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.by == nil {
		c.by = map[queue.Reason]int{}
	}
	c.by[what] += n
}

func (c *tally) of(what queue.Reason) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.by[what]
}

// tasksIn counts a line's tasks, whatever list they are in or not.
func tasksIn(t *testing.T, c redis.UniversalClient, line string) int {
	t.Helper()
	keys, err := c.Keys(t.Context(), "asynq:{"+line+"}:t:*").Result()
	require.NoError(t, err)
	return len(keys)
}

// busy is a worker in the middle of one job, with the id of its task.
func busy(p *plant) (end func(), task string) {
	begun, ended := make(chan queue.Task, 1), make(chan struct{})
	w := &queue.Worker{Redis: p.redis(), Concurrency: 4, Log: p.log, Job: p.claims(func(_ context.Context, task queue.Task) error {
		begun <- task
		<-ended
		return nil
	})}
	end = sync.OnceFunc(func() { close(ended) })
	p.t.Cleanup(end)
	p.runs(p.dispatcher().Run, w.Run)
	job := p.submit(sweep.Execute)
	<-begun
	return end, fmt.Sprintf("job:%s:1", job)
}

func TestALeaseThatRedisLostIsLentAnewAndNothingStaysBehind(t *testing.T) {
	t.Parallel()
	p := newPlant(t, testkit.Redis(t))
	c := p.redis()
	end, task := busy(p)
	require.EqualValues(t, 1, c.ZRem(t.Context(), "asynq:{bulk}:lease", task).Val())
	var repairs tally
	s := p.sweeper()
	s.Repaired = repairs.add
	p.runs(s.Run)
	testkit.Eventually(t, 5*time.Second, func() bool { return c.ZScore(t.Context(), "asynq:{bulk}:lease", task).Err() == nil }, "it has a lease again")
	require.Equal(t, 1, repairs.of(queue.LeaseLent))
	end()
	testkit.Eventually(t, 5*time.Second, func() bool { return p.count("state = 'succeeded'") == 1 && tasksIn(t, c, "bulk") == 0 }, "it ended whole")
	require.Zero(t, c.ZCard(t.Context(), "asynq:{bulk}:lease").Val())
	require.Zero(t, repairs.of(queue.TaskDropped), "there was no half an end")
}

func TestATaskThatEndedByHalfIsDroppedAndItsIDIsFree(t *testing.T) {
	t.Parallel()
	p := newPlant(t, testkit.Redis(t))
	c := p.redis()
	end, task := busy(p)
	require.EqualValues(t, 1, c.ZRem(t.Context(), "asynq:{bulk}:lease", task).Val())
	end()
	testkit.Eventually(t, 5*time.Second, func() bool {
		return p.count("state = 'succeeded'") == 1 && c.LLen(t.Context(), "asynq:{bulk}:active").Val() == 0
	}, "it has ended")
	client, again := asynq.NewClientFromRedisClient(c), asynq.NewTask("job:execute", nil)
	_, err := client.Enqueue(again, asynq.TaskID(task), asynq.Queue("bulk"))
	require.ErrorIs(t, err, asynq.ErrTaskIDConflict, "asynq leaves its hash behind for ever")
	p.runs(p.sweeper().Run)
	testkit.Eventually(t, 5*time.Second, func() bool { return tasksIn(t, c, "bulk") == 0 }, "the orphan is dropped")
	_, err = client.Enqueue(again, asynq.TaskID(task), asynq.Queue("bulk"))
	require.NoError(t, err)
}

func TestATaskWhoseWorkerAndLeaseAreGoneIsTakenUpAgain(t *testing.T) {
	t.Parallel()
	p := newPlant(t, testkit.Redis(t))
	c := p.redis()
	stop := p.runs(p.dispatcher().Run)
	job := p.submit(sweep.Execute)
	testkit.Eventually(t, 5*time.Second, func() bool { return tasksIn(t, c, "bulk") == 1 }, "sent")
	stop()
	task := fmt.Sprintf("job:%s:1", job)
	require.NoError(t, c.RPopLPush(t.Context(), "asynq:{bulk}:pending", "asynq:{bulk}:active").Err()) // as a worker that took it and died
	require.NoError(t, c.HSet(t.Context(), "asynq:{bulk}:t:"+task, "state", "active").Err())
	p.runs(p.sweeper().Run)
	testkit.Eventually(t, 5*time.Second, func() bool { return c.ZScore(t.Context(), "asynq:{bulk}:lease", task).Err() == nil }, "it has a lease that nobody renews")
	require.InDelta(t, time.Now().Unix()+30, c.ZScore(t.Context(), "asynq:{bulk}:lease", task).Val(), 5)
	require.NoError(t, c.ZAdd(t.Context(), "asynq:{bulk}:lease", redis.Z{Score: float64(time.Now().Add(-time.Minute).Unix()), Member: task}).Err()) // a minute later
	w := &queue.Worker{Redis: p.redis(), Concurrency: 4, Log: p.log, Job: p.claims(func(context.Context, queue.Task) error { return nil })}
	p.runs(w.Run)
	testkit.Eventually(t, 10*time.Second, func() bool { return p.count("state = 'succeeded'") == 1 && tasksIn(t, c, "bulk") == 0 }, "another worker has done it")
}

// The search is bounded: a little in each sweep, all in many. What is in a list is never touched.
func TestOrphansAreFoundAmongManyKeysALittleAtATime(t *testing.T) {
	t.Parallel()
	p := newPlant(t, testkit.Redis(t))
	c := p.redis()
	_, err := c.Pipelined(t.Context(), func(pipe redis.Pipeliner) error {
		for n := range 3000 {
			pipe.Set(t.Context(), fmt.Sprintf("rate:%d", n), 1, 0)
		}
		for n := range 20 {
			pipe.HSet(t.Context(), fmt.Sprintf("asynq:{duty}:t:orphan-%d", n), "msg", "x", "state", "active")
		}
		return nil
	})
	require.NoError(t, err)
	client := asynq.NewClientFromRedisClient(c)
	for n, o := range map[string]asynq.Option{"pending": asynq.ProcessIn(0), "scheduled": asynq.ProcessIn(time.Hour), "archived": asynq.ProcessIn(2 * time.Hour), "retry": asynq.ProcessIn(0)} {
		_, err := client.Enqueue(asynq.NewTask("duty:"+n, nil), asynq.TaskID(n), asynq.Queue("duty"), o)
		require.NoError(t, err)
	}
	require.NoError(t, asynq.NewInspectorFromRedisClient(c).ArchiveTask("duty", "archived"))
	require.NoError(t, c.LRem(t.Context(), "asynq:{duty}:pending", 0, "retry").Err())
	require.NoError(t, c.ZAdd(t.Context(), "asynq:{duty}:retry", redis.Z{Score: 1e10, Member: "retry"}).Err())
	var repairs tally
	s := p.sweeper()
	s.Every, s.Repaired = 20*time.Millisecond, repairs.add
	p.runs(s.Run)
	testkit.Eventually(t, 10*time.Second, func() bool { return repairs.of(queue.TaskDropped) == 20 }, "all found")
	require.Equal(t, 4, tasksIn(t, c, "duty"), "those in lists are left")
}

func TestLostTasksAreSentAgainWhateverElseOfASweepFails(t *testing.T) {
	t.Parallel()
	for what, command := range map[string]string{"no orphan can be looked for": "-scan", "no mark can be read": "-get"} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			own := testkit.OwnRedis(t)
			p := newPlant(t, own.URL)
			require.NoError(t, p.redis().Do(t.Context(), "ACL", "SETUSER", "default", command).Err())
			p.submit(sweep.Execute)
			p.exec("UPDATE jobs SET state = 'dispatched', epoch = 1, dispatched_at = clock_timestamp() - interval '1 minute'")
			p.runs(p.sweeper().Run)
			testkit.Eventually(t, 5*time.Second, func() bool { return p.count("state = 'queued'") == 1 }, "given back")
		})
	}
}

func TestAsynqsRegistryIsWholeAgainAfterAFlush(t *testing.T) {
	t.Parallel()
	own := testkit.OwnRedis(t)
	p := newPlant(t, own.URL)
	c := p.redis()
	w := &queue.Worker{Redis: p.redis(), Concurrency: 4, Log: p.log, Job: p.claims(func(context.Context, queue.Task) error { return nil })}
	periodic := &queue.Periodic{Redis: p.redis(), Duties: map[string]string{"far": "0 0 1 1 *"}, Log: p.log}
	p.runs(w.Run, p.sweeper().Run, p.dispatcher().Run, periodic.Run)
	inspector := asynq.NewInspectorFromRedisClient(c)
	whole := func() bool {
		queues, _ := inspector.Queues()
		servers, _ := inspector.Servers()
		entries, _ := inspector.SchedulerEntries()
		return len(queues) == 5 && len(servers) == 2 && len(entries) == 1
	}
	testkit.Eventually(t, 20*time.Second, whole, "queues, servers and entries are shown")
	require.NoError(t, c.FlushAll(t.Context()).Err())
	require.False(t, whole())
	flushed := time.Now()
	testkit.Eventually(t, 20*time.Second, whole, "and again")
	t.Logf("whole %s after the flush", time.Since(flushed))
	res, body := get(t, queue.Monitor(c), "GET", "/ops/queues/api/queues")
	require.Equal(t, 200, res.StatusCode)
	for _, line := range []string{"interactive", "bulk", "mail", "duty"} {
		require.Contains(t, body, `"`+line+`"`)
	}
}
