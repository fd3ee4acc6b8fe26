package httpapi_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
	"mailsweep/internal/mail"
	"mailsweep/internal/mailindex"
	"mailsweep/internal/secret"
	"mailsweep/internal/sweep"
)

// poster is somebody who posts, and what they need to.
type poster struct {
	*rig
	token string
	app   secret.TOTP
}

// post is how an operation is called: ask prepares what it needs and gives path and body. Secrets are the members of its answer that a repeated one masks
// after ten minutes.
type post struct {
	operation string
	ask       func(*testing.T, *poster) (path, body string)
	secrets   string
}

// posts has every POST of somebody who is signed in, in an order in which they can be called.
var posts = []post{
	{"connect-mailbox", to("/api/v1/mailboxes/connect", ""), ""},
	{"complete-connect", func(t *testing.T, p *poster) (string, string) {
		var started account.Started
		p.call(t, "POST", "/api/v1/mailboxes/connect", p.token, "").into(t, &started)
		return "/api/v1/mailboxes/connect/complete", `{"state":"` + p.consented(t, started) + `"}`
	}, ""},
	{"analyze", to("/api/v1/gmail/analyze", ""), ""},
	{"dry-run", to("/api/v1/gmail/cleanup/dry-run", `{"action":"archive","criteria":`+promotions+`}`), ""},
	{"execute", to("/api/v1/gmail/cleanup/execute", `{"action":"archive","criteria":`+promotions+`,"max_messages":10}`), ""},
	{"count", func(t *testing.T, p *poster) (string, string) {
		p.index(t)
		return "/api/v1/gmail/cleanup/count", `{"criteria":{"unread":true}}`
	}, ""},
	{"checkout", to("/api/v1/billing/checkout", `{"plan":"pro"}`), ""},
	{"open-portal", func(t *testing.T, p *poster) (string, string) {
		p.subscribe(t, "pro")
		return "/api/v1/billing/portal", ""
	}, ""},
	{"change-plan", to("/api/v1/billing/change", `{"plan":"basic","every":"year"}`), ""},
	{"cancel-subscription", to("/api/v1/billing/cancel", ""), ""},
	{"resume-subscription", to("/api/v1/billing/resume", ""), ""},
	{"pause-job", func(t *testing.T, p *poster) (string, string) { return p.job(t) + "/pause", "" }, ""},
	{"resume-job", func(t *testing.T, p *poster) (string, string) { return p.job(t) + "/resume", "" }, ""},
	{"cancel-job", func(t *testing.T, p *poster) (string, string) { return p.job(t) + "/cancel", "" }, ""},
	{"undo-job", func(t *testing.T, p *poster) (string, string) { return p.run(t) + "/undo", "" }, ""},
	{"make-api-key", to("/api/v1/api-keys", `{"name":"test","scopes":["read"],"password":"`+good+`"}`), "key"},
	{"export-account", to("/api/v1/account/export", `{"password":"`+good+`"}`), ""},
	{"rotate-api-key", func(t *testing.T, p *poster) (string, string) {
		id, _ := p.apiKey(t, p.token, sweep.ScopeRead)
		return "/api/v1/api-keys/" + id + "/rotate", `{"overlap":"0","password":"` + good + `"}`
	}, "key"},
	{"enrol-second-factor", to("/api/v1/auth/2fa/enrol", `{"password":"`+good+`"}`), "otpauth_url qr_png secret"},
	{"confirm-second-factor", func(t *testing.T, p *poster) (string, string) {
		var offered account.FactorOffer
		p.call(t, "POST", "/api/v1/auth/2fa/enrol", p.token, `{"password":"`+good+`"}`).into(t, &offered)
		var err error
		p.app, err = secret.ReadTOTP(offered.Secret)
		require.NoError(t, err)
		return "/api/v1/auth/2fa/confirm", `{"code":"` + p.code(t) + `"}`
	}, "access_token device recovery_codes"},
	{"renew-recovery-codes", func(t *testing.T, p *poster) (string, string) {
		return "/api/v1/auth/2fa/recovery-codes", `{"password":"` + good + `","code":"` + p.code(t) + `"}`
	}, "recovery_codes"},
	{"disable-second-factor", func(t *testing.T, p *poster) (string, string) {
		return "/api/v1/auth/2fa/disable", `{"password":"` + good + `","code":"` + p.code(t) + `"}`
	}, "access_token device"},
	{"change-password", to("/api/v1/auth/password/change", `{"current_password":"`+good+`","password":"`+good+` again"}`), "access_token device"},
	{"unlink-google", func(t *testing.T, p *poster) (string, string) {
		p.exec(t, "UPDATE users SET google_subject = 'ada'")
		return "/api/v1/auth/google/unlink", `{"password":"` + good + ` again"}`
	}, "access_token device"},
	{"logout", to("/api/v1/auth/logout", ""), ""},
	{"invite", to("/api/v1/people/invitations", `{"email":"cy@example.com","role":"viewer","password":"`+good+` again"}`), ""},
	{"resend-invitation", func(t *testing.T, p *poster) (string, string) {
		a := p.call(t, "POST", "/api/v1/people/invitations", p.token, `{"email":"di@example.com","role":"viewer","password":"`+good+` again"}`)
		require.NoError(t, p.Requests.Redis.FlushDB(t.Context()).Err())
		return "/api/v1/people/invitations/" + a.object(t)["id"].(string) + "/resend", ""
	}, ""},
	{"join", func(t *testing.T, p *poster) (string, string) {
		bo := p.member(t, "bo@example.com")
		a := p.call(t, "POST", "/api/v1/people/invitations", bo, `{"email":"ada@example.com","role":"viewer","password":"`+good+`"}`)
		require.Equal(t, 201, a.StatusCode, string(a.body))
		return "/api/v1/auth/invitations/join", `{"token":"` + p.invited(t, "ada@example.com") + `"}`
	}, "access_token device"},
	{"switch-customer", func(t *testing.T, p *poster) (string, string) {
		items := p.call(t, "GET", "/api/v1/auth/customers", p.token, "").object(t)["items"].([]any)
		return "/api/v1/auth/switch", `{"customer_id":"` + items[1].(map[string]any)["id"].(string) + `"}`
	}, "access_token device"},
	{"change-email", to("/api/v1/auth/email/change", `{"email":"new@example.com","password":"`+good+` again"}`), ""},
	{"confirm-email", func(t *testing.T, p *poster) (string, string) {
		a := p.call(t, "POST", "/api/v1/auth/email/change", p.token, `{"email":"newer@example.com","password":"`+good+` again"}`)
		require.Equal(t, 202, a.StatusCode, string(a.body))
		return "/api/v1/auth/email/confirm", `{"token":"` + p.addressToken(t, mail.EmailChange, "newer@example.com") + `"}`
	}, "access_token device"},
}

func to(path, body string) func(*testing.T, *poster) (string, string) {
	return func(*testing.T, *poster) (string, string) { return path, body }
}

// newPoster is signed in to a plan that carries everything, with requests enough.
func newPoster(t *testing.T) *poster {
	p := &poster{rig: newRig(t, func(r *rig) {
		for tier, p := range r.Plans {
			p.RequestsPerMinute = 1_000_000
			r.Plans[tier] = p
		}
	})}
	p.token = p.member(t, "ada@example.com")
	p.exec(t, "UPDATE customers SET granted_plan = 'enterprise', plan_version = plan_version + 1")
	return p
}

func (r *rig) exec(t *testing.T, sql string, args ...any) {
	t.Helper()
	_, err := r.root.Exec(t.Context(), sql, args...)
	require.NoError(t, err)
}

func (p *poster) code(t *testing.T) string {
	p.exec(t, "UPDATE second_factors SET last_step = 0")
	code, err := p.app.Code(time.Now())
	require.NoError(t, err)
	return code
}

// job submits one and gives its path.
func (p *poster) job(t *testing.T) string {
	return "/api/v1/jobs/" + p.submit(t, p.token, "/api/v1/gmail/cleanup/dry-run", `{"action":"archive","criteria":`+promotions+`}`).ID
}

// run makes an execute that is over and can be undone, as a worker leaves it.
func (p *poster) run(t *testing.T) string {
	job := p.submit(t, p.token, "/api/v1/gmail/cleanup/execute", `{"action":"archive","criteria":`+promotions+`,"max_messages":10}`)
	id, err := sweep.JobID.Parse(job.ID)
	require.NoError(t, err)
	p.exec(t, "SET session_replication_role = replica")
	p.exec(t, "UPDATE jobs SET state = 'succeeded', finished_at = now() WHERE id = $1", id.String())
	p.exec(t, "DELETE FROM open_jobs WHERE job_id = $1", id.String())
	p.exec(t, `INSERT INTO cleanup_runs (customer_id, job_id, plan_id, mailbox_id, action, state, planned, cleaned, started_at, finished_at, undo_until)
		SELECT customer_id, id, id, mailbox_id, 'archive', 'succeeded', 3, 3, now(), now(), now() + interval '30 days' FROM jobs WHERE id = $1`, id.String())
	p.exec(t, "SET session_replication_role = origin")
	return "/api/v1/jobs/" + job.ID
}

// index gives the customer's mailbox the index of an empty one.
func (p *poster) index(t *testing.T) {
	empty := mailindex.NewBuilder([]time.Time{time.Unix(0, 0), time.Now()}).Finish(time.Now(), 1)
	var customer, mailbox string
	var key []byte
	require.NoError(t, p.root.QueryRow(t.Context(), "SELECT c.id, c.data_key, m.id FROM customers c JOIN mailboxes m ON m.customer_id = c.id").Scan(&customer, &key, &mailbox))
	box, err := p.Cleanup.Vault.Box(key, customer)
	require.NoError(t, err)
	for s, err := range empty.Encode() {
		require.NoError(t, err)
		sealed, err := box.Seal(s.Data, "mailboxes|"+mailbox+"|index|"+s.Name)
		require.NoError(t, err)
		p.exec(t, "INSERT INTO mailbox_indexes (customer_id, mailbox_id, segment, version, sealed, as_of) VALUES ($1, $2, $3, 1, $4, now())", customer, mailbox, s.Name, sealed)
	}
}

// everything is what each table holds, as one text per table.
func (r *rig) everything(t *testing.T) map[string]string {
	t.Helper()
	rows, err := r.root.Query(t.Context(), "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r','p') AND NOT relispartition AND relnamespace = 'public'::regnamespace")
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Greater(t, len(tables), 30)
	all := map[string]string{}
	for _, table := range tables {
		var held string
		require.NoError(t, r.root.QueryRow(t.Context(), "SELECT coalesce(string_agg(t::text, E'\n' ORDER BY t::text), '') FROM "+table+" t").Scan(&held))
		all[table] = held
	}
	return all
}

// IDM-1: every POST of somebody who is signed in has its effect once and gives its first answer again, to the byte.
func TestEveryPostIsAnsweredOnceAndTheSameAgain(t *testing.T) {
	t.Parallel()
	p := newPoster(t)
	called := map[string]bool{"leave": true, "delete-account": true} // who is not there any more could not ask again
	for i, c := range posts {
		called[c.operation] = true
		path, body := c.ask(t, p)
		key := fmt.Sprintf("intent %d", i)
		var version int
		require.NoError(t, p.root.QueryRow(t.Context(), "SELECT token_version FROM users").Scan(&version))
		first := p.call(t, "POST", path, p.token, body, "Idempotency-Key", key)
		require.Less(t, first.StatusCode, 300, "%s: %s", c.operation, first.body)
		require.Empty(t, first.Header.Get("Idempotent-Replayed"), c.operation)
		p.exec(t, "UPDATE users SET token_version = $1", version) // some of them end the session that asks again
		before := p.everything(t)
		again := p.call(t, "POST", path, p.token, body, "Idempotency-Key", key)
		require.Equal(t, first.StatusCode, again.StatusCode, "%s: %s", c.operation, again.body)
		require.Equal(t, string(first.body), string(again.body), c.operation)
		require.Equal(t, "true", again.Header.Get("Idempotent-Replayed"), c.operation)
		for _, h := range []string{"Content-Type", "Location"} {
			require.Equal(t, first.Header.Get(h), again.Header.Get(h), c.operation)
		}
		require.Equal(t, before, p.everything(t), "%s had an effect once more", c.operation)
		problem(t, p.call(t, "POST", path, p.token, strings.TrimSuffix(body, "}")+map[bool]string{true: "{ }", false: " }"}[body == ""], "Idempotency-Key", key), 422, "idempotency_mismatch")
		p.exec(t, "UPDATE idempotency_keys SET created_at = created_at - interval '10 minutes'")
		later := p.call(t, "POST", path, p.token, body, "Idempotency-Key", key)
		require.Equal(t, first.StatusCode, later.StatusCode, c.operation)
		require.Equal(t, c.secrets, hidden(t, first.body, later.body), "%s: what its answer hides after ten minutes", c.operation)
	}
	require.Empty(t, p.log.With("an effect was committed without its answer"), "this use case does not commit its answer: wrap what it does in store.Tx.Once")
	for path, methods := range parsedSpec(t).Paths {
		if op, ok := methods["post"]; ok && len(op.Security) > 0 {
			require.Contains(t, called, op.OperationID, "POST %s is new: say in posts how it is called, and commit its answer with its effect by store.Tx.Once", path)
		}
	}
}

var random = regexp.MustCompile(`^[A-Za-z0-9_./+=-]{30,}$`)

// hidden compares two answers and gives the names of the members that differ, sorted: they may only have become masks. What looks like a secret must be among
// them, but for ids and for what a consent takes to a browser.
func hidden(t *testing.T, first, later []byte) string {
	t.Helper()
	if len(first) == 0 {
		return ""
	}
	var a, b any
	require.NoError(t, json.Unmarshal(first, &a))
	require.NoError(t, json.Unmarshal(later, &b))
	names := map[string]bool{}
	var walk func(name string, a, b any)
	walk = func(name string, a, b any) {
		switch a := a.(type) {
		case map[string]any:
			for k, v := range a {
				walk(k, v, b.(map[string]any)[k])
			}
		case []any:
			for i, v := range a {
				walk(name, v, b.([]any)[i])
			}
		case string:
			if a != b {
				require.Contains(t, []any{"[masked]", ""}, b, name)
				names[name] = true
				return
			}
			require.False(t, random.MatchString(a) && a[3] != '_' && name != "state", "%s looks like a secret: %s", name, a)
		default:
			require.Equal(t, a, b, name)
		}
	}
	walk("", a, b)
	return strings.Join(sorted(names), " ")
}

// IDM-1: fifty at once make one key; the others are told to wait, or get the first answer.
func TestFiftyPostsAtOnceHaveOneEffect(t *testing.T) {
	t.Parallel()
	p := newPoster(t)
	body := `{"name":"test","scopes":["read"],"password":"` + good + `"}`
	var all sync.WaitGroup
	var mu sync.Mutex
	codes, keys := map[int]int{}, map[string]bool{}
	for range 50 {
		all.Go(func() {
			a := p.call(t, "POST", "/api/v1/api-keys", p.token, body, "Idempotency-Key", "one")
			mu.Lock()
			defer mu.Unlock()
			codes[a.StatusCode]++
			if a.StatusCode == http.StatusCreated {
				keys[string(a.body)] = true
			}
		})
	}
	all.Wait()
	require.Equal(t, 50, codes[201]+codes[409], "%v", codes)
	require.Len(t, keys, 1)
	require.Equal(t, 1, p.count(t, "api_keys"))
	require.Equal(t, 1, p.count(t, "audit_logs WHERE action = 'api_key.made'"))
}

func (r *rig) count(t *testing.T, from string) (n int) {
	t.Helper()
	require.NoError(t, r.root.QueryRow(t.Context(), "SELECT count(*) FROM "+from).Scan(&n))
	return n
}

// IDM-2: a key is good for its customer, person and route, for a day, and one text of at most 255 characters.
func TestAnIdempotencyKeyBelongsToItsCallerAndRoute(t *testing.T) {
	t.Parallel()
	p := newPoster(t)
	body := `{"name":"test","scopes":["read"],"password":"` + good + `"}`
	made := func(token, body, key string) string {
		a := p.call(t, "POST", "/api/v1/api-keys", token, body, "Idempotency-Key", key)
		require.Equal(t, 201, a.StatusCode, string(a.body))
		return a.object(t)["id"].(string)
	}
	first := made(p.token, body, "k")
	require.Equal(t, first, made(p.token, body, "k"))
	require.NotEqual(t, first, made(p.token, body, strings.Repeat("ü", 255)))
	bob := p.member(t, "bob@example.com")
	p.exec(t, "UPDATE customers SET plan = 'enterprise', plan_version = plan_version + 1")
	require.NotEqual(t, first, made(bob, body, "k"), "another customer's")
	require.Equal(t, 200, p.call(t, "POST", "/api/v1/auth/2fa/enrol", p.token, `{"password":"`+good+`"}`, "Idempotency-Key", "k").StatusCode, "another route's")
	refused := p.call(t, "POST", "/api/v1/api-keys", p.token, `{"name":"","scopes":["read"],"password":"`+good+`"}`, "Idempotency-Key", "refused")
	problem(t, refused, 422, "invalid_request")
	made(p.token, body, "refused") // a refusal leaves its key free
	p.exec(t, "UPDATE idempotency_keys SET created_at = created_at - interval '24 hours' WHERE key = 'k'")
	require.NotEqual(t, first, made(p.token, body, "k"), "a day later")
	for _, path := range []string{"/api/v1/api-keys", "/api/v1/gmail/analyze"} {
		for _, bad := range []string{strings.Repeat("k", 256), "\xff", "a\tb"} {
			problem(t, p.call(t, "POST", path, p.token, map[bool]string{true: body}[path == "/api/v1/api-keys"], "Idempotency-Key", bad), 422, "invalid_request")
		}
	}
	require.Equal(t, 202, p.call(t, "POST", "/api/v1/auth/signup", "", `{"email":"new@example.com","password":"`+good+`"}`, "Idempotency-Key", strings.Repeat("k", 256)).StatusCode, "who is not signed in has no keys")
}

// A person's answers are not for another one of the same customer: they may be a session.
func TestAnAnswerIsForWhoAsked(t *testing.T) {
	t.Parallel()
	p := newPoster(t)
	body := `{"name":"test","scopes":["read"],"password":"` + good + `"}`
	require.Equal(t, 201, p.call(t, "POST", "/api/v1/api-keys", p.token, body, "Idempotency-Key", "k").StatusCode)
	bob := p.member(t, "bob@example.com")
	p.exec(t, "SET session_replication_role = replica")
	p.exec(t, `UPDATE members SET customer_id = (SELECT m.customer_id FROM members m JOIN users u ON u.id = m.user_id WHERE u.email = 'ada@example.com')`)
	login := p.call(t, "POST", "/api/v1/auth/login", "", `{"email":"bob@example.com","password":"`+good+`"}`)
	require.Equal(t, 200, login.StatusCode, string(login.body))
	require.NotEqual(t, bob, login.object(t)["access_token"])
	problem(t, p.call(t, "POST", "/api/v1/api-keys", login.object(t)["access_token"].(string), body, "Idempotency-Key", "k"), 422, "idempotency_mismatch")
	require.Equal(t, 1, p.count(t, "api_keys"))
}

func sorted(names map[string]bool) []string { return slices.Sorted(maps.Keys(names)) }
