package stack

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// Child is one of our programs. It dies with this process, and a Ctrl-C reaches it through us alone.
type Child struct {
	Done chan struct{} // closed when the program has ended

	name string
	at   string // base URL of where it tells whether it is ready
	cmd  *exec.Cmd
	log  string
	err  error
}

func spawn(dir, program, name string, env map[string]string) (*Child, error) {
	dir = filepath.Join(dir, "log")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make %s: %w", dir, err)
	}
	c := &Child{name: name, log: filepath.Join(dir, name+".log"), Done: make(chan struct{})}
	out, err := os.OpenFile(c.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("make %s's log: %w", name, err)
	}
	c.cmd = exec.Command(program)
	c.cmd.Stdout, c.cmd.Stderr = out, out
	c.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + os.Getenv("HOME"), "TMPDIR=" + os.TempDir()}
	for k, v := range env {
		c.cmd.Env = append(c.cmd.Env, k+"="+v)
	}
	c.cmd.SysProcAttr = childAttributes()
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the death signal is the thread's, not the process's
		started <- c.cmd.Start()
		c.err = c.cmd.Wait()
		out.Close()
		close(c.Done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return c, nil
}

// Interrupt asks the program to stop.
func (c *Child) Interrupt() {
	if c.cmd.Process != nil {
		c.cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may have ended by itself
	}
}

// Wait waits for the program's end and kills it after limit.
func (c *Child) Wait(limit time.Duration) {
	select {
	case <-c.Done:
	case <-time.After(limit):
		c.cmd.Process.Kill() //nolint:errcheck // it may have ended meanwhile
		<-c.Done
	}
}

// Failed is not nil once the program has ended.
func (c *Child) Failed() error {
	select {
	case <-c.Done:
		return fmt.Errorf("%s ended: %v; the end of its log:\n%s", c.name, c.err, c.Tail())
	default:
		return nil
	}
}

// Tail is the end of the program's log.
func (c *Child) Tail() string {
	b, err := os.ReadFile(c.log)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-10):], []byte("\n")))
}

// Kill ends the program with no chance to say goodbye, and returns when it is gone.
func (c *Child) Kill() {
	c.cmd.Process.Kill() //nolint:errcheck // it may have ended meanwhile
	<-c.Done
}

// Freeze stops the program where it is, until Thaw: it neither works nor knows that time passes.
func (c *Child) Freeze() { c.cmd.Process.Signal(syscall.SIGSTOP) } //nolint:errcheck // it may have ended by itself

// Thaw lets a frozen program go on.
func (c *Child) Thaw() { c.cmd.Process.Signal(syscall.SIGCONT) } //nolint:errcheck // it may have ended by itself

// Pid is the program's process id.
func (c *Child) Pid() int { return c.cmd.Process.Pid }

// ExitCode is how the program ended: -1 while it runs and when a signal ended it.
func (c *Child) ExitCode() int {
	select {
	case <-c.Done:
		return c.cmd.ProcessState.ExitCode()
	default:
		return -1
	}
}
