package opsweb_test

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/ops"
	"mailsweep/internal/opsweb"
	"mailsweep/internal/sweep"
)

func TestTheJobsPageTellsWhatStands(t *testing.T) {
	t.Parallel()
	k := newDesk(t)
	require.Contains(t, k.get("/ops/jobs"), "No job is open")
	p := k.place()
	k.exec("UPDATE customers SET plan = 'pro' WHERE id = $1", p.customer.String())
	queued, failed := k.job(p, sweep.Analyze, "queued"), k.job(p, sweep.Execute, "failed")
	k.exec("UPDATE jobs SET run_at = clock_timestamp() - interval '61 minutes' WHERE id = $1", queued.String())
	k.exec("UPDATE jobs SET error_code = 'internal', error_detail = 'mail of alice@example.com', trouble = 'panic: index out of range' WHERE id = $1", failed.String())
	silent := k.job(p, sweep.Execute, "running")
	k.exec("UPDATE jobs SET lease_until = clock_timestamp() - interval '1 minute' WHERE id = $1", silent.String())
	_, err := k.Halt(t.Context(), ops.Operator{Name: "ada"}, ops.Stop{Scope: "kind", Value: "undo"}, "a test")
	require.NoError(t, err)

	page := k.get("/ops/jobs")
	for _, says := range []string{"1 h 1 min", "pro", "1,000 of 12,000", "its worker fell silent", "Halted: kind undo", `http-equiv="refresh"`} {
		require.Contains(t, page, says)
	}
	require.NotContains(t, page, sweep.JobID.Show(failed), "open ones only")
	require.NotContains(t, k.get("/ops/jobs?refresh=off"), `http-equiv="refresh"`)
	page = k.get("/ops/jobs?view=failed")
	for _, says := range []string{sweep.JobID.Show(failed), "<code>internal</code>", "panic: index out of range"} {
		require.Contains(t, page, says)
	}
	require.Contains(t, k.get("/ops/jobs?view=stuck&kind=execute"), sweep.JobID.Show(silent))
	require.NotContains(t, k.get("/ops/jobs?view=stuck&kind=analyze"), sweep.JobID.Show(silent))
	page = k.get("/ops/jobs/"+sweep.JobID.Show(failed)) + k.get("/ops/customers/"+sweep.CustomerID.Show(p.customer)) + k.get("/ops/halts") + k.get("/ops/undo") + k.get("/ops/why")
	require.Contains(t, page, "50,000")
	require.Contains(t, page, "Run it again")
	require.NotContains(t, page, "alice")
	require.NotContains(t, page, "no value", "a template that lacks a value")
}

func TestPagesOfJobsFollowEachOther(t *testing.T) {
	t.Parallel()
	k := newDesk(t)
	p := k.place()
	for range 120 {
		k.job(p, sweep.Analyze, "queued")
	}
	seen, next := map[string]bool{}, "/ops/jobs?view=queued&kind=analyze"
	for pages := 1; next != ""; pages++ {
		page := k.get(next)
		links := 0
		for _, part := range strings.Split(page, `<a href="/ops/jobs/`)[1:] {
			seen[part[:36]] = true
			links++
		}
		require.LessOrEqual(t, links, 50)
		next = ""
		if _, rest, more := strings.Cut(page, `<p><a href="`); more {
			link, _, _ := strings.Cut(rest, `"`)
			next = strings.ReplaceAll(link, "&amp;", "&")
		}
		require.LessOrEqual(t, pages, 3)
	}
	require.Len(t, seen, 120)
}

func TestAnActIsConfirmedAndLoggedByName(t *testing.T) {
	t.Parallel()
	k := newDesk(t)
	p := k.place()
	failed, queued := k.job(p, sweep.Execute, "failed"), k.job(p, sweep.Analyze, "queued")
	state := func(job sweep.ID, want string) {
		t.Helper()
		require.Equal(t, 1, k.count("SELECT count(*) FROM jobs WHERE id = $1 AND state = $2", job.String(), want))
	}
	for _, a := range []struct{ link, action string }{
		{"/ops/act?do=rerun&job=" + sweep.JobID.Show(failed), "job.rerun"},
		{"/ops/act?do=cancel&job=" + sweep.JobID.Show(queued), "job.cancel"},
		{"/ops/act?do=pause&scope=customer&value=" + sweep.CustomerID.Show(p.customer), "customer.paused"},
		{"/ops/act?do=halt&scope=customer&value=" + sweep.CustomerID.Show(p.customer), "customer.halted"},
	} {
		res, body := k.confirmed(a.link)
		require.Equal(t, http.StatusSeeOther, res.StatusCode, body)
		require.Equal(t, 1, k.count("SELECT count(*) FROM audit_logs WHERE customer_id = $1 AND action = $2 AND actor = 'ops:ada'", p.customer.String(), a.action), a.action)
		k.get(res.Header.Get("Location"))
	}
	state(failed, "queued")
	state(queued, "canceled")
	require.Equal(t, []sweep.ID{{}, {}}, k.orders, "all workers were told, at each of the two")
	require.Equal(t, 2, k.count("SELECT count(*) FROM halts WHERE lifted_at IS NULL AND value = $1 AND created_by = 'ada'", p.customer.String()), "by the UUID's text")
	page := k.get("/ops/halts")
	_, link, _ := strings.Cut(page, `href="/ops/act?do=lift`)
	link, _, _ = strings.Cut(link, `"`)
	res, body := k.confirmed("/ops/act?do=lift" + strings.ReplaceAll(link, "&amp;", "&"))
	require.Equal(t, http.StatusSeeOther, res.StatusCode, body)
	require.Equal(t, 1, k.count("SELECT count(*) FROM halts WHERE lifted_by = 'ada'"))
	require.Equal(t, 1, k.count("SELECT count(*) FROM audit_logs WHERE action = 'customer.released' AND actor = 'ops:ada'"))
	require.Equal(t, 5, k.count("SELECT count(*) FROM ops_log WHERE operator = 'ada' AND reason = 'because'"))
	res, _ = k.confirmed("/ops/act?do=rerun&job=" + sweep.JobID.Show(queued))
	require.Equal(t, http.StatusConflict, res.StatusCode, "what did not fail")
}

func TestAForgedNamelessOrStaleFormDoesNothing(t *testing.T) {
	t.Parallel()
	k := newDesk(t)
	link := "/ops/act?do=halt&scope=all"
	form := url.Values{"do": {"halt"}, "scope": {"all"}, "reason": {"x"}}
	for _, field := range hidden.FindAllStringSubmatch(k.get(link), -1) {
		form.Set(field[1], field[2])
	}
	try := func(change func(*http.Request), token string) int {
		f := url.Values{}
		for name, v := range form {
			f[name] = v
		}
		if token != "" {
			f.Set("token", token)
		}
		r := httptest.NewRequest("POST", "/ops/act", strings.NewReader(f.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "http://"+r.Host)
		change(r)
		res, _ := k.send(r)
		return res.StatusCode
	}
	same := func(*http.Request) {}
	require.Equal(t, 403, try(func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, ""))
	require.Equal(t, 403, try(func(r *http.Request) { r.Header.Set("Origin", "null") }, ""))
	require.Equal(t, 403, try(func(r *http.Request) { r.Header.Del("Origin") }, ""))
	require.Equal(t, 403, try(func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, ""))
	require.Equal(t, 403, try(same, strings.Repeat("0", 64)))
	for _, who := range []opsweb.Operator{{}, {Name: "ben"}, {Name: "ben", MayAct: true}, {MayAct: true}} {
		k.who = who
		require.Equal(t, 403, try(same, ""), "%+v: a viewer, nobody, or somebody else's form", who)
	}
	k.who = opsweb.Operator{Name: "ada", MayAct: true}
	require.Zero(t, k.count("SELECT count(*) FROM halts"))
	require.Zero(t, k.count("SELECT count(*) FROM ops_log"))
	form.Set("reason", " ")
	require.Equal(t, 422, try(same, ""), "a reason is needed")
	form.Set("reason", "x")
	require.Equal(t, 303, try(same, ""))
	require.Equal(t, 1, k.count("SELECT count(*) FROM halts"))
}

func TestWhoMayOnlyLookIsOfferedNothingElse(t *testing.T) {
	t.Parallel()
	k := newDesk(t)
	p := k.place()
	failed := k.job(p, sweep.Execute, "failed")
	for _, k.who = range []opsweb.Operator{{}, {Name: "ben"}} {
		for _, path := range []string{"/ops/jobs", "/ops/jobs/" + sweep.JobID.Show(failed), "/ops/customers/" + sweep.CustomerID.Show(p.customer), "/ops/halts", "/ops/undo", "/ops/why", "/ops/act?do=halt&scope=all"} {
			page := k.get(path)
			require.NotContains(t, page, `method="post"`, path)
			require.NotContains(t, page, `href="/ops/act`, path)
		}
	}
}

func TestPagesLoadNothingFromElsewhereAndRunNoScript(t *testing.T) {
	t.Parallel()
	k := newDesk(t)
	res, page := k.send(httptest.NewRequest("GET", "/ops/jobs", nil))
	csp := res.Header.Get("Content-Security-Policy")
	require.Contains(t, csp, "default-src 'none'")
	require.Contains(t, csp, "frame-ancestors 'none'")
	require.NotContains(t, csp, "script-src")
	require.NotContains(t, csp, "unsafe")
	require.Equal(t, []string{"nosniff", "DENY", "no-store"}, []string{res.Header.Get("X-Content-Type-Options"), res.Header.Get("X-Frame-Options"), res.Header.Get("Cache-Control")})
	for _, never := range []string{"<script", "style=", "http://", "https://", "onclick"} {
		require.NotContains(t, page, never)
	}
	res, _ = k.send(httptest.NewRequest("GET", "/ops/style.css", nil))
	require.Contains(t, res.Header.Get("Content-Type"), "text/css")
	for path, want := range map[string]int{"/ops/jobs/job_x": 404, "/ops/jobs/" + sweep.JobID.Show(newID(t)): 404, "/ops/customers/" + sweep.CustomerID.Show(newID(t)): 404, "/ops/jobs?before=x": 404, "/ops/nothing": 404,
		"/ops/undo?preview=1": 422, "/ops/undo?preview=1&from=yesterday": 422, "/ops/act?do=format": 404} {
		res, _ := k.send(httptest.NewRequest("GET", path, nil))
		require.Equal(t, want, res.StatusCode, path)
	}
}

func TestABulkUndoIsPreviewedSentOnceAndSaysWhatIsDone(t *testing.T) {
	t.Parallel()
	k := newDesk(t)
	a, b := k.place(), k.place()
	older, newer, other := k.run(a, "v7"), k.run(a, "v7"), k.run(b, "v7")
	k.run(b, "v8")
	undone, late := k.run(b, "v7"), k.run(b, "v7")
	k.exec("UPDATE cleanup_runs SET undone_by = job_id WHERE job_id = $1", undone.String())
	k.exec("UPDATE cleanup_runs SET undo_until = now() WHERE job_id = $1", late.String())

	page := k.get("/ops/undo?preview=1&build=v7")
	require.Contains(t, page, "21 messages of 2 customers")
	require.Contains(t, page, "undone already")
	require.Contains(t, page, "too late")
	require.Contains(t, page, "Undo 3 runs")
	require.Contains(t, k.get("/ops/undo?preview=1&customer="+sweep.CustomerID.Show(a.customer)), "Undo 2 runs")
	require.Contains(t, k.get("/ops/undo?preview=1&from=2020-01-01T00:00"), "Undo 4 runs")
	require.Contains(t, k.get("/ops/undo?preview=1&from=2020-01-01T00:00&to=2020-02-01T00:00"), "No execute fits")

	res, body := k.confirmed("/ops/act?do=undo&build=v7&expect=2")
	require.Equal(t, http.StatusConflict, res.StatusCode, "the preview said something else: %s", body)
	require.Empty(t, k.undone)
	res, body = k.confirmed("/ops/act?do=undo&build=v7&expect=3")
	require.Equal(t, http.StatusSeeOther, res.StatusCode, body)
	require.Equal(t, []sweep.ID{other, newer, older}, k.undone, "newest first")
	require.Contains(t, k.get(res.Header.Get("Location")), "3 undo jobs were queued")
	require.Equal(t, 1, k.count("SELECT count(*) FROM ops_log WHERE act = 'undo' AND object LIKE '3 runs%build v7' AND operator = 'ada'"))

	for _, run := range k.undone {
		owner := a
		if run == other {
			owner = b
		}
		k.exec("UPDATE jobs SET undo_of = $2 WHERE id = $1", k.job(owner, sweep.Undo, "queued").String(), run.String())
	}
	page = k.get("/ops/undo?preview=1&build=v7")
	require.Contains(t, page, "being undone")
	require.NotContains(t, page, "Undo 3 runs", "the second time there is nothing to do")
}

func TestWhoAsksWhyIsWrittenDown(t *testing.T) {
	t.Parallel()
	k := newDesk(t)
	p := k.place()
	token := hidden.FindStringSubmatch(k.get("/ops/why"))[2]
	res, page := k.post("/ops/why", url.Values{"token": {token}, "customer": {sweep.CustomerID.Show(p.customer)}, "message": {"18c0ffee"}})
	require.Equal(t, http.StatusOK, res.StatusCode)
	require.Contains(t, page, "was <strong>chosen</strong>")
	require.Contains(t, page, "{&#34;in&#34;:&#34;inbox&#34;}")
	require.Equal(t, 1, k.count("SELECT count(*) FROM audit_logs WHERE customer_id = $1 AND action = 'message.looked_up' AND object = '18c0ffee' AND actor = 'ops:ada'", p.customer.String()))
	require.Equal(t, 1, k.count("SELECT count(*) FROM ops_log WHERE act = 'why' AND operator = 'ada'"))
}

func TestAStrangersLinkPutsNoWordsIntoAnOperatorsPage(t *testing.T) {
	t.Parallel()
	k := newDesk(t)
	page := k.get("/ops/undo?" + url.Values{"sent": {"2"}, "left": {"call 555"}, "refused": {"3 conflict", "1 now call 555 and say your password"}}.Encode())
	require.Contains(t, page, "2 undo jobs were queued; refused: 3 conflict.")
	require.NotContains(t, page, "555")
	require.NotContains(t, k.get("/ops/undo?sent=call+555"), "555")
}
