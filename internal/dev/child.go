package main

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

// child is one of our programs. It dies with this process, and a Ctrl-C reaches it through us alone.
type child struct {
	name string
	cmd  *exec.Cmd
	log  string
	done chan struct{}
	err  error
}

func spawn(name string, env map[string]string) (*child, error) {
	dir := filepath.Join(dotDev, "log")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("make %s: %w", dir, err)
	}
	c := &child{name: name, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	out, err := os.Create(c.log)
	if err != nil {
		return nil, fmt.Errorf("make %s's log: %w", name, err)
	}
	c.cmd = exec.Command(filepath.Join(dotDev, "bin", name))
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
		close(c.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	return c, nil
}

func (c *child) interrupt() {
	if c.cmd.Process != nil {
		c.cmd.Process.Signal(syscall.SIGTERM) //nolint:errcheck // it may have ended by itself
	}
}

func (c *child) wait(limit time.Duration) {
	select {
	case <-c.done:
	case <-time.After(limit):
		c.cmd.Process.Kill() //nolint:errcheck // it may have ended meanwhile
		<-c.done
	}
}

// failed is not nil once the program has ended.
func (c *child) failed() error {
	select {
	case <-c.done:
		return fmt.Errorf("%s ended: %v; the end of its log:\n%s", c.name, c.err, c.tail())
	default:
		return nil
	}
}

func (c *child) tail() string {
	b, err := os.ReadFile(c.log)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	return string(bytes.Join(lines[max(0, len(lines)-10):], []byte("\n")))
}
