package local

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// StartRedisNode starts a Redis that can become a node of a cluster: it knows nobody and has no slots yet.
func StartRedisNode(ctx context.Context, o Options) (*Server, error) {
	o.redisArgs = append(o.redisArgs, "--cluster-enabled", "yes", "--cluster-node-timeout", "2000")
	o.highestPort = 65535 - 10000 // nodes speak to each other on a port that is higher by that
	return StartRedis(ctx, o)
}

// StartSentinel starts a Sentinel that watches a master under a name, all by itself: it takes it for dead after half a second and puts
// a replica in its place.
func StartSentinel(ctx context.Context, o Options, name string, master *Server) (*Server, error) {
	at, err := url.Parse(master.URL)
	if err != nil {
		return nil, fmt.Errorf("address of the master: %w", err)
	}
	rules := fmt.Sprintf("sentinel monitor %[1]s %[2]s %[3]s 1\nsentinel down-after-milliseconds %[1]s 500\nsentinel failover-timeout %[1]s 3000\n",
		name, at.Hostname(), at.Port())
	return startAlone(ctx, o, false, func(ctx context.Context, o Options, p *place, prog *program, exited chan<- error) (*Server, error) {
		return startSentinel(ctx, o, rules, p, prog, exited)
	})
}

// sentinelFile is rewritten by the Sentinel as it learns.
const sentinelFile = "sentinel.conf"

func startSentinel(ctx context.Context, o Options, rules string, p *place, prog *program, exited chan<- error) (*Server, error) {
	file := filepath.Join(p.data, sentinelFile)
	if err := os.WriteFile(file, []byte(rules), 0o600); err != nil {
		return nil, fmt.Errorf("write the rules of the Sentinel: %w", err)
	}
	if err := p.as.own(file); err != nil {
		return nil, fmt.Errorf("hand over the rules of the Sentinel: %w", err)
	}
	s := &Server{
		name: "Sentinel", as: p.as, exited: exited, logPath: filepath.Join(p.dir, "redis.log"), stopSignal: syscall.SIGTERM, deathSignal: syscall.SIGKILL,
		command: func(port int) *exec.Cmd {
			return prog.command(p.data, prog.name, sentinelFile, "--sentinel", "--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--daemonize", "no")
		},
		ready: func(_ context.Context, s *Server) bool { return redisReady(s.port, s.current().pid) },
	}
	begun := time.Now()
	if err := s.start(ctx, 0); err != nil {
		return nil, err
	}
	s.URL = fmt.Sprintf("redis://127.0.0.1:%d", s.port)
	o.log("Sentinel ready on 127.0.0.1:%d after %s", s.port, time.Since(begun).Round(10*time.Millisecond))
	return s, nil
}
