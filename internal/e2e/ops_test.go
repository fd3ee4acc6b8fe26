package e2e

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"mailsweep/internal/dev/customer"
)

// operator is somebody at the operators' pages.
type operator struct {
	t    *testing.T
	base string
}

// operators is the setting that lets ada act.
func operators(t *testing.T) map[string]string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "operators")
	require.NoError(t, os.WriteFile(file, []byte("ada:"+string(hash)+":operator\n"), 0o600))
	return map[string]string{"OPS_USERS": file}
}

func (o operator) send(r *http.Request) string {
	o.t.Helper()
	r.SetBasicAuth("ada", password)
	res, err := http.DefaultClient.Do(r)
	require.NoError(o.t, err)
	defer res.Body.Close()
	page, err := io.ReadAll(res.Body)
	require.NoError(o.t, err)
	require.Equal(o.t, http.StatusOK, res.StatusCode, "%s", page)
	return string(page)
}

func (o operator) get(path string) string {
	o.t.Helper()
	r, err := http.NewRequestWithContext(o.t.Context(), http.MethodGet, o.base+path, nil)
	require.NoError(o.t, err)
	return o.send(r)
}

var field = regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)">`)

// act follows a link to its confirmation and confirms.
func (o operator) act(link string) (page string, sent time.Time) {
	o.t.Helper()
	form := url.Values{"reason": {"a drill"}}
	for _, f := range field.FindAllStringSubmatch(o.get(link), -1) {
		form.Set(f[1], f[2])
	}
	r, err := http.NewRequestWithContext(o.t.Context(), http.MethodPost, o.base+"/ops/act", strings.NewReader(form.Encode()))
	require.NoError(o.t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", o.base)
	sent = time.Now()
	return o.send(r), sent
}

// lift ends the first halt that the page offers to lift.
func (o operator) lift() {
	o.t.Helper()
	_, link, offered := strings.Cut(o.get("/ops/halts"), `href="/ops/act?do=lift`)
	require.True(o.t, offered)
	link, _, _ = strings.Cut(link, `"`)
	o.act("/ops/act?do=lift" + strings.ReplaceAll(link, "&amp;", "&"))
}

// modifies counts the calls that change a mailbox, when they begin.
func (u *user) modifies() int {
	u.t.Helper()
	book, err := u.r.Sim.Ledger(u.Email)
	require.NoError(u.t, err)
	return book.Calls["messages.batchModify"]
}

func TestAHaltStopsRunningWorkBeforeItsNextBatchAndItGoesOnWhenLifted(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), operators(t))
	o := operator{t, r.Ops}
	u := r.join(t, "ada", 14_000)
	before := u.digest()
	p := u.plan("trash", old())
	require.Greater(t, p.ToClean, 8000, "more than two rounds of batches in flight")
	r.slowly(time.Second)
	j := u.execute(p)
	u.midway(p)
	now := func() (j2 customer.Job) { u.get("/api/v1/jobs/"+j.ID, &j2); return j2 }
	page, sent := o.act("/ops/act?do=halt&scope=all")
	require.Contains(t, page, "in force")
	until(t, 5*time.Second, "the job's rest", func() bool { return now().Phase == "halted by an operator" })
	rested, calls := time.Since(sent), u.modifies()
	t.Logf("at rest %s after the form was sent, calls in flight (1 s each) included", rested.Round(time.Millisecond))
	require.Less(t, rested, 2*time.Second+time.Second, "two seconds, and the call in flight")
	require.Less(t, len(u.changes()), p.ToClean, "it was halted in the middle")
	require.ErrorContains(t, u.Do(u.ctx(), http.MethodPost, "/api/v1/gmail/analyze", object{}, nil), "503 halted")
	require.Contains(t, o.get("/ops/jobs"), "Halted: everything")
	require.Equal(t, calls, u.modifies(), "no call came after it rested")
	o.lift()
	u.onceEach(p, u.finish(j), before)
}

func TestABulkUndoByBuildGivesEverythingBack(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), operators(t))
	o := operator{t, r.Ops}
	var users []*user
	before := map[*user]string{}
	for _, name := range []string{"ada", "ben"} {
		u := r.join(t, name, 3000)
		users, before[u] = append(users, u), u.digest()
		u.finish(u.execute(u.plan("archive", object{"all": []object{{"in": "inbox"}, {"older_than_days": 200}}})))
		u.finish(u.execute(u.plan("trash", object{"older_than_days": 100}))) // the same mailbox again: this one has to be undone first
		require.NotEqual(t, before[u], u.digest())
	}
	_, rest, _ := strings.Cut(o.get("/ops/jobs/"+r.lastExecute(users[0])), "<dt>Builds</dt><dd><code>")
	build, _, _ := strings.Cut(rest, "</code>")
	require.NotEmpty(t, build)
	link := "/ops/act?do=undo&expect=4&build=" + url.QueryEscape(build)
	require.Contains(t, o.get("/ops/undo?preview=1&build="+url.QueryEscape(build)), "Undo 4 runs")
	page, _ := o.act(link)
	require.Contains(t, page, "4 undo jobs were queued")
	require.NotContains(t, page, "; refused:")
	for _, u := range users {
		until(t, patience, "everything as it was", func() bool { return u.digest() == before[u] })
	}
	until(t, patience, "all undone", func() bool {
		return strings.Contains(o.get("/ops/undo?preview=1&build="+url.QueryEscape(build)), `<tr><td>undone already</td><td class="n">4</td></tr>`)
	})
}

func (r *rig) lastExecute(u *user) string {
	u.t.Helper()
	var all struct{ Items []customer.Job }
	u.get("/api/v1/jobs?kind=execute", &all)
	require.NotEmpty(u.t, all.Items)
	return all.Items[0].ID
}

// At three in the morning, with Redis gone, what PostgreSQL decides still has to be decided.
func TestAnOperatorHaltsFromAShellWhileRedisIsAway(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), operators(t))
	r.Services.Redis.Kill()
	bin, err := built()
	require.NoError(t, err)
	ops := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), filepath.Join(bin, "api"), append([]string{"ops"}, args...)...)
		cmd.Env = []string{"USER=ada"}
		for name, value := range r.Env {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
		said, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", said)
		return string(said)
	}
	require.Contains(t, ops("halt", "all", "--reason", "Redis is gone"), "halt all: in force")
	require.Contains(t, operator{t, r.Ops}.get("/ops/halts"), "Redis is gone")
	require.Contains(t, ops("lift", "all", "--reason", "it is back"), "1 lifted")
}
