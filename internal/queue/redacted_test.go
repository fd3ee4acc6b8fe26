package queue_test

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/queue"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

var uuid = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// LOG-2: of everything that waits in Redis, of each kind, the payload is ids and a number.
func TestTasksHoldIDsOnly(t *testing.T) {
	t.Parallel()
	p := newPlant(t, testkit.Redis(t))
	for _, kind := range []string{"verify_email", "make_export"} {
		p.exec("INSERT INTO outbox (customer_id, id, kind, run_at, created_at) VALUES ($1, $2, $3, clock_timestamp(), now())", p.customer.String(), newID(t).String(), kind)
	}
	p.submit(sweep.Analyze)
	p.submit(sweep.DryRun)
	p.submit(sweep.Execute)
	periodic := &queue.Periodic{Redis: p.redis(), Duties: map[string]string{"monthly": "@every 1s"}, Log: p.log}
	p.runs(p.dispatcher().Run, periodic.Run)
	inspector := asynq.NewInspectorFromRedisClient(p.redis())
	waiting := func() (tasks []*asynq.TaskInfo) {
		lines, err := inspector.Queues()
		require.NoError(t, err)
		for _, line := range lines {
			some, err := inspector.ListPendingTasks(line)
			require.NoError(t, err)
			tasks = append(tasks, some...)
		}
		return tasks
	}
	testkit.Eventually(t, time.Minute, func() bool { return len(waiting()) == 6 }, "three jobs, two posts and a duty wait")
	seen := map[string]bool{}
	for _, task := range waiting() {
		seen[task.Type+" in "+task.Queue] = true
		if strings.HasPrefix(task.Type, "duty:") {
			require.Empty(t, task.Payload)
			continue
		}
		var holds map[string]any
		require.NoError(t, json.Unmarshal(task.Payload, &holds))
		require.InDelta(t, 1, holds["epoch"], 0)
		delete(holds, "epoch")
		for name, value := range holds {
			require.Contains(t, []string{"customer_id", "job_id", "post_id"}, name)
			require.Regexp(t, uuid, value, name)
		}
		require.Len(t, holds, 2, string(task.Payload))
	}
	require.Equal(t, []string{"duty:monthly in duty", "job:analyze in interactive", "job:dry_run in interactive", "job:execute in bulk", "mail:send in errand", "mail:send in mail"},
		slices.Sorted(maps.Keys(seen)))
}

// LOG-2: what a handler panics with may name people; the log has its type and where it was.
func TestThePanicOfAHandlerIsLoggedWithoutItsText(t *testing.T) {
	t.Parallel()
	p := newPlant(t, testkit.Redis(t))
	var out testkit.Log
	w := &queue.Worker{Redis: p.redis(), Concurrency: 4, Log: slog.New(slog.NewTextHandler(&out, nil)), Job: func(context.Context, queue.Task) error { panic("alice@example.com") }}
	stop := p.runs(p.dispatcher().Run, w.Run)
	p.submit(sweep.Analyze)
	testkit.Eventually(t, time.Minute, func() bool { return strings.Contains(out.String(), "handler panicked") }, "it is logged")
	stop()
	require.Contains(t, out.String(), `panic="a string"`)
	require.Contains(t, out.String(), "redacted_test.go")
	require.NotContains(t, out.String(), "alice")
}
