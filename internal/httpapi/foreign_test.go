package httpapi_test

import (
	"context"
	"crypto/rand"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/telemetry"
)

// aim is one place of a request where an id stands: where is the request with %s in that place.
type aim struct {
	operation, method, kind, path, body string
}

// bodies has what an operation with an id must be sent so that only its id can be wrong.
var bodies = map[string]string{
	"rotate-api-key": `{"overlap":"0","password":"` + good + `"}`,
	"change-role":    `{"role":"viewer","password":"` + good + `"}`,
}

// bodiesWithIDs has the requests whose body has an id, by operation and member.
var bodiesWithIDs = map[string]string{
	"analyze mailbox_id":          `{"mailbox_id":"%s"}`,
	"connect-mailbox mailbox_id":  `{"mailbox_id":"%s"}`,
	"count mailbox_id":            `{"mailbox_id":"%s","criteria":{"unread":true}}`,
	"dry-run mailbox_id":          `{"mailbox_id":"%s","action":"archive","criteria":` + promotions + `}`,
	"execute mailbox_id":          `{"mailbox_id":"%s","action":"archive","criteria":` + promotions + `,"max_messages":5}`,
	"execute cleanup_plan_id":     `{"cleanup_plan_id":"%s"}`,
	"switch-customer customer_id": `{"customer_id":"%s"}`,
}

// kinds are the ids of the members of bodies, by name.
var kindOf = map[string]string{"mailbox_id": "mbx", "cleanup_plan_id": "pln", "customer_id": "cus"}

// aims lists every place of the document where a caller gives an id.
func aims(t *testing.T) (all []aim) {
	t.Helper()
	d := parsedSpec(t)
	for path, methods := range d.Paths {
		for method, op := range methods {
			a := aim{operation: op.OperationID, method: strings.ToUpper(method), path: path, body: bodies[op.OperationID]}
			if strings.Contains(path, "{") {
				a.path = strings.Replace(path, "{id}", "%s", 1)
				require.NotContains(t, a.path, "{", "%s: the test knows one id in a path, called id", path)
				for _, p := range op.Parameters {
					if p.In == "path" {
						a.kind, _, _ = strings.Cut(p.Description, "_")
					}
				}
				require.Regexp(t, "^[a-z]{3}$", a.kind, `%s: say in the doc of the path's id which kind it is, such as doc:"job_…"`, path)
				all = append(all, a)
			}
			for _, member := range idsIn(d, op) {
				body, known := bodiesWithIDs[op.OperationID+" "+member]
				require.True(t, known && kindOf[member] != "", "%s takes an id as %s: say in bodiesWithIDs how it is sent, and in kindOf what it names", op.OperationID, member)
				all = append(all, aim{operation: op.OperationID, method: a.method, kind: kindOf[member], path: path, body: body})
			}
		}
	}
	slices.SortFunc(all, func(a, b aim) int { return strings.Compare(a.operation+a.body, b.operation+b.body) })
	return all
}

// idsIn lists the members of an operation's body that are ids of ours.
func idsIn(d document, op described) (members []string) {
	if op.RequestBody == nil {
		return nil
	}
	_, name, _ := strings.Cut(op.RequestBody.Content["application/json"].Schema.Ref, "schemas/")
	properties, _ := d.Components.Schemas[name]["properties"].(map[string]any)
	for member := range properties {
		if strings.HasSuffix(member, "_id") {
			members = append(members, member)
		}
	}
	return members
}

// at is the request with an id in its place.
func (a aim) at(id string) (method, path, body string) {
	fill := func(s string) string { return strings.Replace(s, "%s", id, 1) }
	return a.method, fill(a.path), fill(a.body)
}

// pair is somebody who asks and somebody else, who has one of everything that has an id.
type pair struct {
	*rig
	caller, victim string // customers
	token          string
	belongings     map[string]string // of the victim, by kind
	mu             sync.Mutex
	done           map[string][]string // statements, by request id
}

func newPair(t *testing.T) *pair {
	p := &pair{done: map[string][]string{}}
	p.rig = newRig(t, func(r *rig) {
		r.Account.Limits.DenialsPerMinute = 1_000_000
		for tier, plan := range r.Plans {
			plan.RequestsPerMinute = 1_000_000
			r.Plans[tier] = plan
		}
	}, p.listen)
	ada := p.member(t, "ada@example.com")
	p.exec(t, "UPDATE customers SET plan = 'enterprise', plan_version = plan_version + 1")
	box := p.connect(t, ada)
	key, _ := p.apiKey(t, ada, sweep.ScopeRead)
	victim := &poster{rig: p.rig, token: ada}
	job := strings.TrimPrefix(victim.run(t), "/api/v1/jobs/")
	plan := p.id(t, sweep.PlanID)
	raw, err := sweep.PlanID.Parse(plan)
	require.NoError(t, err)
	p.exec(t, `INSERT INTO cleanup_plans (customer_id, id, mailbox_id, account, generation, action, head, ids, messages, bytes, history_id, made_by, made_at, expires_at)
		SELECT customer_id, $1, id, account, 1, 'archive', '', '', 1, 1, 1, id, now(), now() + interval '7 days' FROM mailboxes`, raw.String())
	invitation := p.call(t, "POST", "/api/v1/people/invitations", ada, `{"email":"cy@example.com","role":"viewer","password":"`+good+`"}`).object(t)["id"].(string)
	me := p.call(t, "GET", "/api/v1/auth/me", ada, "").object(t)
	export := p.call(t, "POST", "/api/v1/account/export", ada, `{"password":"`+good+`"}`).object(t)["id"].(string)
	session := p.call(t, "GET", "/api/v1/auth/session", "", "", p.browser(t, "ada@example.com", "").headers()...).object(t)["id"].(string)
	p.belongings = map[string]string{"mbx": box.ID, "key": key, "job": job, "pln": plan, "inv": invitation, "ses": session, "exp": export,
		"usr": me["user_id"].(string), "cus": me["id"].(string)}
	victim.index(t)
	p.token = p.member(t, "bob@example.com")
	p.exec(t, "UPDATE customers SET plan = 'enterprise', plan_version = plan_version + 1")
	p.connect(t, p.token)
	require.NoError(t, p.root.QueryRow(t.Context(), "SELECT a.customer_id, b.customer_id FROM api_keys a, (SELECT customer_id FROM mailboxes ORDER BY connected_at DESC LIMIT 1) b").Scan(&p.victim, &p.caller))
	require.NotEqual(t, p.victim, p.caller)
	return p
}

// listen collects the statements that a request of somebody who is signed in makes, once it is known who that is.
func (p *pair) listen(r *rig) {
	r.told = func(ctx context.Context, s store.Statement) {
		p.mu.Lock()
		defer p.mu.Unlock()
		id := telemetry.RequestID(ctx)
		p.done[id] = append(p.done[id], s.Verb+s.Code)
	}
}

// id is a random one.
func (r *rig) id(t *testing.T, kind sweep.Kind) string {
	id, err := sweep.NewID(time.Now(), rand.Reader)
	require.NoError(t, err)
	return kind.Show(id)
}

// owned is everything that a customer has, by table.
func (p *pair) owned(t *testing.T, customer string) map[string]string {
	t.Helper()
	rows, err := p.root.Query(t.Context(), `SELECT c.oid::regclass::text, a.attname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
		WHERE c.relkind IN ('r','p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace AND (a.attname = 'customer_id' OR a.attname = 'id' AND c.relname = 'customers')`)
	require.NoError(t, err)
	found, err := pgx.CollectRows(rows, pgx.RowToStructByPos[struct{ Table, Column string }])
	require.NoError(t, err)
	require.Greater(t, len(found), 25)
	all := map[string]string{}
	for _, f := range found {
		var held string
		require.NoError(t, p.root.QueryRow(t.Context(), "SELECT coalesce(string_agg(t::text, E'\n' ORDER BY t::text), '') FROM "+f.Table+" t WHERE "+f.Column+" = $1", customer).Scan(&held))
		all[f.Table] = held
	}
	return all
}

// ask sends a request and gives the answer, without what differs between any two.
func (p *pair) ask(t *testing.T, a aim, id string) (status int, body map[string]any, header http.Header, statements []string, took time.Duration) {
	t.Helper()
	method, path, sent := a.at(id)
	start := time.Now()
	got := p.call(t, method, path, p.token, sent)
	took = time.Since(start)
	for _, h := range []string{"X-Request-Id", "Date", "Ratelimit"} {
		delete(got.Header, h)
	}
	body = got.object(t)
	p.mu.Lock()
	defer p.mu.Unlock()
	statements = p.done[body["request_id"].(string)]
	delete(body, "request_id")
	return got.StatusCode, body, got.Header, statements, took
}

// TEN-6: every place of the document where an id is given, with another customer's and with a random one.
func TestAnothersObjectIsAMissingOneOnEveryRoute(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	places := aims(t)
	require.Greater(t, len(places), 18)
	theirs, mine := p.owned(t, p.victim), p.owned(t, p.caller)
	var asked []string
	for _, a := range places {
		at := a.method + " " + a.path + " " + a.body
		foreign := p.belongings[a.kind]
		require.NotEmpty(t, foreign, "%s: newPair gives the victim nothing of kind %s", at, a.kind)
		random := p.id(t, sweep.Kind(a.kind+"_"))
		status, body, header, _, _ := p.ask(t, a, foreign)
		require.Equal(t, 404, status, "%s: %v (if something else is wrong with the request, say in bodies how it is sent)", at, body)
		status, other, otherHeader, _, _ := p.ask(t, a, random)
		require.Equal(t, 404, status, at)
		require.Equal(t, other, body, at)
		require.Equal(t, otherHeader, header, at)
		asked = append(asked, a.operation+" "+foreign, a.operation+" "+random)
	}
	require.Equal(t, theirs, p.owned(t, p.victim), "whoever was asked about has everything as it was")
	after := p.owned(t, p.caller)
	for _, table := range []string{"audit_logs", "audit_heads"} {
		delete(mine, table)
		delete(after, table)
	}
	require.Equal(t, mine, after, "whoever asked has nothing more than before")
	rows, err := p.root.Query(t.Context(), "SELECT data->>'operation' || ' ' || object FROM audit_logs WHERE action = 'access.denied' AND customer_id = $1 ORDER BY seq", p.caller)
	require.NoError(t, err)
	denied, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Equal(t, asked, denied, "each is in the log of whoever asked, the foreign ones as the random ones")
	require.Equal(t, len(asked), p.count(t, "audit_logs WHERE action = 'access.denied'"))
}

// ERR-3, TEN-13: a hundred pairs and more cost the same statements, whatever they concern. How long they took is told, not judged.
func TestAnothersObjectCostsWhatAMissingOneDoes(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	places := aims(t)
	took := map[bool][]time.Duration{}
	pairs := 0
	for range 1 + 100/len(places) {
		for i, a := range places {
			var work [2][]string
			alike := func() bool {
				for n, foreign := range []bool{(i+pairs)%2 == 0, (i+pairs)%2 != 0} {
					id := p.id(t, sweep.Kind(a.kind+"_"))
					if foreign {
						id = p.belongings[a.kind]
					}
					status, _, _, statements, long := p.ask(t, a, id)
					require.Equal(t, 404, status, a)
					work[n], took[foreign] = statements, append(took[foreign], long)
				}
				return len(work[0]) > 0 && slices.Equal(work[0], work[1])
			}
			// who is calling is asked of the database once a second, which may fall into one of the two
			same := false
			for try := 0; try < 5 && !same; try++ {
				same = alike()
			}
			if !same {
				t.Errorf("%s %s: %v and %v", a.method, a.path, work[0], work[1])
			}
			pairs++
		}
	}
	require.GreaterOrEqual(t, pairs, 100)
	for _, d := range took {
		slices.Sort(d)
	}
	t.Logf("%d pairs; medians: foreign %v, random %v", pairs, took[true][len(took[true])/2], took[false][len(took[false])/2])
}

// The log of denials is no way to fill somebody's log, and what is not an id is not written.
func TestDenialsAreNotedTenTimesAMinute(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := r.member(t, "ada@example.com")
	for range 25 {
		require.Equal(t, 404, r.call(t, "GET", "/api/v1/jobs/"+r.id(t, sweep.JobID), token, "").StatusCode)
	}
	n := r.count(t, "audit_logs WHERE action = 'access.denied'")
	require.GreaterOrEqual(t, n, 10)
	require.Less(t, n, 25)
	bob := r.member(t, "bob@example.com")
	for _, odd := range []string{"hunter2", "job_", "job_" + strings.Repeat("g", 32), "%0a" + r.id(t, sweep.JobID)[1:]} {
		require.Equal(t, 404, r.call(t, "GET", "/api/v1/jobs/"+odd, bob, "").StatusCode, odd)
	}
	box := r.connect(t, bob)
	require.Equal(t, 404, r.call(t, "GET", "/api/v1/mailboxes/"+box.ID+"/analysis", bob, "").StatusCode, "not analyzed yet")
	require.Equal(t, n, r.count(t, "audit_logs WHERE action = 'access.denied'"), "bob's own and what is no id are not denials")
}
