package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/dev/stack"
	"mailsweep/internal/secret"
	"mailsweep/internal/sim/google"
)

// canaries are secrets by name, gathered as a life goes on.
type canaries map[string]string

// contents are words of mails: in a subject, a body, a header that nobody asks for, an attachment's name, and what is attached.
var contents = canaries{"a subject": "canarysubjectzebra", "the beginning of a body": "canarysnippetyak", "a body": "canarybodyxerus",
	"a header": "canaryheaderwombat", "a file's name": "canaryfilevole", "an attachment": "canaryattachedurchin"}

const secondPassword = "seventeen herons over slate"

// LOG-1, GDP-3: a whole life with known secrets and known words of mail: sign-up, a second factor, keys, a page's session, a mailbox, cleanups, a reset, failures and
// secrets in odd places. Afterwards none of them is in what pg_dump writes, the audit log with it; in anything that Redis was ever told; in a log, a
// figure or a refusal; what is shown once was shown once, and Gmail was never asked for a subject or a body.
func TestNoSecretIsFoundAnywhere(t *testing.T) {
	t.Parallel()
	o := speedy()
	o.Idle = true
	r := start(t, o, map[string]string{"LOG_LEVEL": "debug", "TRUSTED_PROXIES": "127.0.0.0/8"})
	outside, redis := r.overhear(t), r.atRedis(t)
	for _, name := range stack.Programs() {
		require.NoError(t, r.Spawn(name))
	}
	require.NoError(t, r.Await(t.Context(), stack.Programs()...))
	door, refusals, successes := r.atTheDoor(t)
	held := map[string]string{}
	u := &user{t: t, r: r}
	u.Base, u.Email = door, "ada@mail.example"

	c := u.live(func(moment string) {
		held["the database "+moment] = r.pgDump(t)
		held["Redis "+moment] = fmt.Sprint(r.redisHeld(t))
	})
	for i, text := range r.secrets(t) {
		c[fmt.Sprintf("setting %d", i)] = text
	}
	c.hear(t, outside)
	outside.asksNoContent(t)
	held["the figures"] = r.figures(t)
	r.halt(t, stack.Programs()...)
	held["Redis's commands"], held["refusals"] = strings.Join(redis.said(), ""), strings.Join(refusals.said(), "\n")
	for _, program := range stack.Programs() {
		held[program+"'s log"] = r.logs(t, program)
	}
	u.isThere(held)
	c.areIn(t, held)
	contents.areIn(t, held)
	for _, program := range stack.Programs() {
		for what, looks := range telling {
			require.Empty(t, looks.FindString(held[program+"'s log"]), "%s in %s's log", what, program)
		}
		require.NotContains(t, held[program+"'s log"], "secretive-sender", "%s's log", program)
	}
	require.Contains(t, held["worker's log"], "job failed", "what went wrong was told")
	c.areShownOnce(t, successes.said())
}

// isThere says that the search finds what is where it is looked for.
func (u *user) isThere(held map[string]string) {
	u.t.Helper()
	id := strings.TrimPrefix(u.ID, "cus_")
	id = strings.Join([]string{id[:8], id[8:12], id[12:16], id[16:20], id[20:]}, "-")
	for where, sign := range map[string]string{"the database at the end": "password.reset", "the database while mail waits": u.Email, "Redis while mail waits": id,
		"Redis's commands": id, "the figures": "_total", "refusals": "application/problem+json", "api's log": u.ID, "worker's log": "job_id"} {
		require.True(u.t, strings.Contains(held[where], sign), "%q in %s", sign, where)
	}
}

// areIn says that nothing is anywhere. What was found is not repeated.
func (c canaries) areIn(t *testing.T, held map[string]string) {
	t.Helper()
	for where, text := range held {
		require.NotEmpty(t, text, where)
		text = strings.ToLower(text)
		for name, secret := range c {
			require.Greater(t, len(secret), 9, name)
			for i, form := range disguises(secret) {
				if at := strings.Index(text, form); at >= 0 {
					t.Errorf("%s (in form %d) stands in %s, after %q", name, i, where, text[max(0, at-160):at])
				}
			}
		}
	}
}

// areShownOnce says that no secret was in two successful answers.
func (c canaries) areShownOnce(t *testing.T, answers []string) {
	t.Helper()
	all := 0
	for name, secret := range c {
		shown := 0
		for _, answer := range answers {
			if strings.Contains(answer, secret) {
				shown++
			}
		}
		require.LessOrEqual(t, shown, 1, name)
		all += shown
	}
	require.Greater(t, all, 15, "a secret is shown once")
}

var sent = regexp.MustCompile(`(?:Bearer (ya29\.[\w.-]+)|(?:refresh_token|code|code_verifier|client_secret|token)=([\w%.~-]+))`)

// hear adds what Google was told: its tokens, codes and our secret.
func (c canaries) hear(t *testing.T, o *overheard) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, told := range o.told {
		for _, found := range sent.FindAllStringSubmatch(told, -1) {
			c[fmt.Sprintf("of Google's, call %d", i)] = strings.NewReplacer("%2F", "/").Replace(found[1] + found[2])
		}
	}
}

// asksNoContent says that no call to Gmail asked for more than the headers by which mail is sorted.
func (o *overheard) asksNoContent(t *testing.T) {
	t.Helper()
	o.mu.Lock()
	defer o.mu.Unlock()
	all := strings.Join(o.told, "\n")
	require.Contains(t, all, "metadataHeaders=List-Unsubscribe", "messages were read")
	require.NotRegexp(t, `(?i)format=(full|raw)|/attachments/|metadataHeaders=Subject`, all)
}

// live is the whole life. look is called at moments at which much is under way.
func (u *user) live(look func(moment string)) canaries {
	c := canaries{"the password": password, "a wrong password": "wrong-" + password, "another password": secondPassword}
	require.NoError(u.t, u.SignUp(u.ctx(), u.r.Sink, password))
	c["the token of an account"] = u.Token
	c["the token of the mail"] = u.mailed("verify_email")
	box := filepath.Join(u.t.TempDir(), "mbox")
	require.NoError(u.t, os.WriteFile(box, mailOf(60), 0o600))
	_, err := u.r.Sim.AddMbox(u.Email, box)
	require.NoError(u.t, err)
	require.NoError(u.t, u.Connect(u.ctx(), u.Email))
	u.protect(c)
	u.run("/api/v1/gmail/analyze", object{})
	p := u.plan("trash", object{"all": []object{{"older_than_days": 30}, {"not": object{"from": "@secretive-sender.example"}}}})
	require.Equal(u.t, 60, p.ToClean)
	u.get("/api/v1/cleanup-plans/"+p.ID+"/messages", nil)
	j := u.finish(u.execute(p))
	u.run("/api/v1/jobs/"+j.ID+"/undo", object{})
	u.misbehave()
	u.misplace(c)
	u.forget(c, look)
	u.loseConsent()
	look("at the end")
	return c
}

// mailOf is an mbox of mails with words that are to be found nowhere.
func mailOf(messages int) []byte {
	var b strings.Builder
	for i := range messages {
		at := time.Now().AddDate(0, 0, -60-i)
		fmt.Fprintf(&b, "From news@shop.example %s\nFrom: News <news@shop.example>\nTo: ada@mail.example\nSubject: %s %d\nMessage-ID: <%d@shop.example>\nDate: %s\nX-Canary: %s\n",
			at.UTC().Format(time.ANSIC), contents["a subject"], i, i, at.Format(time.RFC1123Z), contents["a header"])
		fmt.Fprintf(&b, "MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain\n\n%s hello\n%s\n--b\n", contents["the beginning of a body"], contents["a body"])
		fmt.Fprintf(&b, "Content-Type: application/pdf; name=%[1]s.pdf\nContent-Disposition: attachment; filename=%[1]s.pdf\n\n%[2]s\n--b--\n\n", contents["a file's name"], contents["an attachment"])
	}
	return []byte(b.String())
}

// mailed is the token of the newest mail of a kind.
func (u *user) mailed(kind string) string {
	u.t.Helper()
	ctx, cancel := context.WithTimeout(u.ctx(), patience)
	defer cancel()
	m, err := u.r.Sink.WaitFor(ctx, u.Email, kind)
	require.NoError(u.t, err)
	token := regexp.MustCompile(`token=([\w-]+)`).FindStringSubmatch(m.Text)
	require.NotNil(u.t, token)
	return token[1]
}

// protect sets up a second factor, makes and rotates a key, and signs in: with a challenge, and as a page.
func (u *user) protect(c canaries) {
	var offer struct{ Secret string }
	require.NoError(u.t, u.Do(u.ctx(), http.MethodPost, "/api/v1/auth/2fa/enrol", object{"password": password}, &offer))
	seed, err := secret.ReadTOTP(offer.Secret)
	require.NoError(u.t, err)
	c["the second factor"], c["the second factor's bytes"] = offer.Secret, string(seed)
	code, err := seed.Code(time.Now())
	require.NoError(u.t, err)
	var on struct {
		RecoveryCodes []string `json:"recovery_codes"`
		Session       struct {
			AccessToken string `json:"access_token"`
		}
	}
	require.NoError(u.t, u.Do(u.ctx(), http.MethodPost, "/api/v1/auth/2fa/confirm", object{"code": code}, &on))
	require.Len(u.t, on.RecoveryCodes, 10)
	for i, code := range on.RecoveryCodes {
		c[fmt.Sprintf("recovery code %d", i)] = code
	}
	u.Token = on.Session.AccessToken
	c["the token after the second factor"] = u.Token
	var key struct{ ID, Key string }
	ask := object{"name": "a key", "scopes": []string{"read"}, "password": password, "code": on.RecoveryCodes[0]}
	require.NoError(u.t, u.Do(u.ctx(), http.MethodPost, "/api/v1/api-keys", ask, &key))
	c["a key"] = key.Key
	require.NoError(u.t, u.Do(u.ctx(), http.MethodPost, "/api/v1/api-keys/"+key.ID+"/rotate", object{"overlap": "1h", "password": password, "code": on.RecoveryCodes[1]}, &key))
	c["a rotated key"] = key.Key
	u.nobody().call("GET", "/api/v1/gmail/usage", "", "X-Api-Key", key.Key)
	u.signIn(c, on.RecoveryCodes[2])
}

// nobody calls through the same door without a token.
func (u *user) nobody() *user {
	n := u.r.nobody(u.t)
	n.Base = u.Base
	return n
}

// signIn answers a challenge as a page does, and takes from the answer what opens something.
func (u *user) signIn(c canaries, code string) {
	u.t.Helper()
	n := u.nobody()
	asked := n.call("POST", "/api/v1/auth/login", `{"email":"`+u.Email+`","password":"`+password+`"}`)
	require.Equal(u.t, http.StatusUnauthorized, asked.status, "%s", asked.body)
	challenge := read[struct{ Challenge string }](u.t, asked.body).Challenge
	in := n.call("POST", "/api/v1/auth/2fa/verify", `{"challenge":"`+challenge+`","code":"`+code+`","cookie":true}`, "Sec-Fetch-Site", "same-origin")
	require.Equal(u.t, http.StatusOK, in.status, "%s", in.body)
	got := read[struct {
		CSRF   string `json:"csrf_token"`
		Device string
	}](u.t, in.body)
	cookie, err := http.ParseSetCookie(in.header.Get("Set-Cookie"))
	require.NoError(u.t, err)
	c["a session's cookie"], c["a session's token of its forms"], c["a device"] = cookie.Value, got.CSRF, got.Device
	n.call("GET", "/api/v1/sessions", "", "Cookie", cookie.Name+"="+cookie.Value, "Sec-Fetch-Site", "same-origin")
}

// misplace sends secrets where they do not belong.
func (u *user) misplace(c canaries) {
	n := u.nobody()
	c["a stranger's password"] = "otters quilted at dusk"
	for _, text := range []string{c["a stranger's password"], c["a key"], c["a rotated key"], u.Token, c["a session's cookie"]} {
		escaped := strings.ReplaceAll(text, " ", "%20")
		for _, call := range [][]string{
			{"GET", "/api/v1/gmail/usage?api_key=" + escaped, ""}, {"GET", "/" + escaped, ""}, {"GET", "/api/v1/jobs/" + escaped, ""}, {"DELETE", "/api/v1/api-keys/" + escaped, ""},
			{"POST", "/api/v1/auth/login", `{"email":"` + text + `","password":"x"}`}, {"POST", "/api/v1/auth/login", `{"` + text + `":1}`},
			{"POST", "/api/v1/auth/login", `{"email":"` + text}, {"POST", "/api/v1/auth/verify-email", `{"token":"` + text + `"}`},
			{"POST", "/api/v1/auth/password/reset", `{"token":"` + text + `","password":"` + text + `"}`}, {"POST", "/api/v1/gmail/analyze", `{"mailbox_id":"` + text + `"}`},
			{"GET", "/api/v1/gmail/usage", "", "Authorization", "Basic " + text}, {"GET", "/api/v1/gmail/usage", "", "Authorization", "Bearer " + text + "x"},
			{"GET", "/api/v1/gmail/usage", "", "X-Api-Key", "x" + text}, {"GET", "/api/v1/gmail/usage", "", "Cookie", "__Host-mailsweep=" + escaped + "x"},
			{"GET", "/api/v1/gmail/usage", "", "Referer", "https://pages.example/?token=" + escaped}, {"POST", "/api/v1/auth/login", `{}`, "Content-Type", "text/" + escaped},
			{"GET", "/api/v1/gmail/usage", "", "Origin", "https://" + escaped + ".example"}, {"GET", "/api/v1/gmail/usage", "", "Forwarded", "for=" + text},
		} {
			for _, caller := range []*user{n, u} {
				a := caller.call(call[0], call[1], call[2], call[3:]...)
				require.NoError(u.t, a.err)
				require.Less(u.t, a.status, 500, "%s %s", call[0], a.body)
			}
		}
	}
}

// forget asks for a reset while nobody sends mail and no job is worked on, looks, and sets another password.
func (u *user) forget(c canaries, look func(string)) {
	u.t.Helper()
	u.r.Children["worker"].Kill()
	j := u.post("/api/v1/gmail/analyze", object{})
	require.Equal(u.t, http.StatusAccepted, u.nobody().call("POST", "/api/v1/auth/password/forgot", `{"email":"`+u.Email+`"}`).status)
	until(u.t, patience, "both are in Redis", func() bool {
		tasks := fmt.Sprint(u.r.redisHeld(u.t))
		return strings.Contains(tasks, "job:analyze") && strings.Contains(tasks, "mail:send")
	})
	look("while mail waits")
	require.NoError(u.t, u.r.Spawn("worker"))
	require.NoError(u.t, u.r.Await(u.ctx(), "worker"))
	u.finish(j)
	c["the token of a reset"] = u.mailed("password_reset")
	reset := u.nobody().call("POST", "/api/v1/auth/password/reset", `{"token":"`+c["the token of a reset"]+`","password":"`+secondPassword+`"}`)
	require.Equal(u.t, http.StatusOK, reset.status, "%s", reset.body)
	again := u.nobody().call("POST", "/api/v1/auth/login", `{"email":"`+u.Email+`","password":"`+secondPassword+`","totp":"`+c["recovery code 3"]+`"}`)
	require.Equal(u.t, http.StatusOK, again.status, "%s", again.body)
	u.Token = read[struct {
		AccessToken string `json:"access_token"`
	}](u.t, again.body).AccessToken
	c["the token after the reset"] = u.Token
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
	ctx, cancel := context.WithTimeout(u.ctx(), patience)
	defer cancel()
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
