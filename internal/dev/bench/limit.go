package bench

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// inserts is what PostgreSQL can do at most: pgbench inserting single rows, prepared.
type inserts struct {
	r      *rig
	script string
	url    string
}

func (b *bench) inserts(ctx context.Context, r *rig) (*inserts, error) {
	err := r.exec(ctx, `CREATE TABLE IF NOT EXISTS limit_rows (id bigserial PRIMARY KEY, customer int NOT NULL, body text NOT NULL, created_at timestamptz NOT NULL DEFAULT now())`)
	if err != nil {
		return nil, err
	}
	in := &inserts{r: r, script: filepath.Join(b.Dir, "bench", "insert.sql")}
	script := "\\set c random(1, 100000)\nINSERT INTO limit_rows (customer, body) VALUES (:c, '" + strings.Repeat("x", 100) + "');\n"
	if err := os.WriteFile(in.script, []byte(script), 0o644); err != nil {
		return nil, fmt.Errorf("write pgbench's script: %w", err)
	}
	if in.script, err = filepath.Abs(in.script); err != nil {
		return nil, fmt.Errorf("find pgbench's script: %w", err)
	}
	in.url, err = r.database()
	return in, err
}

var tps = regexp.MustCompile(`tps = ([0-9.]+)`)

// run gives transactions per second over conns connections.
func (in *inserts) run(_ context.Context, conns int, d time.Duration) (float64, error) {
	cmd := in.r.Services.Postgres.Tool("pgbench", "-n", "-M", "prepared", "-f", in.script, "-c", strconv.Itoa(conns), "-j", "2", "-T", strconv.Itoa(int(d.Seconds())), in.url)
	out, err := cmd.CombinedOutput()
	found := tps.FindSubmatch(out)
	if err != nil || found == nil {
		return 0, fmt.Errorf("run pgbench: %w: %s", err, out)
	}
	return strconv.ParseFloat(string(found[1]), 64)
}

// bare is an Echo that answers one GET, and nothing around it.
func (b *bench) bare(ctx context.Context) (at string, stop func(), err error) {
	return b.serving(ctx, "echo")
}

// serving starts a peer that prints where it answers.
func (b *bench) serving(ctx context.Context, args ...string) (at string, stop func(), err error) {
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, b.peers(), args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		return "", nil, fmt.Errorf("start the peer %s: %w", args[0], err)
	}
	stop = func() { cancel(); _ = cmd.Wait() } // it was killed
	at, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		stop()
		return "", nil, fmt.Errorf("start the peer %s: %w", args[0], err)
	}
	return strings.TrimSpace(at), stop, nil
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

func middle(values []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}
