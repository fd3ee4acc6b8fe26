package e2e

import (
	"bufio"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/dev/customer"
)

// until follows a job by its id to its success.
func (u *user) until(job string) (j customer.Job) {
	u.t.Helper()
	u.get("/api/v1/jobs/"+job, &j)
	return u.finish(j)
}

// event is one server-sent event.
type event struct{ id, name, data string }

// follow reads the stream of a job to its end.
func (u *user) follow(job string) (events []event) {
	u.t.Helper()
	req, err := http.NewRequestWithContext(u.ctx(), http.MethodGet, u.Base+"/api/v1/jobs/"+job+"/events", nil)
	require.NoError(u.t, err)
	req.Header.Set("Authorization", "Bearer "+u.Token)
	resp, err := http.DefaultClient.Do(req)
	require.NoError(u.t, err)
	defer resp.Body.Close()
	require.Equal(u.t, "text/event-stream", resp.Header.Get("Content-Type"))
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(nil, 4<<20)
	var e event
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "":
			if e.name != "" {
				events = append(events, e)
			}
			e = event{}
		case "id":
			e.id = value
		case "event":
			e.name = value
		case "data":
			e.data = value
		}
	}
	require.NoError(u.t, lines.Err())
	return events
}

func TestJobIsToldAsItChanges(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), nil)
	u := r.join(t, "ada", 6000)
	p := u.plan("trash", old())
	r.slowly(700 * time.Millisecond)
	j := u.execute(p)

	events := u.follow(j.ID)
	require.Equal(t, event{name: "end", data: "{}"}, events[len(events)-1])
	events = events[:len(events)-1]
	require.Greater(t, len(events), 2, "the job at its beginning, on its way and at its end")
	done := -1
	for _, e := range events {
		require.Equal(t, "job", e.name)
		require.NotEmpty(t, e.id)
		at := read[customer.Job](t, []byte(e.data))
		require.Equal(t, j.ID, at.ID)
		if at.Phase == "cleaning" {
			require.GreaterOrEqual(t, at.Progress.Done, done, "progress never goes back")
			done = at.Progress.Done
		}
	}
	last := read[customer.Job](t, []byte(events[len(events)-1].data))
	require.Equal(t, "succeeded", last.State)
	require.NotEmpty(t, last.Result)

	again := u.follow(j.ID)
	require.Len(t, again, 2, "of a job that is over: the job, and the end")
}

func TestWaitEndsAtAChangeAndFinishedJobsCostNothing(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), nil)
	u := r.join(t, "ada", 1500)
	p := u.plan("trash", old())
	r.slowly(2 * time.Second)
	path := "/api/v1/jobs/" + u.execute(p).ID

	for begun := time.Now(); ; {
		require.Less(t, time.Since(begun), patience)
		now := u.call("GET", path, "")
		if read[customer.Job](t, now.body).Over() {
			break
		}
		asked := time.Now()
		next := u.call("GET", path+"?wait=30", "", "If-None-Match", now.header.Get("ETag"))
		require.Equal(t, http.StatusOK, next.status)
		require.NotEqual(t, now.header.Get("ETag"), next.header.Get("ETag"))
		require.Less(t, time.Since(asked), 15*time.Second, "wait=30 answers when the job changes")
	}
	done := u.call("GET", path, "")
	unchanged := u.call("GET", path, "", "If-None-Match", done.header.Get("ETag"))
	require.Equal(t, http.StatusNotModified, unchanged.status)
	require.Empty(t, unchanged.body)
	asked := time.Now()
	require.Equal(t, http.StatusOK, u.call("GET", path+"?wait=30", "").status)
	require.Less(t, time.Since(asked), 10*time.Second, "nobody waits for a job that is over")
}
