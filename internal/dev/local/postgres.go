package local

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// startPostgres makes the cluster at the first run. Its name holds the major version, since a cluster can be read
// only by the version that made it.
func startPostgres(ctx context.Context, o Options, p *place, prog *program, exited chan<- error) (*Server, error) {
	begun := time.Now()
	data := filepath.Join(p.data, "pg"+prog.major())
	o.log("PostgreSQL %s from %s%s", prog.version, prog.dir, p.as.suffix())
	password, err := makeCluster(ctx, o, p, prog, data)
	if err != nil {
		return nil, err
	}
	if err := clearStale(ctx, o, data); err != nil {
		return nil, err
	}
	s := &Server{
		name: "PostgreSQL", as: p.as, tools: prog, exited: exited, logPath: filepath.Join(p.dir, "postgres.log"),
		stopSignal: syscall.SIGINT, deathSignal: syscall.SIGQUIT,
		command: func(port int) *exec.Cmd { return postgresCommand(o, prog, data, port) },
		ready:   func(_ context.Context, s *Server) bool { return postmasterReady(data, s.current().pid) },
	}
	if p.fresh {
		s.stopSignal = syscall.SIGQUIT // nobody reads the data again
	}
	if err := s.start(ctx, 0); err != nil {
		return nil, err
	}
	login := url.URL{Scheme: "postgres", User: url.UserPassword("postgres", password),
		Host: fmt.Sprintf("127.0.0.1:%d", s.port), Path: "/postgres", RawQuery: "sslmode=disable"}
	s.URL = login.String()
	o.log("PostgreSQL ready on 127.0.0.1:%d after %s", s.port, time.Since(begun).Round(10*time.Millisecond))
	return s, nil
}

func (a *account) suffix() string {
	if a == nil {
		return ""
	}
	return ", run as user " + a.name
}

// postgresCommand listens on loopback only and on no socket file. jit=off also spares loading LLVM, a hundred
// megabytes that an unpacked installation leaves out.
func postgresCommand(o Options, prog *program, data string, port int) *exec.Cmd {
	args := []string{"-D", data, "-p", strconv.Itoa(port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=200",
		"-c", "jit=off", "-c", "logging_collector=off", "-c", "log_destination=stderr"}
	if !o.Fsync {
		args = append(args, "-c", "fsync=off", "-c", "full_page_writes=off")
	}
	return prog.command(data, "postgres", args...)
}

// makeCluster returns the superuser's password. The cluster gets its name only when whole, so a killed run leaves none
// half made.
func makeCluster(ctx context.Context, o Options, p *place, prog *program, data string) (string, error) {
	secret := filepath.Join(p.dir, "password")
	if _, err := os.Stat(filepath.Join(data, "PG_VERSION")); err == nil {
		known, err := os.ReadFile(secret)
		if err == nil && len(known) > 0 {
			return string(known), nil
		}
		return "", fmt.Errorf("the password of the cluster in %s is lost (%w): remove that folder", p.dir, err)
	}
	o.log("PostgreSQL: creating a private cluster in %s", data)
	password, err := writePassword(secret)
	if err != nil {
		return "", fmt.Errorf("keep the cluster's password: %w", err)
	}
	forInitdb := filepath.Join(p.data, "initdb.password")
	half := data + ".new"
	defer os.Remove(forInitdb)
	if err := errors.Join(os.RemoveAll(half), os.WriteFile(forInitdb, []byte(password), 0o600), p.as.own(forInitdb)); err != nil {
		return "", fmt.Errorf("prepare initdb: %w", err)
	}
	if err := initdb(ctx, o, p, prog, half, forInitdb); err != nil {
		return "", err
	}
	if err := os.Rename(half, data); err != nil {
		return "", fmt.Errorf("name the new cluster: %w", err)
	}
	return password, nil
}

// writePassword keeps a password that is there: clusters of several versions in one folder share it.
func writePassword(path string) (string, error) {
	if known, err := os.ReadFile(path); err == nil && len(known) > 0 {
		return string(known), nil
	}
	password := rand.Text()
	return password, os.WriteFile(path, []byte(password), 0o600)
}

func initdb(ctx context.Context, o Options, p *place, prog *program, dir, pwfile string) error {
	args := []string{"-D", dir, "-U", "postgres", "-E", "UTF8", "--locale=C", "-A", "scram-sha-256", "--pwfile=" + pwfile}
	if !o.Fsync {
		args = append(args, "--no-sync")
	}
	cmd := prog.command(p.data, "initdb", args...)
	runtime.LockOSThread() // the death signal follows the thread
	defer runtime.UnlockOSThread()
	cmd.SysProcAttr = childAttr(p.as, syscall.SIGKILL)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start initdb: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = cmd.Process.Kill() })
	defer stop()
	if err := cmd.Wait(); err != nil {
		return fmt.Errorf("create a cluster in %s: %w; initdb said:\n%s", dir, errors.Join(err, ctx.Err()), strings.TrimSpace(out.String()))
	}
	return nil
}

// postmasterReady reads what pg_ctl reads: line 1 of postmaster.pid is the process, line 8 its state.
func postmasterReady(data string, pid int) bool {
	lines := pidFile(data)
	return len(lines) >= 8 && strings.TrimSpace(lines[0]) == strconv.Itoa(pid) && strings.TrimSpace(lines[7]) == "ready"
}

func pidFile(data string) []string {
	raw, err := os.ReadFile(filepath.Join(data, "postmaster.pid"))
	if err != nil {
		return nil
	}
	return strings.Split(string(raw), "\n")
}

// clearStale deals with what a killed run left: it ends a postmaster that still runs on this cluster (we hold the
// folder's lock, so it has no owner) and forgets one whose number now belongs to another program.
func clearStale(ctx context.Context, o Options, data string) error {
	lines := pidFile(data)
	if lines == nil {
		return nil
	}
	pid, err := strconv.Atoi(strings.TrimSpace(lines[0]))
	if err != nil || pid <= 1 || syscall.Kill(pid, 0) == syscall.ESRCH {
		return nil // PostgreSQL itself clears these
	}
	if !runsOn(pid, data) {
		return ignoreMissing(os.Remove(filepath.Join(data, "postmaster.pid")))
	}
	o.log("PostgreSQL: ending process %d, left by a killed run", pid)
	_ = syscall.Kill(pid, syscall.SIGQUIT) // gone already is as good
	ctx, cancel := context.WithTimeout(ctx, stopLimit)
	defer cancel()
	for runsOn(pid, data) {
		if ctx.Err() != nil {
			return fmt.Errorf("process %d, left by a killed run, still holds %s", pid, data)
		}
		pause(ctx, 20*time.Millisecond)
	}
	return nil
}

// runsOn asks /proc; where there is none, ps.
func runsOn(pid int, data string) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err == nil {
		return bytes.Contains(raw, []byte("postgres")) && bytes.Contains(raw, []byte(data))
	}
	out, err := exec.Command("ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	return err == nil && bytes.Contains(out, []byte("postgres")) && bytes.Contains(out, []byte(data))
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}
