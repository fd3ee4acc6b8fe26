package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/dev/customer"
	"mailsweep/internal/dev/local"
	"mailsweep/internal/dev/stack"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sim/smtp"
)

const (
	root     = "../.."
	password = "quilted otters at dawn"
	patience = 90 * time.Second // for one step, with every other test of the machine beside
)

// built makes the programs once per test process; with nothing changed since the last run that takes a moment.
var built = sync.OnceValues(func() (bin string, err error) {
	bin = filepath.Join(root, ".dev", "e2e")
	return bin, stack.Build(context.Background(), root, bin)
})

// rig is a stack of a test's own: databases, programs and the outside world.
type rig struct {
	*stack.Stack
	dir string
}

// speedy is a Gmail whose quota is no matter and that answers at once.
func speedy() stack.Options { return stack.Options{TimeScale: 1000} }

// start runs a stack until the test ends. Limits are out of the way unless env says otherwise.
func start(t *testing.T, o stack.Options, env map[string]string) *rig {
	t.Helper()
	bin, err := built()
	require.NoError(t, err)
	o.Dir, o.Root, o.Bin, o.Seed, o.Say = t.TempDir(), root, bin, 1, t.Logf
	o.Services = local.Options{Dir: filepath.Join(root, ".dev"), Fresh: true, InMemory: true, Private: true}
	o.Env = map[string]string{"ENV": "test", "BCRYPT_COST": "4", "SIGNUPS_PER_HOUR_PER_IP": "1000", "OPEN_JOBS_PER_CUSTOMER": "1000", "EXECUTES_PER_DAY": "1000",
		"WORKER_CONCURRENCY": "8", "WORKER_LOOK_EVERY": "25ms", "PLAN_LIMITS": limits(100_000)}
	maps.Copy(o.Env, env)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute) // a machine without the servers installs them first
	defer cancel()
	st, err := stack.Start(ctx, o)
	r := &rig{Stack: st, dir: o.Dir}
	t.Cleanup(func() { r.end(t) })
	require.NoError(t, err)
	return r
}

// limits lets a trial clean so many messages in a month, and the free plan no more than its 500.
func limits(emails int) string {
	return fmt.Sprintf(`{"basic":{"emails_per_period":%d,"requests_per_minute":100000},"pro":{"requests_per_minute":100000},"free":{"emails_per_period":%d,"requests_per_minute":100000}}`, emails, min(emails, 500))
}

func (r *rig) end(t *testing.T) {
	if t.Failed() {
		for name, c := range r.Children {
			t.Logf("the end of %s's log:\n%s", name, c.Tail())
		}
	}
	r.Stop()
}

// user is a customer with the address of the mailbox that is connected.
type user struct {
	customer.Client
	t *testing.T
	r *rig
}

// signUp makes a customer without a mailbox.
func (r *rig) signUp(t *testing.T, name string) *user {
	t.Helper()
	u := &user{Client: customer.Client{Base: r.API, Email: name + "@mail.example"}, t: t, r: r}
	require.NoError(t, u.SignUp(u.ctx(), r.Sink, password))
	return u
}

// join makes a customer with a connected mailbox of so many messages.
func (r *rig) join(t *testing.T, name string, messages int) *user {
	t.Helper()
	u := r.signUp(t, name)
	_, err := r.Sim.AddGenerated(u.Email, google.Generate{Messages: messages, Seed: uint64(len(name)) + 7, Now: time.Now()})
	require.NoError(t, err)
	require.NoError(t, u.Connect(u.ctx(), u.Email))
	return u
}

type object map[string]any

func (u *user) ctx() context.Context { return u.t.Context() }

func (u *user) get(path string, out any) {
	u.t.Helper()
	require.NoError(u.t, u.Do(u.ctx(), http.MethodGet, path, nil, out))
}

// post starts a job.
func (u *user) post(path string, in any) (j customer.Job) {
	u.t.Helper()
	require.NoError(u.t, u.Do(u.ctx(), http.MethodPost, path, in, &j))
	return j
}

// finish follows a job to its success.
func (u *user) finish(j customer.Job) customer.Job {
	u.t.Helper()
	ctx, cancel := context.WithTimeout(u.ctx(), patience)
	defer cancel()
	j, err := u.Follow(ctx, j, func(customer.Job) {})
	require.NoError(u.t, err, "%s", j.ID)
	return j
}

func (u *user) run(path string, in any) customer.Job {
	u.t.Helper()
	return u.finish(u.post(path, in))
}

type preview struct {
	ID      string `json:"cleanup_plan_id"`
	ToClean int    `json:"to_clean"`
}

// plan previews a cleanup.
func (u *user) plan(action string, criteria object) preview {
	u.t.Helper()
	return read[preview](u.t, u.run("/api/v1/gmail/cleanup/dry-run", object{"action": action, "criteria": criteria}).Result)
}

func (u *user) execute(p preview) customer.Job {
	u.t.Helper()
	return u.post("/api/v1/gmail/cleanup/execute", object{"cleanup_plan_id": p.ID})
}

type executed struct {
	Planned int    `json:"planned"`
	Cleaned int    `json:"cleaned"`
	Gone    int    `json:"already_gone"`
	Rest    string `json:"remainder_plan_id"`
}

type usage struct {
	Plan      string `json:"plan"`
	Period    string `json:"period"`
	Limit     int    `json:"limit"`
	Used      int    `json:"used"`
	Reserved  int    `json:"reserved"`
	Remaining int    `json:"remaining"`
}

func (u *user) usage() (got usage) {
	u.t.Helper()
	u.get("/api/v1/gmail/usage", &got)
	return got
}

// digest is what the simulated Google says of all ids and labels.
func (u *user) digest() string {
	u.t.Helper()
	truth, err := u.r.Sim.Truth(u.Email)
	require.NoError(u.t, err)
	return truth.Digest
}

// changes counts, per message, the calls that really changed it.
func (u *user) changes() map[string]int {
	u.t.Helper()
	book, err := u.r.Sim.Ledger(u.Email)
	require.NoError(u.t, err)
	return book.Changes
}

// old is more than half of a generated mailbox.
func old() object { return object{"all": []object{{"older_than_days": 30}}} }

func read[T any](t *testing.T, raw json.RawMessage) (v T) {
	t.Helper()
	require.NoError(t, json.Unmarshal(raw, &v), "%s", raw)
	return v
}

// until waits for something that tells nobody when it happens.
func until(t *testing.T, limit time.Duration, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(limit); !holds(); <-tick.C {
		require.True(t, time.Now().Before(deadline), "not within %s: %s", limit, what)
	}
}

// mails are those of a kind to an address.
func (r *rig) mails(to, kind string) (found []smtp.Message) {
	for _, m := range r.Sink.Messages() {
		if m.Kind == kind && len(m.To) == 1 && strings.EqualFold(m.To[0], to) {
			found = append(found, m)
		}
	}
	return found
}

// logs is everything that a program has written.
func (r *rig) logs(t *testing.T, program string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(r.dir, "log", program+".log"))
	require.NoError(t, err)
	return string(b)
}
