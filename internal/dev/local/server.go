package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Server is one running PostgreSQL or Redis.
type Server struct {
	// URL is the address with the login; it stays the same over Restart.
	URL string

	name        string
	port        int
	command     func(port int) *exec.Cmd
	ready       func(ctx context.Context, s *Server) bool // asked again and again while the child lives
	stopSignal  syscall.Signal
	deathSignal syscall.Signal
	highestPort int // 0: any
	as          *account
	tools       *program
	logPath     string
	exited      chan<- error
	afterStop   func()

	mu      sync.Mutex
	child   *child
	logFrom int64 // where the running child's lines begin
}

// child is one process; done closes when it is gone.
type child struct {
	pid      int
	done     chan struct{}
	up       bool // it answered once: from then on its end is an accident, unless it is expected
	expected bool
	over     bool
	err      error
}

const (
	startLimit = 90 * time.Second // a big database in recovery takes long; a dead child ends the wait at once
	stopLimit  = 10 * time.Second
)

// start launches the server on the given port, or on a free one if it is 0, and waits until it answers.
func (s *Server) start(ctx context.Context, port int) error {
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	for {
		s.port = port
		if port == 0 {
			free, err := freePort(s.highestPort)
			if err != nil {
				return fmt.Errorf("find a free port for %s: %w", s.name, err)
			}
			s.port = free
		}
		err := s.launch()
		if err == nil {
			err = s.await(ctx)
		}
		if err == nil || !s.worthAnotherTry() || ctx.Err() != nil {
			return err
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// worthAnotherTry: somebody took the port in between, or the backends of a killed predecessor are still going.
func (s *Server) worthAnotherTry() bool {
	tail := s.tail(40)
	return strings.Contains(tail, "ddress already in use") || strings.Contains(tail, "pre-existing shared memory block")
}

// launch starts the child from a thread that lives as long as the child: the kernel's death signal follows the
// thread, not the process.
func (s *Server) launch() error {
	log, err := os.OpenFile(s.logPath, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return fmt.Errorf("open the log of %s: %w", s.name, err)
	}
	defer log.Close()
	if info, err := log.Stat(); err == nil {
		s.mu.Lock()
		s.logFrom = info.Size()
		s.mu.Unlock()
	}
	cmd := s.command(s.port)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = childAttr(s.as, s.deathSignal)
	c := &child{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			c.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			s.watch(c, cmd.Wait())
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("start %s: %w", s.name, err)
	}
	s.mu.Lock()
	s.child = c
	s.mu.Unlock()
	return nil
}

func (s *Server) watch(c *child, err error) {
	s.mu.Lock()
	c.over, c.err = true, err
	accident := c.up && !c.expected // before it was up, whoever starts it sees to it
	s.mu.Unlock()
	close(c.done)
	if accident && s.exited != nil {
		select {
		case s.exited <- fmt.Errorf("%s ended unexpectedly (%v); its last lines:\n%s", s.name, err, s.tail(10)):
		default:
		}
	}
}

// await returns when the child answers; a child that ends or takes too long leaves its last lines in the error.
func (s *Server) await(ctx context.Context) error {
	c := s.current()
	for {
		if s.ready(ctx, s) && s.nowUp(c) {
			return nil
		}
		select {
		case <-c.done:
			return fmt.Errorf("%s did not start (%v); its last lines in %s:\n%s", s.name, c.err, s.logPath, s.tail(15))
		case <-ctx.Done():
			s.Kill()
			return fmt.Errorf("%s did not answer (%w); its last lines in %s:\n%s", s.name, ctx.Err(), s.logPath, s.tail(15))
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// nowUp says that the child answered; false if it is gone already.
func (s *Server) nowUp(c *child) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.up = !c.over
	return c.up
}

func (s *Server) current() *child {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.child
}

// Stop ends the server in order, by force after ten seconds, and returns when it is gone.
func (s *Server) Stop() error {
	err := s.end(s.stopSignal)
	if s.afterStop != nil {
		s.afterStop()
		s.afterStop = nil
	}
	return err
}

// Kill ends the server as a crash would (SIGKILL) and returns when it is gone. Restart brings it back.
func (s *Server) Kill() { _ = s.end(syscall.SIGKILL) } // a killed child leaves no other error

// Pid is the server's process id; its children are PostgreSQL's connections.
func (s *Server) Pid() int { return s.current().pid }

// Restart starts the server again with the same port and data, stopping it first if it runs.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.end(s.stopSignal); err != nil {
		return err
	}
	return s.start(ctx, s.port)
}

// Tool is a program of the same installation as the server, such as pgbench, ready to run in the folder for temporary files.
func (s *Server) Tool(name string, args ...string) *exec.Cmd {
	return s.tools.command(os.TempDir(), name, args...)
}

// PostgresTool is a program of an installed PostgreSQL, such as pg_dump, ready to run in the folder for temporary files; it is installed if
// it is missing.
func PostgresTool(ctx context.Context, o Options, name string, args ...string) (*exec.Cmd, error) {
	pg, _, err := o.programs(ctx, true, false)
	if err != nil {
		return nil, err
	}
	return pg.command(os.TempDir(), name, args...), nil
}

func (s *Server) end(sig syscall.Signal) error {
	s.mu.Lock()
	c := s.child
	if c != nil {
		c.expected = true
	}
	s.mu.Unlock()
	if c == nil {
		return nil
	}
	select {
	case <-c.done:
		return nil
	default:
	}
	if err := syscall.Kill(c.pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop %s: %w", s.name, err)
	}
	select {
	case <-c.done:
		return nil
	case <-time.After(stopLimit):
	}
	_ = syscall.Kill(c.pid, syscall.SIGKILL) // gone already is as good
	<-c.done
	return fmt.Errorf("stop %s: it had to be killed after %s", s.name, stopLimit)
}

// tail is the end of what the running, or last, child wrote.
func (s *Server) tail(lines int) string {
	f, err := os.Open(s.logPath)
	if err != nil {
		return ""
	}
	defer f.Close()
	buf := make([]byte, 16<<10)
	s.mu.Lock()
	from := s.logFrom
	s.mu.Unlock()
	if info, err := f.Stat(); err == nil {
		from = max(from, info.Size()-int64(len(buf)))
	}
	n, _ := f.ReadAt(buf, from) // a short read is the end of the file
	all := bytes.Split(bytes.TrimSpace(buf[:n]), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}

// freePort holds on to the ports above highest until it has found one, so that none comes twice.
func freePort(highest int) (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	if port := l.Addr().(*net.TCPAddr).Port; highest == 0 || port <= highest {
		return port, nil
	}
	return freePort(highest)
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
