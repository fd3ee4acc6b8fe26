package httpapi_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"mailsweep/internal/httpapi"
	"mailsweep/internal/sweep"
)

// TestHostileBodiesAreRefusedByEveryPost is ERR-4 and ERR-2.
func TestHostileBodiesAreRefusedByEveryPost(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(r *rig) {
		for tier, p := range r.Plans {
			p.RequestsPerMinute = 1_000_000
			r.Plans[tier] = p
		}
	})
	token := r.member(t, "ada@example.com")
	r.connect(t, token)
	job := r.submit(t, token, "/api/v1/gmail/analyze", "").ID
	before := r.rows(t)
	tried := 0
	for path, methods := range parsedSpec(t).Paths {
		for method := range methods {
			if method != "post" && method != "put" && method != "patch" {
				continue
			}
			for name, body := range httpapi.Hostile() {
				a := r.call(t, strings.ToUpper(method), strings.ReplaceAll(path, "{id}", job), token, body)
				at := fmt.Sprintf("%s %s: %s: %d %s", method, path, name, a.StatusCode, a.body)
				require.True(t, a.StatusCode >= 400 && a.StatusCode < 500, at)
				tried++
			}
		}
	}
	require.Greater(t, tried, 25*12)
	require.Equal(t, before, r.rows(t), "nothing was written")
}

// rows counts what requests can write.
func (r *rig) rows(t *testing.T) (n [5]int) {
	t.Helper()
	for i, table := range []string{"jobs", "customers", "oauth_states", "idempotency_keys", "keep_list"} {
		require.NoError(t, r.root.QueryRow(t.Context(), "SELECT count(*) FROM "+table).Scan(&n[i]))
	}
	return n
}

func TestFieldErrorsHaveLocationsAndNoValues(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := r.member(t, "ada@example.com")
	r.connect(t, token)
	const dry, execute = "/api/v1/gmail/cleanup/dry-run", "/api/v1/gmail/cleanup/execute"
	for _, c := range []struct {
		path, body string
		status     int
		code       string
		at         string
	}{
		{dry, `{"action":"trash","criteria":{"all":[{"category":"hunter2"}]}}`, 422, "invalid_request", "body.criteria.all[0].category"},
		{dry, `{"action":"trash","criteria":{"not":{"any":[{"unread":true},{"hunter2":1}]}}}`, 400, "invalid_request", "body.criteria.not.any[1]"},
		{dry, `{"action":"trash","criteria":{"older_than_days":0}}`, 422, "invalid_request", "body.criteria.older_than_days"},
		{dry, `{"action":"trash","criteria":{"all":[{"unread":true},{"unread":false}]}}`, 422, "invalid_request", "body.criteria"},
		{dry, `{"action":"trash","criteria":"hunter2"}`, 422, "invalid_request", "body.criteria"},
		{dry, `{"action":"trash"}`, 422, "invalid_request", "body"},
		{dry, `{"action":"hunter2","criteria":{"unread":true}}`, 422, "invalid_request", "body.action"},
		{dry, `{"action":"label","criteria":{"unread":true}}`, 422, "invalid_request", "body.label"},
		{dry, `{"action":"trash","criteria":{"unread":true},"protect":{"recent_days":-1}}`, 422, "invalid_request", "body.protect.recent_days"},
		{dry, `{"action":"trash","criteria":{"unread":true},"protect":{"starred":"hunter2"}}`, 422, "invalid_request", "body.protect.starred"},
		{dry, `{"action":"trash","criteria":{"in":"anywhere"}}`, 422, "confirm_all_required", ""},
		{dry, `{"action":"trash","criteria":{"unread":true},"mailbox_id":"hunter2"}`, 404, "not_found", ""},
		{dry, `{"action":"trash","criteria":{"unread":true},"mailbox_id":"mbx_0123456789abcdef0123456789abcdef"}`, 404, "not_found", ""},
		{dry, `{"action":"trash","criteria":{"unread":true},"keep_newest_per_sender":1e3}`, 422, "invalid_request", "body"},
		{execute, `{"cleanup_plan_id":"pln_0123456789abcdef0123456789abcdef","action":"trash"}`, 422, "invalid_request", "body.cleanup_plan_id"},
		{execute, `{"cleanup_plan_id":"pln_0123456789abcdef0123456789abcdef"}`, 404, "not_found", ""},
		{execute, `{"cleanup_plan_id":"hunter2"}`, 404, "not_found", ""},
		{execute, `{}`, 422, "invalid_request", "body.criteria"},
		{execute, `{"action":"trash","criteria":{"unread":true}}`, 422, "invalid_request", "body.max_messages"},
		{execute, `{"max_messages":5,"criteria":{"unread":true}}`, 422, "invalid_request", "body.action"},
		{"/api/v1/gmail/cleanup/count", `{"criteria":{"unread":7}}`, 422, "invalid_request", "body.criteria.unread"},
		{"/api/v1/gmail/cleanup/count", `{"criteria":{"unread":true}}`, 404, "not_found", ""},
		{"/api/v1/gmail/analyze", `{"mailbox":"x"}`, 422, "invalid_request", "body.mailbox"},
	} {
		a := r.call(t, "POST", c.path, token, c.body)
		p := problem(t, a, c.status, c.code)
		require.NotContains(t, string(a.body), "hunter2", c.body)
		if c.at != "" {
			require.Equal(t, c.at, p["errors"].([]any)[0].(map[string]any)["location"], c.body)
		}
	}
	for _, query := range []string{"limit=0", "limit=101", "limit=x", "kind=hunter2", "state=dispatched", "cursor=hunter2"} {
		p := problem(t, r.call(t, "GET", "/api/v1/jobs?"+query, token, ""), 422, "invalid_request")
		require.Equal(t, "query."+query[:strings.Index(query, "=")], p["errors"].([]any)[0].(map[string]any)["location"])
	}
	problem(t, r.call(t, "GET", "/api/v1/jobs/job_1?wait=31", token, ""), 422, "invalid_request")
	require.Equal(t, 200, r.call(t, "GET", "/api/v1/jobs?unknown=1", token, "").StatusCode)
}

func TestUnknownAndForeignObjectsLookTheSame(t *testing.T) { // ERR-3
	t.Parallel()
	r := newRig(t)
	ada, bob := r.member(t, "ada@example.com"), r.member(t, "bob@example.com")
	mailbox := r.connect(t, ada).ID
	job := r.submit(t, ada, "/api/v1/gmail/analyze", "").ID
	for _, c := range []struct{ method, path, id string }{
		{"GET", "/api/v1/jobs/%s", job}, {"GET", "/api/v1/jobs/%s/events", job}, {"POST", "/api/v1/jobs/%s/cancel", job}, {"POST", "/api/v1/jobs/%s/undo", job},
		{"GET", "/api/v1/mailboxes/%s/analysis", mailbox}, {"GET", "/api/v1/mailboxes/%s/senders", mailbox},
		{"GET", "/api/v1/mailboxes/%s/domains", mailbox}, {"GET", "/api/v1/mailboxes/%s/lists", mailbox}, {"DELETE", "/api/v1/mailboxes/%s", mailbox},
	} {
		missing := c.id[:4] + strings.Repeat("0", 32)
		foreign := problem(t, r.call(t, c.method, fmt.Sprintf(c.path, c.id), bob, ""), 404, "not_found")
		absent := problem(t, r.call(t, c.method, fmt.Sprintf(c.path, missing), bob, ""), 404, "not_found")
		delete(foreign, "request_id")
		delete(absent, "request_id")
		require.Equal(t, absent, foreign, c.path)
		problem(t, r.call(t, c.method, fmt.Sprintf(c.path, "hunter2"), bob, ""), 404, "not_found")
	}
	foreign := r.call(t, "POST", "/api/v1/gmail/analyze", bob, `{"mailbox_id":"`+mailbox+`"}`)
	problem(t, foreign, 404, "not_found")
}

func TestQuotaExceededCarriesTheNumbers(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(r *rig) { r.Cleanup.UpgradeURL = page + "/billing" })
	token := r.member(t, "ada@example.com")
	r.connect(t, token)
	body := `{"action":"archive","criteria":` + promotions + `,"max_messages":%d}`
	p := problem(t, r.call(t, "POST", "/api/v1/gmail/cleanup/execute", token, fmt.Sprintf(body, 5001)), 402, "quota_exceeded")
	quota := p["quota"].(map[string]any)
	for name, want := range map[string]any{"limit": 5000.0, "used": 0.0, "reserved": 0.0, "remaining": 5000.0, "upgrade_url": page + "/billing", "partial_possible": true} {
		require.Equal(t, want, quota[name], name)
	}
	_, err := time.Parse(time.RFC3339, quota["resets_at"].(string))
	require.NoError(t, err)
}

func TestAReplayGivesTheFirstAnswer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := r.member(t, "ada@example.com")
	r.connect(t, token)
	const path, body = "/api/v1/gmail/cleanup/dry-run", `{"action":"archive","criteria":` + promotions + `}`
	first := r.submit(t, token, path, body, "Idempotency-Key", "k-1")
	require.Equal(t, first, r.submit(t, token, path, body, "Idempotency-Key", "k-1"))
	require.Equal(t, "true", r.call(t, "POST", path, token, body, "Idempotency-Key", "k-1").Header.Get("Idempotent-Replayed"))
	require.NotEqual(t, first.ID, r.submit(t, token, path, body, "Idempotency-Key", "k-2").ID)
	other := strings.Replace(body, "archive", "trash", 1)
	problem(t, r.call(t, "POST", path, token, other, "Idempotency-Key", "k-1"), 422, "idempotency_mismatch")
	p := problem(t, r.call(t, "POST", path, token, body, "Idempotency-Key", strings.Repeat("k", 256)), 422, "invalid_request")
	require.Equal(t, "header.Idempotency-Key", p["errors"].([]any)[0].(map[string]any)["location"])
	require.Equal(t, sweep.DryRun, r.submit(t, token, path, body, "Idempotency-Key", strings.Repeat("k", 255)).Kind)
}

func TestSignUpAnswersAlikeForKnownAndUnknown(t *testing.T) { // REG-1, REG-7
	t.Parallel()
	r := newRig(t)
	r.member(t, "ada@example.com")
	gone := r.member(t, "gone@example.com")
	answer := r.call(t, "POST", "/api/v1/account/delete", gone, `{"password":"`+good+`","confirm":"gone@example.com"}`)
	require.Less(t, answer.StatusCode, 300)
	signup := func(email string) string {
		return said(r.call(t, "POST", "/api/v1/auth/signup", "", `{"email":"`+email+`","password":"`+good+`"}`))
	}
	want := signup("new@example.com")
	require.True(t, strings.HasPrefix(want, "202 "), want)
	var pairs errgroup.Group
	pairs.SetLimit(4)
	for i := range 200 {
		pairs.Go(func() error {
			fresh := fmt.Sprintf("new%d@%s", i, []string{"example.com", "mailinator.com", "trashmail.example"}[i%3])
			known := []string{"ada@example.com", "new@example.com", fresh, "gone@example.com"}[i%4] // verified, not yet, made a moment ago, and deleted
			for _, email := range []string{fresh, known} {
				if got := signup(email); got != want {
					return fmt.Errorf("%s: %s instead of %s", email, got, want)
				}
			}
			return nil
		})
	}
	require.NoError(t, pairs.Wait())
	p := problem(t, r.call(t, "POST", "/api/v1/auth/signup", "", `{"email":"x@example.com","password":"`+good+`","plan":"enterprise"}`), 422, "invalid_request")
	require.Equal(t, "body.plan", p["errors"].([]any)[0].(map[string]any)["location"])
	p = problem(t, r.call(t, "POST", "/api/v1/auth/signup", "", `{"email":"nope","password":"short"}`), 422, "invalid_request")
	require.NotEmpty(t, p["errors"])
	problem(t, r.call(t, "POST", "/api/v1/auth/login", "", `{"email":"ada@example.com","password":"wrong"}`), 401, "unauthenticated")
	problem(t, r.call(t, "POST", "/api/v1/auth/login", "", `{"email":"new@example.com","password":"`+good+`"}`), 403, "email_unverified")
	problem(t, r.call(t, "POST", "/api/v1/auth/verify-email", "", `{"token":"x"}`), 400, "invalid_request")
	require.Equal(t, 202, r.call(t, "POST", "/api/v1/auth/resend-verification", "", `{"email":"nobody@example.com"}`).StatusCode)
}

// said is an answer's status, headers and body without what is each request's own.
func said(a answer) string {
	for _, h := range []string{"X-Request-ID", "Date", "RateLimit"} {
		a.Header.Del(h)
	}
	return fmt.Sprint(a.StatusCode, " ", a.Header, string(a.body))
}

// REG-4, VER-2
func TestNobodyIsLetInBeforeTheMailsTokenIsPosted(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	who := `{"email":"ada@example.com","password":"` + good + `"}`
	calls := []func() answer{
		func() answer { return r.call(t, "POST", "/api/v1/auth/signup", "", who) },
		func() answer { return r.call(t, "POST", "/api/v1/auth/login", "", who) },
		func() answer {
			return r.call(t, "POST", "/api/v1/auth/resend-verification", "", who[:strings.Index(who, ",")]+"}")
		},
		func() answer {
			return r.call(t, "POST", "/api/v1/auth/password/forgot", "", who[:strings.Index(who, ",")]+"}")
		},
	}
	for _, call := range calls {
		a := call()
		require.Empty(t, a.Header.Values("Set-Cookie"))
		for _, secret := range []string{"token", "device", "challenge", "session"} {
			require.NotContains(t, string(a.body), secret)
		}
	}
	token := r.mailedToken(t, "ada@example.com")
	for _, path := range []string{"/api/v1/auth/verify-email?token=" + token, "/verify-email?token=" + token} {
		for _, method := range []string{"GET", "HEAD", "GET"} { // as what looks into mail does
			require.Contains(t, []int{404, 405}, r.call(t, method, path, "", "").StatusCode)
		}
	}
	a := r.call(t, "POST", "/api/v1/auth/verify-email", "", `{"token":"`+token+`","password":"`+good+`"}`)
	require.Equal(t, 200, a.StatusCode, string(a.body))
	require.Contains(t, a.object(t), "access_token")
}

func TestCallbackGoesToTheDashboardOrSaysHowToGoOn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.call(t, "GET", "/oauth/google/callback?error=access_denied&state=x", "", "")
	require.Equal(t, 200, a.StatusCode)
	require.Contains(t, string(a.body), "Nothing was connected")
	require.Contains(t, a.Header.Get("Content-Type"), "text/html")
	guarded(t, a)
	r = newRig(t, func(r *rig) { r.DashboardURL = page })
	a = r.call(t, "GET", "/oauth/google/callback?error=access_denied&state=x", "", "")
	require.Equal(t, 302, a.StatusCode)
	require.True(t, strings.HasPrefix(a.Header.Get("Location"), page+"/mailboxes?connect_error="), a.Header.Get("Location"))
	require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
}
