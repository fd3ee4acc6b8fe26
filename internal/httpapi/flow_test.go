package httpapi_test

import (
	"bufio"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sweep"
)

const promotions = `{"all":[{"category":"promotions"},{"older_than_days":90}]}`

func TestACustomerSignsUpConnectsAndSubmits(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := r.member(t, "ada@example.com")
	me := r.call(t, "GET", "/api/v1/auth/me", token, "").object(t)
	require.Equal(t, "ada@example.com", me["email"])
	require.Equal(t, []any{}, me["features"], "no feature is shown before its code is in")
	mailbox := r.connect(t, token)
	require.Equal(t, gmailAddress, mailbox.Email)
	list := r.call(t, "GET", "/api/v1/mailboxes", token, "").object(t)
	require.Len(t, list["items"], 1)

	job := r.submit(t, token, "/api/v1/gmail/analyze", "")
	require.Equal(t, mailbox.ID, job.MailboxID)
	require.Equal(t, sweep.Queued, job.State)
	again := r.submit(t, token, "/api/v1/gmail/analyze", `{"mailbox_id":"`+mailbox.ID+`"}`)
	require.Equal(t, job.ID, again.ID, "an open analysis is answered again")
	preview := r.submit(t, token, "/api/v1/gmail/cleanup/dry-run", `{"action":"trash","criteria":`+promotions+`,"protect":{"starred":false,"recent_days":30}}`)
	require.Equal(t, sweep.DryRun, preview.Kind)
	direct := r.submit(t, token, "/api/v1/gmail/cleanup/execute", `{"action":"archive","criteria":`+promotions+`,"max_messages":10}`)
	require.Equal(t, sweep.Execute, direct.Kind)

	jobs := r.call(t, "GET", "/api/v1/jobs?limit=2", token, "").object(t)
	require.Len(t, jobs["items"], 2)
	next := r.call(t, "GET", "/api/v1/jobs?limit=2&cursor="+jobs["next_cursor"].(string), token, "").object(t)
	require.Len(t, next["items"], 1)
	require.NotContains(t, next, "next_cursor")
	require.Len(t, r.call(t, "GET", "/api/v1/jobs?kind=dry_run&state=queued", token, "").object(t)["items"], 1)
	usage := r.call(t, "GET", "/api/v1/gmail/usage", token, "").object(t)
	require.EqualValues(t, 10, usage["reserved"])
	history := r.call(t, "GET", "/api/v1/gmail/history", token, "").object(t)
	require.IsType(t, []any{}, history["items"])
	require.Equal(t, 204, r.call(t, "DELETE", "/api/v1/mailboxes/"+mailbox.ID, token, "").StatusCode)
	require.Equal(t, 204, r.call(t, "POST", "/api/v1/auth/logout", token, "").StatusCode)
}

func TestKeepListIsReplaced(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := r.member(t, "ada@example.com")
	require.Equal(t, []any{}, r.call(t, "GET", "/api/v1/keep-list", token, "").object(t)["entries"])
	put := r.call(t, "PUT", "/api/v1/keep-list", token, `{"entries":["Boss@Work.example","@bank.example"]}`)
	require.Equal(t, []any{"@bank.example", "boss@work.example"}, put.object(t)["entries"])
	require.Len(t, r.call(t, "GET", "/api/v1/keep-list", token, "").object(t)["entries"], 2)
	bad := problem(t, r.call(t, "PUT", "/api/v1/keep-list", token, `{"entries":["fine@work.example","not an address"]}`), 422, "invalid_request")
	require.Equal(t, "body.entries[1]", bad["errors"].([]any)[0].(map[string]any)["location"])
}

func TestPlansOnOfferShowNoFeatureBeforeItsTime(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(r *rig) { r.Features = []sweep.Feature{sweep.Schedules} })
	var plans struct {
		Items []struct {
			Tier     string
			Emails   int
			Features []string
		}
	}
	r.call(t, "GET", "/api/v1/billing/plans", "", "").into(t, &plans)
	require.Len(t, plans.Items, 4)
	require.Equal(t, "free", plans.Items[0].Tier)
	require.Equal(t, []string{}, plans.Items[0].Features)
	require.Equal(t, []string{"schedules"}, plans.Items[3].Features)
}

func TestUnchangedJobIs304AndAWaitEndsWithTheChange(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(r *rig) { r.hurried = true })
	token := r.member(t, "ada@example.com")
	r.connect(t, token)
	path := "/api/v1/jobs/" + r.submit(t, token, "/api/v1/gmail/analyze", "").ID
	first := r.call(t, "GET", path, token, "")
	tag := first.Header.Get("ETag")
	require.Regexp(t, `^"\d+"$`, tag)
	same := r.call(t, "GET", path, token, "", "If-None-Match", "W/"+tag+`, "x"`)
	require.Equal(t, 304, same.StatusCode)
	require.Empty(t, same.body)
	require.Equal(t, tag, same.Header.Get("ETag"))

	start := time.Now()
	timedOut := r.call(t, "GET", path+"?wait=2", token, "", "If-None-Match", tag) // longer than the server's own deadlines
	require.Equal(t, 304, timedOut.StatusCode)
	require.GreaterOrEqual(t, time.Since(start), 2*time.Second)

	waited := make(chan answer, 1)
	go func() { waited <- r.call(t, "GET", path+"?wait=30", token, "", "If-None-Match", tag) }()
	require.Equal(t, 202, r.call(t, "POST", path+"/cancel", token, "").StatusCode)
	select {
	case a := <-waited:
		require.Equal(t, 200, a.StatusCode)
		require.Equal(t, "canceled", a.object(t)["state"])
	case <-time.After(20 * time.Second):
		t.Fatal("the wait did not end with the change")
	}
	again := r.call(t, "POST", path+"/cancel", token, "")
	require.Equal(t, 202, again.StatusCode, "the first answer may have been lost")
	require.Equal(t, "canceled", again.object(t)["state"])
	problem(t, r.call(t, "POST", path+"/pause", token, ""), 409, "conflict")
	problem(t, r.call(t, "POST", path+"/undo", token, ""), 409, "conflict")
}

func TestDrainEndsWaitsWithTheJobAndStreamsWithoutEnd(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := r.member(t, "ada@example.com")
	r.connect(t, token)
	path := "/api/v1/jobs/" + r.submit(t, token, "/api/v1/gmail/analyze", "").ID
	events := r.follow(t, path, token)
	require.Equal(t, "event: job", events.until("event:"))
	waited := make(chan answer, 1)
	go func() { waited <- r.call(t, "GET", path+"?wait=30", token, "") }()
	require.Equal(t, 200, r.call(t, "GET", "/health/ready", "", "").StatusCode)
	start := time.Now()
	r.drain()
	require.Equal(t, "", events.until("event:"), "a stream that drains has no end")
	require.Equal(t, 200, (<-waited).StatusCode)
	require.Less(t, time.Since(start), 10*time.Second)
	down := problem(t, r.call(t, "GET", "/health/ready", "", ""), 503, "unavailable")
	require.Equal(t, map[string]any{"process": "stopping"}, down["checks"])
	require.Equal(t, 200, r.call(t, "GET", "/health", "", "").StatusCode)
}

func TestStreamTellsEachChangeAndEnds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := r.member(t, "ada@example.com")
	r.connect(t, token)
	path := "/api/v1/jobs/" + r.submit(t, token, "/api/v1/gmail/analyze", "").ID
	problem(t, r.call(t, "GET", "/api/v1/jobs/job_00000000000000000000000000000000/events", token, ""), 404, "not_found")
	events := r.follow(t, path, token)
	require.Equal(t, "event: job", events.until("event:"))
	require.Contains(t, events.until("data:"), `"state":"queued"`)
	require.Equal(t, 202, r.call(t, "POST", path+"/cancel", token, "").StatusCode)
	require.Equal(t, "event: job", events.until("event:"))
	require.Contains(t, events.until("data:"), `"state":"canceled"`)
	require.Equal(t, "event: end", events.until("event:"))
	require.Equal(t, "", events.until("event:"), "nothing comes after the end")

	late := r.follow(t, path, token)
	require.Equal(t, "event: job", late.until("event:"))
	require.Equal(t, "event: end", late.until("event:"))
}

func TestAStreamToWhichNothingIsNewBeginsAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := r.member(t, "ada@example.com")
	r.connect(t, token)
	path := "/api/v1/jobs/" + r.submit(t, token, "/api/v1/gmail/analyze", "").ID
	id := strings.TrimPrefix(r.follow(t, path, token).until("id:"), "id: ")
	start := time.Now()
	again := r.follow(t, path, token, "Last-Event-ID", id)
	require.Equal(t, ": nothing new", again.until(""))
	require.Less(t, time.Since(start), 10*time.Second)
	require.Equal(t, 202, r.call(t, "POST", path+"/cancel", token, "").StatusCode)
	require.Contains(t, again.until("data:"), `"state":"canceled"`)
}

// events reads a stream line by line.
type events struct {
	t     *testing.T
	lines *bufio.Scanner
}

// until gives the next line that begins so, or "" at the stream's end.
func (e events) until(prefix string) string {
	for e.lines.Scan() {
		if strings.HasPrefix(e.lines.Text(), prefix) {
			return e.lines.Text()
		}
	}
	return ""
}

func (r *rig) follow(t *testing.T, path, token string, headers ...string) events {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	req, err := http.NewRequestWithContext(ctx, "GET", r.url+path+"/events", nil)
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer "+token)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	res, err := plain.Do(req)
	require.NoError(t, err)
	t.Cleanup(func() { _ = res.Body.Close() })
	require.Equal(t, 200, res.StatusCode)
	require.Equal(t, "text/event-stream", res.Header.Get("Content-Type"))
	return events{t, bufio.NewScanner(res.Body)}
}
