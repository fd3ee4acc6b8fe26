package e2e

import (
	"io"
	"net"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/dev/customer"
	"mailsweep/internal/dev/stack"
	"mailsweep/internal/sim/google"
)

// slowly makes every change take a while, so that there is a middle to strike at.
func (r *rig) slowly(d time.Duration) {
	r.Sim.Inject(google.Fault{Method: "messages.batchModify", Delay: d})
}

// midway waits until some of the plan is changed, and is sure that not all of it is.
func (u *user) midway(p preview) {
	u.t.Helper()
	until(u.t, patience, "the first batches", func() bool { return len(u.changes()) >= 1000 })
	require.Less(u.t, len(u.changes()), p.ToClean, "too late to strike in the middle")
}

// onceEach checks that a run of the whole plan changed each message once, charged each once, and can be undone to the letter.
func (u *user) onceEach(p preview, run customer.Job, before string) {
	t := u.t
	t.Helper()
	did := read[executed](t, run.Result)
	require.Equal(t, executed{Planned: p.ToClean, Cleaned: p.ToClean}, did)
	changed := u.changes()
	require.Len(t, changed, p.ToClean)
	for id, times := range changed {
		require.Equal(t, 1, times, "message %s", id)
	}
	require.Equal(t, p.ToClean, u.usage().Used, "charged once")
	require.Zero(t, u.usage().Reserved)
	u.r.Sim.ClearFaults()
	undone := u.run("/api/v1/jobs/"+run.ID+"/undo", object{})
	require.Equal(t, p.ToClean, read[struct{ Restored int }](t, undone.Result).Restored)
	require.Equal(t, before, u.digest(), "every message has the labels it had")
	require.Zero(t, u.usage().Used, "undo gives the quota back")
}

func TestKilledWorkersExecuteGoesOnAndChargesOnce(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), nil)
	u := r.join(t, "ada", 14_000)
	before := u.digest()
	p := u.plan("trash", old())
	require.Greater(t, p.ToClean, 8000, "the scenario wants eight batches")
	r.slowly(time.Second)

	j := u.execute(p)
	u.midway(p)
	r.Children["worker"].Kill()
	killed := time.Now()
	atKill := len(u.changes())
	require.NoError(t, r.Spawn("worker"))
	until(t, 40*time.Second, "the next claim's first batch", func() bool { return len(u.changes()) >= min(p.ToClean, atKill+4000) })
	t.Logf("killed at %d of %d messages; going on %s later", atKill, p.ToClean, time.Since(killed).Round(100*time.Millisecond))
	u.onceEach(p, u.finish(j), before)
	t.Logf("done %s after the kill", time.Since(killed).Round(100*time.Millisecond))
}

func TestStoppedWorkerHandsItsJobBack(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), nil)
	u := r.join(t, "ada", 14_000)
	before := u.digest()
	p := u.plan("trash", old())
	require.Greater(t, p.ToClean, 8000, "three in flight are answered before the worker stops: there must be more than two rounds")
	r.slowly(3 * time.Second) // a busy machine sees late that it has begun

	j := u.execute(p)
	u.midway(p)
	worker := r.Children["worker"]
	stopped := time.Now()
	worker.Interrupt()
	worker.Wait(30 * time.Second)
	require.Equal(t, 0, worker.ExitCode(), worker.Tail())
	t.Logf("the worker stopped within %s", time.Since(stopped).Round(100*time.Millisecond))
	require.Less(t, time.Since(stopped), 25*time.Second, "the shutdown time")
	u.get("/api/v1/jobs/"+j.ID, &j)
	require.Contains(t, []string{"queued", "waiting"}, j.State)
	require.Less(t, len(u.changes()), p.ToClean, "it was handed back, not finished")

	require.NoError(t, r.Spawn("worker"))
	started := time.Now()
	run := u.finish(j)
	t.Logf("the next worker finished it within %s", time.Since(started).Round(100*time.Millisecond))
	u.onceEach(p, run, before)
}

func TestEmptiedRedisLosesNoJob(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), map[string]string{"WORKER_CONCURRENCY": "4"}) // three jobs at a time: the others are queued
	var users []*user
	for _, name := range []string{"ada", "ben", "cleo", "dora", "emil", "fay"} {
		users = append(users, r.join(t, name, 4000))
	}
	before, plans, jobs := map[*user]string{}, map[*user]preview{}, map[*user]customer.Job{}
	for _, u := range users {
		before[u], plans[u] = u.digest(), u.plan("trash", old())
	}
	r.slowly(500 * time.Millisecond)
	for _, u := range users {
		jobs[u] = u.execute(plans[u])
	}
	until(t, patience, "some run, some wait", func() bool {
		running := slices.DeleteFunc(slices.Clone(users), func(u *user) bool { return len(u.changes()) == 0 })
		return len(running) > 0 && len(running) < len(users)
	})
	r.flushRedis(t)
	flushed := time.Now()
	for _, u := range users {
		u.onceEach(plans[u], u.finish(jobs[u]), before[u])
	}
	t.Logf("all done and undone %s after the flush", time.Since(flushed).Round(100*time.Millisecond))
}

// A power cut: everything comes up again, Redis last.
func TestProgramsStartWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), nil)
	u := r.join(t, "ada", 2000)
	before, p := u.digest(), u.plan("trash", old())
	require.NoError(t, r.Services.Redis.Stop())
	r.halt(t, stack.Programs()...)
	for _, name := range stack.Programs() {
		require.NoError(t, r.Spawn(name))
	}
	require.NoError(t, r.Await(t.Context(), "api"))
	job := u.execute(p)
	require.NoError(t, r.Services.Redis.Restart(t.Context()))
	require.NoError(t, r.Await(t.Context(), "worker", "scheduler"))
	u.onceEach(p, u.finish(job), before)
}

// flushRedis speaks Redis' inline form, for the one word that it needs.
func (r *rig) flushRedis(t *testing.T) {
	t.Helper()
	at, err := url.Parse(r.Services.RedisURL)
	require.NoError(t, err)
	conn, err := net.DialTimeout("tcp", at.Host, 5*time.Second)
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, "FLUSHALL\r\nQUIT\r\n")
	require.NoError(t, err)
	answer, err := io.ReadAll(conn)
	require.NoError(t, err)
	require.Equal(t, "+OK\r\n+OK\r\n", string(answer))
}
