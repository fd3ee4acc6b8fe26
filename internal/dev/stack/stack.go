// Package stack runs everything on one machine: databases, the outside world simulated in this process, and our three programs as
// children.
package stack

import (
	"context"
	"crypto/tls"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"mailsweep/internal/app"
	"mailsweep/internal/dev/local"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sim/smtp"
	"mailsweep/internal/sim/stripe"
)

// Options say what to start.
type Options struct {
	Dir       string        // where data, programs and logs lie
	Root      string        // of the source tree, to build from
	Bin       string        // of programs that Build made before; "" builds them into Dir/bin
	Services  local.Options // its Dir is Dir where none is given
	Seed      uint64
	TimeScale float64 // of the simulated Google's quota and latency clock
	Latency   bool
	Ports     []int             // wanted for API, ops, worker's ops, scheduler's ops; others where they are taken
	Env       map[string]string // more settings for the programs
	Idle      bool              // start no program: the caller spawns them
	Say       func(format string, args ...any)
}

// Stack is what runs.
type Stack struct {
	Sim      *google.Sim
	Sink     *smtp.Sink
	Pay      *stripe.Sim
	Env      map[string]string // of the programs
	Services *local.Services
	Children map[string]*Child

	API, Ops, WorkerOps, SchedulerOps, Google, Stripe, Mail string // base URLs

	o Options
}

// Programs are the names of the children.
func Programs() []string { return []string{"api", "worker", "scheduler"} }

// Start builds the programs and starts everything on a fresh database. The caller stops what is returned, also beside an error.
func Start(ctx context.Context, o Options) (st *Stack, err error) {
	if o.Services.Dir == "" {
		o.Services.Dir = o.Dir
	}
	o.Services.Log = func(line string) { o.Say("%s", line) }
	build := o.Bin == ""
	if build {
		o.Bin = filepath.Join(o.Dir, "bin")
	}
	st = &Stack{o: o, Children: map[string]*Child{}}
	if build {
		o.Say("building api, worker and scheduler")
		if err := Build(ctx, o.Root, o.Bin); err != nil {
			return st, err
		}
	}
	if st.Services, err = local.Start(ctx, o.Services); err != nil {
		return st, err
	}
	o.Say("creating a fresh database and migrating it")
	if st.Env, err = app.Provision(ctx, st.Services.PostgresURL); err != nil {
		return st, err
	}
	if err := st.outside(); err != nil {
		return st, err
	}
	if err := st.settle(); err != nil {
		return st, err
	}
	if err := st.setUpStripe(ctx); err != nil || o.Idle {
		return st, err
	}
	for _, name := range Programs() {
		if err := st.Spawn(name); err != nil {
			return st, err
		}
	}
	o.Say("waiting for the API, the worker and the scheduler (logs in %s)", filepath.Join(o.Dir, "log"))
	return st, st.Await(ctx, Programs()...)
}

// Spawn starts one of the programs, again after it has ended.
func (st *Stack) Spawn(name string) error { return st.spawn(name, name, st.Env) }

// SpawnAlso starts one more worker or scheduler under a name of its own, with its operations listener on a free port.
func (st *Stack) SpawnAlso(program, name string) error {
	port, err := freePorts(0)
	if err != nil {
		return err
	}
	return st.SpawnWith(program, name, map[string]string{readyAt[program]: fmt.Sprintf("127.0.0.1:%d", port[0])})
}

// SpawnWith starts one of the programs under a name of its own, with settings that differ from the others'. Its listeners' addresses
// must be free: FreeAddresses has some.
func (st *Stack) SpawnWith(program, name string, settings map[string]string) error {
	env := maps.Clone(st.Env)
	maps.Copy(env, settings)
	return st.spawn(program, name, env)
}

// FreeAddresses are n addresses of the loopback interface that nobody listens on.
func FreeAddresses(n int) (addresses []string, err error) {
	ports, err := freePorts(make([]int, n)...)
	for _, p := range ports {
		addresses = append(addresses, fmt.Sprintf("127.0.0.1:%d", p))
	}
	return addresses, err
}

// readyAt names the settings of where each program tells whether it is ready.
var readyAt = map[string]string{"api": "API_ADDR", "worker": "WORKER_OPS_ADDR", "scheduler": "SCHEDULER_OPS_ADDR"}

// Command is a command of one of the programs, with the settings that the programs have.
func (st *Stack) Command(ctx context.Context, program string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(st.o.Bin, program), args...)
	for name, value := range st.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	return cmd
}

func (st *Stack) spawn(program, name string, env map[string]string) error {
	c, err := spawn(st.o.Dir, filepath.Join(st.o.Bin, program), name, env)
	if err == nil {
		c.at = "http://" + env[readyAt[program]]
		st.Children[name] = c
	}
	return err
}

// Build compiles the three programs into a folder: a run of anything else would be a run of something else.
func Build(ctx context.Context, root, bin string) error {
	out, err := filepath.Abs(bin)
	if err != nil {
		return fmt.Errorf("find %s: %w", bin, err)
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", out+"/", "./cmd/...")
	cmd.Dir = root
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build the programs: %w", err)
	}
	return nil
}

// outside starts the simulated Google and the mail sink on free ports of the loopback interface.
func (st *Stack) outside() (err error) {
	st.Sim = google.New(google.Config{Seed: st.o.Seed, TimeScale: st.o.TimeScale, Latency: st.o.Latency, ClientID: "mailsweep-dev", ClientSecret: "simulated-secret"})
	if st.Google, err = Serve(st.Sim); err != nil {
		return err
	}
	st.Pay = stripe.New(stripe.Config{SecretKey: stripeKey})
	if st.Stripe, err = Serve(st.Pay); err != nil {
		return err
	}
	go st.Pay.Deliver(context.Background()) // until this process ends
	st.Sink = smtp.New()
	addr, err := st.Sink.Start("127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("start the mail sink: %w", err)
	}
	st.Env["SMTP_ADDR"] = addr
	st.Mail, err = Serve(st.Sink)
	return err
}

// stripeKey opens the simulated Stripe.
const stripeKey = "sk_test_simulated"

// setUpStripe lets the scheduler make what our account lacks at the simulated Stripe, and takes the settings that it prints.
func (st *Stack) setUpStripe(ctx context.Context) error {
	st.Env["STRIPE_SECRET_KEY"], st.Env["STRIPE_URL"] = stripeKey, st.Stripe
	printed, err := st.Command(ctx, "scheduler", "stripe-setup").Output()
	if err != nil {
		return fmt.Errorf("set up the simulated Stripe: %w", err)
	}
	for line := range strings.Lines(string(printed)) {
		if name, value, is := strings.Cut(strings.TrimSpace(line), "="); is {
			st.Env[name] = value
		}
	}
	return nil
}

// Serve answers on a free port of the loopback interface until this process ends.
func Serve(h http.Handler) (string, error) { return ServeAt("127.0.0.1:0", h) }

// ServeAt does so at an address, in HTTP/1.1 and HTTP/2, without TLS.
func ServeAt(address string, h http.Handler) (string, error) {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, Protocols: new(http.Protocols)}
	server.Protocols.SetHTTP1(true)
	server.Protocols.SetUnencryptedHTTP2(true)
	return listen(address, "http://", func(l net.Listener) error { return server.Serve(l) })
}

// ServeTLS does so with TLS, in HTTP/2 where the client can.
func ServeTLS(address string, h http.Handler, cert tls.Certificate) (string, error) {
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second, TLSConfig: &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}}
	return listen(address, "https://", func(l net.Listener) error { return server.ServeTLS(l, "", "") })
}

func listen(address, scheme string, serve func(net.Listener) error) (string, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return "", fmt.Errorf("listen: %w", err)
	}
	go serve(l) //nolint:errcheck // ends with this process
	return scheme + l.Addr().String(), nil
}

// settle chooses addresses and writes the children's environment.
func (st *Stack) settle() error {
	ports, err := freePorts(append(st.o.Ports, 0, 0, 0, 0)[:4]...)
	if err != nil {
		return err
	}
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	st.API, st.Ops, st.WorkerOps, st.SchedulerOps = "http://"+at(0), "http://"+at(1), "http://"+at(2), "http://"+at(3)
	for name, value := range map[string]string{
		"ENV": "development", "LOG_FORMAT": "json", "API_ADDR": at(0), "SHUTDOWN_GRACE": "0s", "OPS_ADDR": at(1), "WORKER_OPS_ADDR": at(2), "SCHEDULER_OPS_ADDR": at(3), "PUBLIC_URL": st.API,
		"REDIS_URL": st.Services.RedisURL, "GOOGLE_CLIENT_ID": "mailsweep-dev", "GOOGLE_CLIENT_SECRET": "simulated-secret",
		"GOOGLE_AUTH_URL": st.Google + "/o/oauth2/v2/auth", "GOOGLE_TOKEN_URL": st.Google + "/token", "GOOGLE_REVOKE_URL": st.Google + "/revoke",
		"GOOGLE_CERTS_URL": st.Google + "/oauth2/v3/certs", "GMAIL_BASE_URL": st.Google, "GMAIL_TIMESCALE": fmt.Sprint(st.o.TimeScale),
	} {
		st.Env[name] = value
	}
	maps.Copy(st.Env, st.o.Env)
	return nil
}

// freePorts prefers the usual ports and takes any free one where those are taken.
func freePorts(wanted ...int) ([]int, error) {
	var ports []int
	for _, w := range wanted {
		l, err := freePort(w)
		if err != nil {
			return nil, err
		}
		defer l.Close() // all at once at the end, so that no port is handed out twice
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// freePort looks below 32768, from where kernels take the ports of outgoing connections: a program that starts again finds its own free.
func freePort(wanted int) (l net.Listener, err error) {
	for range 100 {
		if wanted == 0 {
			wanted = 15000 + rand.IntN(17000)
		}
		if l, err = net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", wanted)); err == nil {
			return l, nil
		}
		wanted = 0
	}
	return nil, fmt.Errorf("find a free port: %w", err)
}

// Await asks children until they are ready, and gives up when one has died.
func (st *Stack) Await(ctx context.Context, names ...string) error {
	for _, name := range names {
		c := st.Children[name]
		deadline := time.Now().Add(30 * time.Second)
		for !ready(ctx, c.at) {
			if err := c.Failed(); err != nil {
				return err
			}
			if ctx.Err() != nil || time.Now().After(deadline) {
				return fmt.Errorf("%s is not ready; the end of its log:\n%s", name, c.Tail())
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	return nil
}

func ready(ctx context.Context, base string) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/health/ready", nil)
	if err != nil {
		return false
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// Stop ends the children first, then what they talk to.
func (st *Stack) Stop() {
	for _, c := range st.Children {
		c.Interrupt()
	}
	for _, c := range st.Children {
		c.Wait(30 * time.Second)
	}
	if st.Services != nil {
		st.Services.Stop()
	}
}

// URLs lists what a person can open.
func (st *Stack) URLs() string {
	var b strings.Builder
	for _, l := range [][2]string{{"pages", st.API + "/"}, {"API docs", st.API + "/api/docs"}, {"operations", st.Ops + "/ops/jobs"}, {"asynqmon", st.Ops + "/ops/queues"}, {"metrics", st.Ops + "/metrics"},
		{"simulated Google", st.Google + "/"}, {"mail sink", st.Mail + "/"}} {
		fmt.Fprintf(&b, "  %-17s %s\n", l[0], l[1])
	}
	return b.String()
}
