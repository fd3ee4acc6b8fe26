package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"strconv"
	"time"

	"mailsweep/internal/dev/customer"
	"mailsweep/internal/dev/local"
	"mailsweep/internal/dev/stack"
	"mailsweep/internal/sim/google"
)

// The mailbox that the engine is measured on, and how many times faster than Gmail's the simulator's clock runs: latencies, quota windows and
// our own pacing alike, so that times are told in Gmail's seconds. Faster, and the machine's two cores would be what is measured.
const (
	gmailMessages = 100_000
	gmailSenders  = 3_000
	gmailScale    = 5
	gmailSeed     = 7

	smallerMailbox = 30_900 // another, of which more is to be attributed
)

// unitsPerSecond is what Gmail allows one mailbox in the long run (6,000 a minute): the limit of every time below.
const unitsPerSecond = 100

// mailboxRig is a stack with one customer, his mailbox at the simulated Gmail, and what was asked of it.
type mailboxRig struct {
	*rig
	c       *customer.Client
	email   string
	mailbox string // mbx_…
	scale   float64
	idle    float64 // CPU that the worker uses a second without a job: it looks for tasks
}

// settings say what stack to start for the Gmail figures.
type settings struct {
	scale   float64 // of the simulated Gmail's clock
	latency bool    // calls take as long as Gmail's, scaled
	plan    string  // of the customer: it says what an analysis may spend
	looks   int     // analyses of a mailbox in a day; 0: the plan's
	first   google.Generate

	concurrency int // jobs at once in the worker; 0: as for the other rows
}

// startGmail brings up everything for one customer with a mailbox at the simulated Gmail, connected and not yet looked at.
func (b *bench) startGmail(ctx context.Context, s settings) (*mailboxRig, error) {
	env := limits()
	looks := ""
	if s.looks > 0 {
		looks = fmt.Sprintf(`,"full_per_day":%d`, s.looks)
	}
	env["PLAN_LIMITS"] = fmt.Sprintf(`{%q:{"emails_per_period":1000000000,"mailboxes":1000,"people":50,"requests_per_minute":10000000%s}}`, s.plan, looks)
	if s.concurrency > 0 {
		env["WORKER_CONCURRENCY"] = strconv.Itoa(s.concurrency)
	}
	dir := filepath.Join(b.Dir, "bench")
	st, err := stack.Start(ctx, stack.Options{Dir: dir, Root: b.Root, Bin: b.bin, Seed: 1, TimeScale: s.scale, Latency: s.latency, Env: env,
		Services: local.Options{Dir: dir, Private: true, Fresh: true, Fsync: true}, Say: func(string, ...any) {}})
	m := &mailboxRig{rig: &rig{Stack: st}, email: "ada@mail.example", scale: s.scale}
	if err == nil {
		m.root, err = m.login(ctx)
	}
	if err == nil {
		err = m.signUp(ctx, s)
	}
	if err != nil {
		m.stop()
		return nil, err
	}
	return m, nil
}

func (m *mailboxRig) signUp(ctx context.Context, s settings) error {
	if _, err := m.Sim.AddGenerated(m.email, s.first); err != nil {
		return fmt.Errorf("fill the mailbox: %w", err)
	}
	m.c = &customer.Client{Base: m.API, Email: m.email}
	if err := m.c.SignUp(ctx, m.Sink, "quilted otters at dawn"); err != nil {
		return err
	}
	if _, err := m.root.Exec(ctx, "UPDATE customers SET plan = $1, trial_ends_at = created_at", s.plan); err != nil {
		return fmt.Errorf("choose the plan: %w", err)
	}
	if err := m.c.Connect(ctx, m.email); err != nil {
		return err
	}
	var err error
	m.mailbox, err = m.mailboxOf(ctx, m.email)
	return err
}

// mailboxOf is the id of the customer's mailbox of that address.
func (m *mailboxRig) mailboxOf(ctx context.Context, email string) (string, error) {
	var list struct {
		Items []struct{ ID, Email string } `json:"items"`
	}
	if err := m.c.Do(ctx, http.MethodGet, "/api/v1/mailboxes", nil, &list); err != nil {
		return "", err
	}
	for _, one := range list.Items {
		if one.Email == email {
			return one.ID, nil
		}
	}
	return "", fmt.Errorf("%s is not among the customer's %d mailboxes", email, len(list.Items))
}

// reading is where the meters stand: Gmail units and calls of the mailbox, the worker's CPU, the clock.
type reading struct {
	at    time.Time
	units int
	calls map[string]int
	cpu   time.Duration
}

func (m *mailboxRig) read() (r reading, err error) {
	l, err := m.Sim.Ledger(m.email)
	if err != nil {
		return r, fmt.Errorf("read the ledger: %w", err)
	}
	for _, n := range l.Units {
		r.units += n
	}
	r.calls, r.at = l.Calls, time.Now()
	r.cpu, err = busy(m.Children["worker"].Pid())
	return r, err
}

// spent is what lies between two readings, the time as Gmail's clock tells it.
type spent struct {
	units int
	calls map[string]int
	took  time.Duration
	cpu   time.Duration
}

// since is what was spent between two readings. The CPU is what the jobs took: what the worker uses when idle is taken off.
func (m *mailboxRig) since(before, r reading) spent {
	passed := r.at.Sub(before.at)
	s := spent{units: r.units - before.units, calls: map[string]int{}, took: time.Duration(float64(passed) * m.scale),
		cpu: max(0, r.cpu-before.cpu-time.Duration(m.idle*float64(passed)))}
	for method, n := range r.calls {
		s.calls[method] = n - before.calls[method]
	}
	return s
}

// bound is how long Gmail's quota makes that many units take at least.
func (s spent) bound() time.Duration {
	return time.Duration(float64(s.units) / unitsPerSecond * float64(time.Second))
}

// slow is the time as a multiple of what the quota alone would take.
func (s spent) slow() float64 { return s.took.Seconds() / s.bound().Seconds() }

func (s spent) String() string {
	return fmt.Sprintf("%d units, %.1f s, %.2f s of CPU", s.units, s.took.Seconds(), s.cpu.Seconds())
}

// meter runs f between two readings.
func (m *mailboxRig) meter(f func() error) (spent, error) {
	before, err := m.read()
	if err != nil {
		return spent{}, err
	}
	if err := f(); err != nil {
		return spent{}, err
	}
	after, err := m.read()
	return m.since(before, after), err
}

// job runs a job between two readings; its result goes into out.
func (m *mailboxRig) job(ctx context.Context, path string, in, out any) (s spent, j customer.Job, err error) {
	s, err = m.meter(func() error {
		j, err = m.c.Run(ctx, path, in, func(customer.Job) {})
		if err != nil {
			return err
		}
		if err := json.Unmarshal(j.Result, out); err != nil {
			return fmt.Errorf("read the result: %w", err)
		}
		return nil
	})
	return s, j, err
}
