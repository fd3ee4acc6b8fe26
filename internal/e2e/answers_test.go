package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// answer is what came back, success or not.
type answer struct {
	status int
	header http.Header
	body   json.RawMessage
	err    error // of the call itself
}

// call sends a body as it is, right or wrong, with headers as pairs. It may be used by many goroutines at once.
func (u *user) call(method, path, body string, headers ...string) (a answer) {
	req, err := http.NewRequestWithContext(u.ctx(), method, u.Base+path, strings.NewReader(body))
	if err != nil {
		return answer{err: err}
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if u.Token != "" {
		req.Header.Set("Authorization", "Bearer "+u.Token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return answer{err: err}
	}
	defer resp.Body.Close()
	a.status, a.header = resp.StatusCode, resp.Header
	a.body, a.err = io.ReadAll(resp.Body)
	return a
}

// problem is an RFC 9457 answer with what belongs to its code.
type problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Code      string `json:"code"`
	RequestID string `json:"request_id"`
	JobID     string `json:"job_id"`
	Errors    []struct{ Location, Message string }
	Quota     *struct {
		usage
		PartialPossible bool      `json:"partial_possible"`
		ResetsAt        time.Time `json:"resets_at"`
	}
}

// problem checks what every refusal has, and that it is this one.
func (a answer) problem(t *testing.T, status int, code string) (p problem) {
	t.Helper()
	require.NoError(t, a.err)
	require.Equal(t, status, a.status, "%s", a.body)
	require.Equal(t, "application/problem+json", a.header.Get("Content-Type"))
	p = read[problem](t, a.body)
	require.Equal(t, code, p.Code, "%s", a.body)
	require.Equal(t, status, p.Status)
	require.NotEmpty(t, p.Title)
	require.NotEmpty(t, p.Type)
	require.NotEmpty(t, p.RequestID)
	require.Equal(t, a.header.Get("X-Request-ID"), p.RequestID)
	return p
}

func TestBadInputIsRefusedAndChangesNothing(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), nil)
	ada, eve := r.join(t, "ada", 400), r.join(t, "eve", 400)
	before := ada.digest()
	p := ada.plan("trash", old())
	var mine struct{ Items []struct{ ID string } }
	ada.get("/api/v1/mailboxes", &mine)
	mailbox := mine.Items[0].ID
	job := ada.run("/api/v1/gmail/analyze", object{})

	const dryRun, execute = "/api/v1/gmail/cleanup/dry-run", "/api/v1/gmail/cleanup/execute"
	for _, c := range []struct {
		who                *user
		method, path, body string
		status             int
		code               string
	}{
		{ada, "POST", dryRun, `{"action":"trash","criteria":`, 400, "invalid_request"},
		{ada, "POST", dryRun, `not json`, 400, "invalid_request"},
		{ada, "POST", dryRun, `{"action":"trash","criteria":{"unread":true},"surprise":1}`, 422, "invalid_request"},
		{ada, "POST", dryRun, `{"action":"trash","criteria":{"surprise":true}}`, 400, "invalid_request"},
		{ada, "POST", dryRun, `{"action":"destroy","criteria":{"unread":true}}`, 422, "invalid_request"},
		{ada, "POST", dryRun, `{"action":"trash","criteria":{"all":[{"unread":true},{"not":{"unread":true}}]}}`, 422, "invalid_request"},
		{ada, "POST", dryRun, `{"action":"trash","criteria":{"all":[{"older_than_days":90},{"newer_than_days":30}]}}`, 422, "invalid_request"},
		{ada, "POST", dryRun, `{"action":"trash","criteria":{"all":[]}}`, 422, "invalid_request"},
		{ada, "POST", dryRun, `{"action":"trash","criteria":{"in":"anywhere"}}`, 422, "confirm_all_required"},
		{ada, "POST", execute, `{"action":"trash","criteria":{"unread":true}}`, 422, "invalid_request"}, // without max_messages
		{ada, "POST", execute, `{"cleanup_plan_id":"pln_short"}`, 404, "not_found"},
		{eve, "POST", dryRun, `{"mailbox_id":"` + mailbox + `","action":"trash","criteria":{"unread":true}}`, 404, "not_found"},
		{eve, "POST", "/api/v1/gmail/analyze", `{"mailbox_id":"` + mailbox + `"}`, 404, "not_found"},
		{eve, "POST", execute, `{"cleanup_plan_id":"` + p.ID + `"}`, 404, "not_found"},
		{eve, "GET", "/api/v1/cleanup-plans/" + p.ID, "", 404, "not_found"},
		{eve, "GET", "/api/v1/cleanup-plans/" + p.ID + "/messages", "", 404, "not_found"},
		{eve, "GET", "/api/v1/jobs/" + job.ID, "", 404, "not_found"},
		{eve, "GET", "/api/v1/jobs/" + job.ID + "/events", "", 404, "not_found"},
		{eve, "POST", "/api/v1/jobs/" + job.ID + "/cancel", "", 404, "not_found"},
		{eve, "POST", "/api/v1/jobs/" + job.ID + "/undo", "", 404, "not_found"},
		{eve, "GET", "/api/v1/mailboxes/" + mailbox + "/analysis", "", 404, "not_found"},
		{eve, "GET", "/api/v1/mailboxes/" + mailbox + "/senders", "", 404, "not_found"},
		{eve, "DELETE", "/api/v1/mailboxes/" + mailbox, "", 404, "not_found"},
		{r.nobody(t), "GET", "/api/v1/gmail/usage", "", 401, "unauthenticated"},
		{r.nobody(t), "POST", execute, `{"cleanup_plan_id":"` + p.ID + `"}`, 401, "unauthenticated"},
		{ada, "GET", "/api/v1/nowhere", "", 404, "not_found"},
		{ada, "DELETE", "/api/v1/gmail/usage", "", 405, "method_not_allowed"},
		{ada, "POST", dryRun, `{"action":"` + strings.Repeat("x", 70_000) + `"}`, 413, "too_large"},
	} {
		t.Run(c.method+" "+c.path+" "+c.body[:min(60, len(c.body))], func(t *testing.T) {
			c.who.call(c.method, c.path, c.body).problem(t, c.status, c.code)
		})
	}
	ada.call("POST", dryRun, "action=trash", "Content-Type", "application/x-www-form-urlencoded").problem(t, 415, "unsupported_media_type")
	require.Equal(t, before, ada.digest())
	require.Empty(t, ada.changes())
	require.Zero(t, ada.usage().Used+ada.usage().Reserved)
}

// nobody calls without a token.
func (r *rig) nobody(t *testing.T) *user {
	u := &user{t: t, r: r}
	u.Base = r.API
	return u
}

func TestPlanIsExecutedOnceAndARepeatedRequestIsTheSame(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), nil)
	u := r.join(t, "ada", 400)
	p := u.plan("archive", object{"all": []object{{"in": "inbox"}, {"older_than_days": 30}}})
	require.NotZero(t, p.ToClean)
	body, path := `{"cleanup_plan_id":"`+p.ID+`"}`, "/api/v1/gmail/cleanup/execute"

	first := u.call("POST", path, body, "Idempotency-Key", "monday")
	require.Equal(t, http.StatusAccepted, first.status, "%s", first.body)
	job := read[struct{ ID string }](t, first.body).ID
	require.Equal(t, "/api/v1/jobs/"+job, first.header.Get("Location"))
	again := u.call("POST", path, body, "Idempotency-Key", "monday")
	require.Equal(t, http.StatusAccepted, again.status)
	require.JSONEq(t, string(first.body), string(again.body))
	u.call("POST", path, `{"cleanup_plan_id":"`+p.ID+`","partial":true}`, "Idempotency-Key", "monday").problem(t, 422, "idempotency_mismatch")
	require.Equal(t, job, u.call("POST", path, body).problem(t, 409, "already_executed").JobID, "while it runs")
	u.until(job)
	require.Equal(t, job, u.call("POST", path, body, "Idempotency-Key", "tuesday").problem(t, 409, "already_executed").JobID, "and after")
	require.Equal(t, p.ToClean, u.usage().Used)

	undo := read[struct{ ID string }](t, u.call("POST", "/api/v1/jobs/"+job+"/undo", "").body).ID
	u.until(undo)
	require.Equal(t, undo, u.call("POST", "/api/v1/jobs/"+job+"/undo", "").problem(t, 409, "conflict").JobID, "undone once")
}
