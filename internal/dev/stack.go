package main

import (
	"context"
	"fmt"
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
)

// stack is everything that runs: databases, the outside world simulated in this process, and our three programs as children.
type stack struct {
	services *local.Services
	sim      *google.Sim
	sink     *smtp.Sink
	env      map[string]string
	children []*child

	API, Ops, WorkerOps, SchedulerOps, Google, Mail string // base URLs
}

const dotDev = ".dev"

func start(ctx context.Context, s settings, say func(string, ...any)) (st *stack, err error) {
	st = &stack{}
	defer func() {
		if err != nil {
			st.stop()
		}
	}()
	if err := build(ctx, say); err != nil {
		return st, err
	}
	st.services, err = local.Start(ctx, local.Options{Dir: dotDev, Log: func(line string) { say("%s", line) }})
	if err != nil {
		return st, err
	}
	say("creating a fresh database and migrating it")
	if st.env, err = app.Provision(ctx, st.services.PostgresURL); err != nil {
		return st, err
	}
	if err := st.outside(s); err != nil {
		return st, err
	}
	if err := st.settle(s); err != nil {
		return st, err
	}
	for _, name := range []string{"api", "worker", "scheduler"} {
		c, err := spawn(name, st.env)
		if err != nil {
			return st, err
		}
		st.children = append(st.children, c)
	}
	say("waiting for the API, the worker and the scheduler (logs in %s)", filepath.Join(dotDev, "log"))
	return st, st.await(ctx)
}

// build compiles the three programs: a demo of anything else would be a demo of something else.
func build(ctx context.Context, say func(string, ...any)) error {
	say("building api, worker and scheduler")
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-o", filepath.Join(dotDev, "bin")+"/", "./cmd/...")
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build the programs: %w", err)
	}
	return nil
}

// outside starts the simulated Google and the mail sink on free ports of the loopback interface.
func (st *stack) outside(s settings) (err error) {
	st.sim = google.New(google.Config{Seed: s.Seed, TimeScale: s.TimeScale, Latency: true, ClientID: "mailsweep-dev", ClientSecret: "simulated-secret"})
	if st.Google, err = listen(st.sim); err != nil {
		return err
	}
	st.sink = smtp.New()
	addr, err := st.sink.Start("127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("start the mail sink: %w", err)
	}
	st.env["SMTP_ADDR"] = addr
	st.Mail, err = listen(st.sink)
	return err
}

func listen(h http.Handler) (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go server.Serve(l) //nolint:errcheck // ends with this process
	return "http://" + l.Addr().String(), nil
}

// settle chooses addresses and writes the children's environment.
func (st *stack) settle(s settings) error {
	ports, err := freePorts(8000, 8001, 8002, 8003)
	if err != nil {
		return err
	}
	at := func(i int) string { return fmt.Sprintf("127.0.0.1:%d", ports[i]) }
	st.API, st.Ops, st.WorkerOps, st.SchedulerOps = "http://"+at(0), "http://"+at(1), "http://"+at(2), "http://"+at(3)
	for name, value := range map[string]string{
		"ENV": "development", "LOG_FORMAT": "json", "API_ADDR": at(0), "OPS_ADDR": at(1), "WORKER_OPS_ADDR": at(2), "SCHEDULER_OPS_ADDR": at(3), "PUBLIC_URL": st.API,
		"REDIS_URL": st.services.RedisURL, "GOOGLE_CLIENT_ID": "mailsweep-dev", "GOOGLE_CLIENT_SECRET": "simulated-secret",
		"GOOGLE_AUTH_URL": st.Google + "/o/oauth2/v2/auth", "GOOGLE_TOKEN_URL": st.Google + "/token", "GOOGLE_REVOKE_URL": st.Google + "/revoke",
		"GOOGLE_CERTS_URL": st.Google + "/oauth2/v3/certs", "GMAIL_BASE_URL": st.Google, "GMAIL_TIMESCALE": fmt.Sprint(s.TimeScale),
	} {
		st.env[name] = value
	}
	return nil
}

// freePorts prefers the usual ports and takes any free one where those are taken.
func freePorts(wanted ...int) ([]int, error) {
	var ports []int
	for _, w := range wanted {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", w))
		if err != nil {
			if l, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
				return nil, fmt.Errorf("find a free port: %w", err)
			}
		}
		defer l.Close() // all at once at the end, so that no port is handed out twice
		ports = append(ports, l.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// await asks each program until it is ready, and gives up when one has died.
func (st *stack) await(ctx context.Context) error {
	for i, base := range []string{st.API, st.WorkerOps, st.SchedulerOps} {
		deadline := time.Now().Add(30 * time.Second)
		for !ready(ctx, base) {
			if err := st.children[i].failed(); err != nil {
				return err
			}
			if ctx.Err() != nil || time.Now().After(deadline) {
				return fmt.Errorf("%s is not ready; the end of its log:\n%s", st.children[i].name, st.children[i].tail())
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

// stop ends the children first, then what they talk to.
func (st *stack) stop() {
	for _, c := range st.children {
		c.interrupt()
	}
	for _, c := range st.children {
		c.wait(30 * time.Second)
	}
	if st.services != nil {
		st.services.Stop()
	}
}

func (st *stack) urls() string {
	var b strings.Builder
	for _, l := range [][2]string{{"API docs", st.API + "/api/docs"}, {"asynqmon", st.Ops + "/ops/queues"}, {"metrics", st.Ops + "/metrics"},
		{"simulated Google", st.Google + "/"}, {"mail sink", st.Mail + "/"}} {
		fmt.Fprintf(&b, "  %-17s %s\n", l[0], l[1])
	}
	return b.String()
}
