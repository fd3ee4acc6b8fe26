package httpapi_test

import (
	"flag"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"mailsweep/internal/sweep"
)

// fuzzed is how many requests each operation gets; FULL=1 sends 500.
func fuzzed() string {
	if os.Getenv("FULL") == "" {
		return "30"
	}
	return "500"
}

// ERR-1, ERR-2: every operation of the document, asked right and wrong by nobody, an owner, an owner's browser, a viewer, a key and another customer's owner. Each
// answer is one that the document knows, none is a 500, no error tells anything of ours or of another customer.
func TestFuzzedRequestsGetDocumentedAnswers(t *testing.T) {
	t.Parallel()
	require.NoError(t, flag.Set("rapid.checks", fuzzed()))
	require.NoError(t, flag.Set("rapid.nofailfile", "true"))
	r := newRig(t, func(r *rig) {
		for tier, p := range r.Plans {
			p.RequestsPerMinute = 1_000_000
			r.Plans[tier] = p
		}
		r.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} // each request comes from an address of its own
	})
	c, asked := readContract(t), 0
	looks, changes := r.newWorld(t, true), r.newWorld(t, false)
	for path, item := range c.doc.Paths.Map() {
		for method, op := range item.Operations() {
			asked++
			w := changes
			if method == http.MethodGet {
				w = looks
			}
			t.Run(op.OperationID, func(t *testing.T) { w.fuzz(t, c, method, path, op) })
		}
	}
	require.Greater(t, asked, 45)
}

// fuzz sends requests of one operation.
func (w *world) fuzz(t *testing.T, c contract, method, path string, op *openapi3.Operation) {
	w.renew(t)
	r, seen := w.rig, map[int]int{}
	rapid.Check(t, func(rt *rapid.T) {
		w.revive(t)
		d := drawer{path: path, op: op, callers: w.list(), words: w.words(path)}
		q := d.request().Draw(rt, "request")
		who := w.callers[q.caller]
		q.headers = append(q.headers, who.headers...)
		a, err := r.ask(t, method, q, who.credential)
		if err != nil {
			rt.Fatal(err)
		}
		seen[a.StatusCode]++
		at := fmt.Sprintf("%s %s as %s %q: %d %s", method, q.path, q.caller, q.body, a.StatusCode, a.body)
		if a.StatusCode >= 500 && a.StatusCode != 503 {
			rt.Fatalf("%s\n%v", at, r.log.With(a.Header.Get("X-Request-ID")))
		}
		if err := c.check(a); err != nil {
			rt.Fatalf("%v\n%s", err, at)
		}
		for _, id := range w.foreign(who.tenant) {
			if a.StatusCode >= 400 && strings.Contains(string(a.body), id) {
				rt.Fatalf("an error names what is another customer's: %s", at)
			}
		}
		if a.StatusCode == 401 {
			who.tenant.failures++
		}
		if method != http.MethodGet && a.StatusCode < 400 {
			who.tenant.worn, who.tenant.changed = true, true
		}
	})
	t.Logf("%v", seen)
	succeeds := seen[200]+seen[201]+seen[202]+seen[204] > 0
	if os.Getenv("FULL") != "" && !succeeds && !slices.Contains(unreached, op.OperationID) {
		t.Errorf("no request of %s succeeded", op.OperationID)
	}
}

// unreached are operations that need what no fuzzer guesses: tokens out of mails, codes, what a worker made, what Stripe was paid for, a colleague, a cookie, a minute's or a day's wait. The tests of their flows hold
// their successes against the document.
var unreached = []string{"verify-email", "reset-password", "complete-connect", "confirm-second-factor", "verify-second-factor", "renew-recovery-codes", "disable-second-factor",
	"confirm-email", "undo-email", "complete-google", "link-google", "unlink-google", "accept-invitation", "join", "leave", "remove-person", "resend-invitation", "end-session", "get-cleanup-plan", "list-plan-messages", "get-analysis", "list-senders", "list-domains", "list-mailing-lists", "count", "undo-job", "open-portal", "resume-subscription", "change-plan", "preview-change",
	"cancel-subscription", "export-account"}

var asked atomic.Uint32

// ask sends a drawn request, each from another address.
func (r *rig) ask(t *testing.T, method string, q drawn, credential string) (a answer, err error) {
	req, err := http.NewRequestWithContext(t.Context(), method, r.url+q.path, strings.NewReader(q.body))
	if err != nil {
		return a, err
	}
	n := asked.Add(1)
	req.Header.Set("X-Forwarded-For", fmt.Sprintf("10.%d.%d.%d", n>>16&255, n>>8&255, n&255))
	req.Header.Set("Content-Type", "application/json")
	if credential != "" {
		req.Header.Set("Authorization", "Bearer "+credential)
	}
	for i := 0; i+1 < len(q.headers); i += 2 {
		req.Header.Set(q.headers[i], q.headers[i+1])
	}
	return read(req)
}

// world is the customers whom the requests of an operation concern.
type world struct {
	rig     *rig
	idle    bool // jobs are over, so that nobody waits for them
	tenants map[string]*tenant
	callers map[string]caller
}

type tenant struct {
	email, token, keyID, key, mailbox, job string
	customer, person, invitation, export   string
	browser                                []string // headers: the cookie of a session, and what a page of ours adds
	worn                                   bool     // something happened that may have ended its credentials
	changed                                bool     // it is not any more as it was made
	failures                               int      // answers 401, with a wrong password or without a need for one
}

type caller struct {
	credential string
	tenant     *tenant
	headers    []string
}

func (r *rig) newWorld(t *testing.T, idle bool) *world {
	w := &world{rig: r, idle: idle, tenants: map[string]*tenant{}}
	for _, name := range []string{"owner", "viewer", "stranger"} {
		w.tenants[name] = r.newTenant(t, name, idle)
	}
	w.meet()
	return w
}

var tenants atomic.Uint32

// newTenant is a customer with a mailbox, a job and a key; viewer: who may look only from then on.
func (r *rig) newTenant(t *testing.T, name string, idle bool) *tenant {
	u := &tenant{email: fmt.Sprintf("%s%d@example.com", name, tenants.Add(1))}
	u.token = r.member(t, u.email)
	r.exec(t, "UPDATE customers SET plan = 'enterprise', plan_version = plan_version + 1") // before the plan is read and remembered
	u.mailbox = r.connect(t, u.token).ID
	u.job = r.submit(t, u.token, "/api/v1/gmail/analyze", "").ID
	if idle {
		require.Equal(t, 202, r.call(t, "POST", "/api/v1/jobs/"+u.job+"/cancel", u.token, "").StatusCode)
	}
	u.keyID, u.key = r.apiKey(t, u.token, sweep.AllScopes()...)
	first := func(path string) string {
		return r.call(t, "GET", path, u.token, "").object(t)["items"].([]any)[0].(map[string]any)["id"].(string)
	}
	u.customer, u.person = first("/api/v1/auth/customers"), first("/api/v1/people")
	u.invitation = r.call(t, "POST", "/api/v1/people/invitations", u.token, `{"email":"guest+`+u.email+`","role":"viewer","password":"`+good+`"}`).object(t)["id"].(string)
	u.browser = r.browser(t, u.email, "").headers()
	u.export = r.call(t, "POST", "/api/v1/account/export", u.token, `{"password":"`+good+`"}`).object(t)["id"].(string)
	r.deliverAll(t) // makes the export; a letter to somebody who has left cannot be delivered
	if name == "viewer" {
		r.exec(t, `UPDATE members SET role = 'viewer' FROM users WHERE users.id = members.user_id AND users.email = $1`, u.email)
	}
	return u
}

// meet lists who calls.
func (w *world) meet() {
	w.callers = map[string]caller{"nobody": {tenant: &tenant{}}, "key": {credential: w.tenants["owner"].key, tenant: w.tenants["owner"]},
		"browser": {tenant: w.tenants["owner"], headers: w.tenants["owner"].browser}}
	for name, u := range w.tenants {
		w.callers[name] = caller{credential: u.token, tenant: u}
	}
}

// list is who calls, the owner more often than others: most of the rest is refused before it comes far.
func (w *world) list() []string {
	return append(slices.Sorted(maps.Keys(w.callers)), "owner", "owner", "owner", "browser")
}

// failuresToWait is how many wrong passwords make a person wait before each further one: no right one is taken any more.
const failuresToWait = 5

// revive replaces tenants whose credentials a request has ended: signed out, deleted, shut out by an allowlist of their own, failed too often.
func (w *world) revive(t *testing.T) {
	for name, u := range w.tenants {
		if u.failures >= failuresToWait {
			w.tenants[name] = w.rig.newTenant(t, name, w.idle)
			continue
		}
		if !u.worn {
			continue
		}
		u.worn = false
		people, err := w.rig.ask(t, "GET", drawn{path: "/api/v1/api-keys"}, u.token)
		require.NoError(t, err)
		machine, err := w.rig.ask(t, "GET", drawn{path: "/api/v1/jobs"}, u.key)
		require.NoError(t, err)
		page, err := w.rig.ask(t, "GET", drawn{path: "/api/v1/api-keys", headers: u.browser}, "")
		require.NoError(t, err)
		if people.StatusCode != 200 || machine.StatusCode != 200 || page.StatusCode != 200 {
			w.tenants[name] = w.rig.newTenant(t, name, w.idle)
		}
	}
	w.meet()
}

// renew replaces tenants that the requests of the operation before have changed: each begins with what was made for it.
func (w *world) renew(t *testing.T) {
	for name, u := range w.tenants {
		if u.changed {
			w.tenants[name] = w.rig.newTenant(t, name, w.idle)
		}
	}
	w.meet()
}

// words are values with a meaning, by the name of a field, for the owner above all.
func (w *world) words(path string) map[string][]string {
	owner, other := w.tenants["owner"], w.tenants["stranger"]
	ids := []string{owner.job, owner.mailbox, other.job, other.mailbox}
	for prefix, own := range map[string][]string{"/api-keys/": {owner.keyID, owner.keyID, other.keyID}, "/people/{id}": {owner.person, owner.person, other.person},
		"/people/invitations/": {owner.invitation, owner.invitation, other.invitation}, "/mailboxes/": {owner.mailbox, owner.mailbox, other.mailbox}, "/jobs/": {owner.job, owner.job, other.job},
		"/exports/": {owner.export, owner.export, other.export}} {
		if strings.Contains(path, prefix) {
			ids = own
		}
	}
	return map[string][]string{"id": ids, "mailbox_id": {owner.mailbox, other.mailbox}, "customer_id": {owner.customer, other.customer}, "password": {good, "another fine phrase"}, "current_password": {good}, "email": {owner.email, "new@example.com"}, "confirm": {owner.email},
		"networks": {"10.0.0.0/8", "192.0.2.0/24"}, "entries": {"boss@work.example", "@bank.example"}, "name": {"Ada"}, "code": {"123456"}, "Idempotency-Key": {"k1", "k2"}, "wait": {"0", "1"}}
}

// foreign are ids that nobody but u may read.
func (w *world) foreign(u *tenant) (ids []string) {
	for _, other := range w.tenants {
		if other != u {
			ids = append(ids, other.mailbox, other.job, other.keyID, other.email, other.customer, other.person, other.invitation, other.export)
		}
	}
	return ids
}
