package e2e

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sim/google"
)

func TestRequestIDFollowsAJobIntoTheWorker(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), nil)
	u := r.join(t, "ada", 300)
	p := u.plan("trash", old())
	u.Header = http.Header{"X-Request-Id": {"my-request.42"}}
	j := u.execute(p)
	u.Header = nil
	u.finish(j)

	// both processes may write their last line after the job is over
	until(t, patience, "the API's line", func() bool {
		return r.told(t, "api", map[string]string{"request_id": "my-request.42", "route": "/api/v1/gmail/cleanup/execute", "msg": "request"})
	})
	until(t, patience, "the worker's first line", func() bool {
		return r.told(t, "worker", map[string]string{"request_id": "my-request.42", "job_id": j.ID, "msg": "job claimed"})
	})
	until(t, patience, "the worker's last line", func() bool {
		return r.told(t, "worker", map[string]string{"request_id": "my-request.42", "job_id": j.ID, "msg": "job claim ended"})
	})
}

// told says whether a program wrote a line with all these attributes.
func (r *rig) told(t *testing.T, program string, want map[string]string) bool {
	t.Helper()
	for line := range strings.Lines(r.logs(t, program)) {
		var got map[string]any
		if json.Unmarshal([]byte(line), &got) != nil {
			continue // the last line may be half written
		}
		fits := true
		for k, v := range want {
			fits = fits && got[k] == v
		}
		if fits {
			return true
		}
	}
	return false
}

// telling is what gives mail, people or keys away, by its looks.
var telling = map[string]*regexp.Regexp{
	"an e-mail address":      regexp.MustCompile(`[A-Za-z0-9._%+-]+@[A-Za-z0-9-]+\.[A-Za-z]{2,}`),
	"Google's access token":  regexp.MustCompile(`ya29\.[\w-]{8}`),
	"Google's refresh token": regexp.MustCompile(`1//[\w-]{8}`),
	"Google's code":          regexp.MustCompile(`4/0[\w-]{8}`),
	"an access token":        regexp.MustCompile(`eyJ[\w-]{10,}\.`),
}

// LOG-1
func TestLogsHoldNoSecret(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), map[string]string{"LOG_LEVEL": "debug"})
	u := r.join(t, "ada", 300)
	u.run("/api/v1/gmail/analyze", object{})
	secrets := append(r.secrets(t), password, "wrong-"+password, u.Token)
	for _, m := range r.mails(u.Email, "verify_email") {
		token := regexp.MustCompile(`token=([\w-]+)`).FindStringSubmatch(m.Text)
		require.NotNil(t, token)
		secrets = append(secrets, token[1])
	}
	u.misbehave()
	p := u.plan("trash", object{"all": []object{{"older_than_days": 30}, {"not": object{"from": "@secretive-sender.example"}}}})
	j := u.finish(u.execute(p))
	u.run("/api/v1/jobs/"+j.ID+"/undo", object{})
	u.loseConsent()
	r.keepsNone(t, secrets)
	r.halt(t, "api", "worker", "scheduler")

	for _, program := range []string{"api", "worker", "scheduler"} {
		logs := r.logs(t, program)
		require.NotEmpty(t, logs)
		for what, looks := range telling {
			require.Empty(t, looks.FindString(logs), "%s in %s's log", what, program)
		}
		for _, secret := range append(secrets, "secretive-sender") {
			require.NotContains(t, logs, secret, "%s's log", program)
		}
	}
	require.Contains(t, r.logs(t, "worker"), "job failed", "what went wrong was told")
}

// keepsNone says that no secret stands in clear in the database, in Redis (so in no task either) or among the figures.
func (r *rig) keepsNone(t *testing.T, secrets []string) {
	t.Helper()
	database, redis, figures := r.dump(t), r.redisHeld(t), map[string]string{}
	require.NotEmpty(t, redis)
	for _, base := range []string{r.Ops, r.WorkerOps, r.SchedulerOps} {
		require.NotEmpty(t, scrape(t, base))
		for name := range scrape(t, base) {
			figures[base] += name + "\n"
		}
	}
	for i, secret := range secrets {
		for where, held := range map[string]map[string]string{"the database": database, "Redis": redis, "the figures": figures} {
			require.Empty(t, places(held, secret), "the secret number %d in %s", i, where)
		}
	}
}

// misbehave makes every kind of mistake that might be repeated in a log.
func (u *user) misbehave() {
	u.call("POST", "/api/v1/auth/login", `{"email":"`+u.Email+`","password":"wrong-`+password+`"}`).problem(u.t, 401, "unauthenticated")
	u.call("POST", "/api/v1/auth/login", `{"email":"`+u.Email+`","password":"`+password+`"`).problem(u.t, 400, "invalid_request")
	u.call("POST", "/api/v1/auth/login", `{"email":"`+u.Email+`","password":"`+password+`","`+u.Email+`":1}`).problem(u.t, 422, "invalid_request")
	u.call("GET", "/oauth/google/callback?state=4/0AbCdEfGhIjKl&code=4/0AbCdEfGhIjKl", "")
	u.call("GET", "/"+u.Email, "").problem(u.t, 404, "not_found")
	u.call("GET", "/api/v1/gmail/usage", "", "Authorization", "Bearer x"+u.Token).problem(u.t, 401, "unauthenticated")
	u.r.Sim.Inject(google.Fault{Method: "getProfile", Status: 400, Message: "Delegation denied for " + u.Email})
	u.r.Sim.Inject(google.Fault{Method: "messages.list", Times: 1, Status: 400, Message: "Delegation denied for " + u.Email})
	u.fails("/api/v1/gmail/cleanup/dry-run", object{"action": "trash", "criteria": object{"subject": "a secretive-sender"}}, "internal")
	u.r.Sim.ClearFaults()
}

// loseConsent revokes at Google, and lets a job find out.
func (u *user) loseConsent() {
	require.NoError(u.t, u.r.Sim.Revoke(u.Email))
	u.fails("/api/v1/gmail/analyze", object{}, "mailbox_needs_reconnect")
	ctx := u.ctx()
	_, err := u.r.Sink.WaitFor(ctx, u.Email, "needs_reconnect")
	require.NoError(u.t, err)
}

// fails runs a job that ends with this code.
func (u *user) fails(path string, in any, code string) {
	u.t.Helper()
	j := u.post(path, in)
	until(u.t, patience, "the job is over", func() bool { u.get("/api/v1/jobs/"+j.ID+"?wait=5", &j); return j.Over() })
	require.Equal(u.t, "failed", j.State)
	require.Equal(u.t, code, j.Error.Code, j.Error.Detail)
}

// secrets are the keys and passwords that the programs were given.
func (r *rig) secrets(t *testing.T) (all []string) {
	t.Helper()
	for name, value := range r.Env {
		if u, err := url.Parse(value); err == nil && u.User != nil {
			password, _ := u.User.Password()
			all = append(all, password)
		}
		if !regexp.MustCompile(`KEY|PEPPER|SECRET`).MatchString(name) {
			continue
		}
		all = append(all, regexp.MustCompile(`[A-Za-z0-9+/=_-]{16,}`).FindAllString(value, -1)...)
	}
	require.Greater(t, len(all), 8, "the keys were found")
	return all
}
