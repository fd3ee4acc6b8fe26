// Package gotest starts the services that tests need, runs `go test` over them and counts what came of it.
package gotest

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"mailsweep/internal/dev/local"
)

// Options says what to test and where to say how it went.
type Options struct {
	// Dir is the folder of the services, ".dev".
	Dir string
	// Args go to `go test`: flags and packages. Without a package it is ./..., the slow ones without -race.
	Args []string
	// Out gets a line per package, everything about a failure, each skip with its reason, and at the end the count
	// alone on a line: "N passed, N failed, N skipped", subtests counted as tests.
	Out io.Writer
	// Plain tests without -race: for what is measured.
	Plain bool
	// Race tests the slow packages with -race too.
	Race bool
	// Full asks tests that count for their whole counts, by FULL=1.
	Full bool
	// Long is how often the usual time tests may take.
	Long int
	// Heard, if set, is told of each test and subtest that ended: "pass", "fail" or "skip".
	Heard func(pkg, test, outcome string)
}

const (
	binaryLimit = 16 * time.Minute // for one package's tests: who hangs is named, with the stack, before all is stopped
	totalLimit  = 34 * time.Minute // with compiling from nothing on two cores
)

// Run returns the exit code: 0 only when something passed, nothing failed and `go test` agrees.
func Run(ctx context.Context, o Options) int {
	out := &screen{w: o.Out, last: time.Now()}
	ctx, cancel := context.WithTimeout(ctx, totalLimit*time.Duration(max(1, o.Long)))
	defer cancel()
	env, stop, err := services(ctx, o, out)
	if err != nil {
		out.line("make test: %v", err)
		out.line("0 passed, 1 failed, 0 skipped")
		return 1
	}
	defer stop()
	t := newTally(out)
	t.heard = o.Heard
	if o.Full {
		env = append(env, "FULL=1")
	}
	if os.Getenv("GOGC") == "" {
		env = append(env, "GOGC=300") // under -race a seventh of the time goes into collecting garbage
	}
	parts, err := o.parts(ctx, race(ctx, o, out))
	for _, part := range parts {
		// -count=1: the scenarios build programs that the test cache does not see
		args := append([]string{"test", "-json", "-count=1", "-timeout", (binaryLimit * time.Duration(max(1, o.Long))).String()}, part...)
		out.line("go %s", strings.Join(args, " "))
		err = errors.Join(err, t.run(ctx, out, args, append(os.Environ(), env...)))
	}
	if err != nil && t.failed == 0 {
		out.line("make test: %v", err)
		t.failed++
	}
	t.summary()
	out.line("%d passed, %d failed, %d skipped", t.passed, t.failed, t.skipped)
	if t.failed > 0 || t.passed == 0 {
		return 1
	}
	return 0
}

// services starts one PostgreSQL for all packages. Redis is one per test process (package testkit starts it), but its
// program must be here before several processes look for it at once.
func services(ctx context.Context, o Options, out *screen) (env []string, stop func(), err error) {
	l := local.Options{Dir: o.Dir, Private: true, Fresh: true, InMemory: true, Log: func(line string) { out.line("%s", line) }}
	if os.Getenv("TEST_DATABASE_URL") != "" && os.Getenv("TEST_REDIS_URL") != "" {
		out.line("using TEST_DATABASE_URL and TEST_REDIS_URL")
		return nil, func() {}, nil
	}
	if err := local.Ensure(ctx, l); err != nil {
		return nil, nil, err
	}
	if os.Getenv("TEST_DATABASE_URL") != "" {
		return nil, func() {}, nil
	}
	pg, err := local.StartPostgres(ctx, l)
	if err != nil {
		return nil, nil, err
	}
	stop = func() {
		if err := pg.Stop(); err != nil {
			out.line("%v", err)
		}
	}
	return []string{"TEST_DATABASE_URL=" + pg.URL}, stop, nil
}

// race needs a C compiler. Root gets one installed; without one the tests run all the same, and that is said aloud.
func race(ctx context.Context, o Options, out *screen) []string {
	if o.Plain {
		return nil
	}
	raw, err := exec.CommandContext(ctx, "go", "env", "CC").Output()
	cc := strings.Fields(string(raw))
	if err == nil && len(cc) > 0 {
		if _, err := exec.LookPath(cc[0]); err == nil {
			return []string{"-race"}
		}
	}
	l := local.Options{Dir: o.Dir, Log: func(line string) { out.line("%s", line) }}
	if err := local.Install(ctx, l, "gcc", "libc6-dev"); err != nil {
		out.line("WITHOUT -race, which needs a C compiler: %v", err)
		return nil
	}
	return []string{"-race"}
}

// slow are the packages whose tests take most of the time, waiting for the most part: with -race they need several times the processor, and the
// two cores of a small machine an hour.
var slow = []string{"internal/account", "internal/app", "internal/billing", "internal/cleanup", "internal/e2e", "internal/httpapi"}

// parts are the arguments of one `go test` after the other: what is named by an argument, all that are, with -race; of everything the slow
// packages without it, unless it is asked for.
func (o Options) parts(ctx context.Context, race []string) ([][]string, error) {
	named := slices.ContainsFunc(o.Args, func(arg string) bool {
		return arg == "." || strings.HasPrefix(arg, "./") || strings.HasPrefix(arg, "mailsweep/")
	})
	if named {
		return [][]string{slices.Concat(race, o.Args)}, nil
	}
	if len(race) == 0 || o.Race {
		return [][]string{slices.Concat(race, o.Args, []string{"./..."})}, nil
	}
	raw, err := exec.CommandContext(ctx, "go", "list", "./...").Output()
	if err != nil {
		return nil, fmt.Errorf("list the packages: %w", err)
	}
	quick, long := slices.Concat(race, o.Args), slices.Clone(o.Args)
	for _, pkg := range strings.Fields(string(raw)) {
		if slices.ContainsFunc(slow, func(s string) bool { return strings.HasSuffix(pkg, "/"+s) }) {
			long = append(long, pkg)
		} else {
			quick = append(quick, pkg)
		}
	}
	if len(long) == len(o.Args) {
		return [][]string{quick}, nil
	}
	return [][]string{quick, long}, nil
}

// run reads `go test`'s events to their end. Ctrl-C interrupts the tests and still counts what they did.
func (t *tally) run(ctx context.Context, out *screen, args, env []string) error {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Env = env
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that the tests are told too, which go test itself waits for
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = 20 * time.Second
	var complaints bytes.Buffer
	cmd.Stderr = io.MultiWriter(&complaints, out)
	events, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("run go test: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("run go test: %w", err)
	}
	stopTicking := out.tick(t.progress)
	defer stopTicking()
	lines := bufio.NewReader(events)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			t.take(line)
		}
		if err != nil {
			break
		}
	}
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("go test: %w\n%s", err, complaints.String())
	}
	return ctx.Err()
}

// screen writes whole lines and knows when it last did.
type screen struct {
	mu   sync.Mutex
	w    io.Writer
	last time.Time
}

func (s *screen) line(format string, args ...any) {
	_, _ = fmt.Fprintf(s, format+"\n", args...) // nobody can be told that the terminal is gone
}

// Write lets other programs' lines through.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = time.Now()
	return s.w.Write(p)
}

// tick says what is going on whenever the screen was still for 15 seconds: a cold build takes minutes.
func (s *screen) tick(progress func() string) (stop func()) {
	done := make(chan struct{})
	go func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			s.mu.Lock()
			still := time.Since(s.last)
			s.mu.Unlock()
			if still >= 15*time.Second {
				s.line("… %s", progress())
			}
		}
	}()
	return func() { close(done) }
}

// short drops the module's name.
func short(pkg string) string {
	if _, rest, ok := strings.Cut(pkg, "/"); ok {
		return filepath.ToSlash(rest)
	}
	return pkg
}
