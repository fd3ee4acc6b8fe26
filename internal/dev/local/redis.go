package local

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// databases is how many numbered databases a Redis of ours has: enough for one per test of a process.
const databases = 512

// startRedis keeps an append-only file, so that a killed Redis comes back with everything it had acknowledged.
func startRedis(ctx context.Context, o Options, p *place, prog *program, exited chan<- error) (*Server, error) {
	begun := time.Now()
	data := filepath.Join(p.data, "redis")
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, fmt.Errorf("make the folder of Redis: %w", err)
	}
	if err := p.as.own(data); err != nil {
		return nil, fmt.Errorf("hand over the folder of Redis: %w", err)
	}
	o.log("Redis %s from %s%s", prog.version, prog.dir, p.as.suffix())
	s := &Server{
		name: "Redis", as: p.as, tools: prog, exited: exited, logPath: filepath.Join(p.dir, "redis.log"),
		stopSignal: syscall.SIGTERM, deathSignal: syscall.SIGTERM, highestPort: o.highestPort,
		command: func(port int) *exec.Cmd { return redisCommand(o, prog, data, port) },
		ready:   func(_ context.Context, s *Server) bool { return redisReady(s.port, s.current().pid) },
	}
	if p.fresh {
		s.stopSignal, s.deathSignal = syscall.SIGKILL, syscall.SIGKILL
	}
	if err := s.start(ctx, 0); err != nil {
		return nil, err
	}
	s.URL = fmt.Sprintf("redis://127.0.0.1:%d/0", s.port)
	o.log("Redis ready on 127.0.0.1:%d after %s", s.port, time.Since(begun).Round(10*time.Millisecond))
	return s, nil
}

// redisCommand: noeviction because a queue that forgets is no queue.
func redisCommand(o Options, prog *program, data string, port int) *exec.Cmd {
	sync := "no"
	if o.Fsync {
		sync = "everysec"
	}
	return prog.command(data, prog.name, append([]string{"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", ".",
		"--appendonly", "yes", "--appendfsync", sync, "--save", "", "--maxmemory-policy", "noeviction",
		"--databases", strconv.Itoa(databases), "--daemonize", "no"}, o.redisArgs...)...)
}

// redisReady makes sure that it is our child that answers, not another Redis that took the port.
func redisReady(port, pid int) bool {
	conn, err := net.DialTimeout("tcp", fmt.Sprintf("127.0.0.1:%d", port), time.Second)
	if err != nil {
		return false
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(time.Second)) // fails only on a closed connection, as the next write does
	if _, err := io.WriteString(conn, "INFO server\r\nPING\r\n"); err != nil {
		return false
	}
	ours := false
	lines := bufio.NewScanner(conn)
	for lines.Scan() {
		line := strings.TrimSpace(lines.Text())
		ours = ours || line == fmt.Sprintf("process_id:%d", pid)
		if line == "+PONG" || strings.HasPrefix(line, "-") {
			return ours && line == "+PONG"
		}
	}
	return false
}
