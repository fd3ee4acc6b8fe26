package bench

import (
	"context"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"mailsweep/internal/dev/local"
	"mailsweep/internal/dev/stack"
)

// rig is a stack of its own for one row: fresh servers with fsync, our three programs, and a login that sees every tenant.
type rig struct {
	*stack.Stack
	root *pgxpool.Pool
}

// limits lift what would stop a load that one machine makes: the platform's own guards are not what is measured.
func limits() map[string]string {
	return map[string]string{
		"LOG_LEVEL": "info", "OPEN_JOBS_PER_CUSTOMER": "100000", "RUNNING_JOBS_PER_CUSTOMER": "1000", "WORKER_CONCURRENCY": "80", "EXECUTES_PER_DAY": "1000000", "TRUSTED_PROXIES": "127.0.0.0/8",
		"PLAN_LIMITS": `{"enterprise":{"emails_per_period":1000000000,"mailboxes":50,"people":50,"requests_per_minute":10000000}}`,
	}
}

// start brings a stack up and leaves only the programs named running.
func (b *bench) start(ctx context.Context, programs ...string) (*rig, error) {
	return b.startAt(ctx, 1, programs...)
}

// startAt does so with the simulated Google's quota running faster.
func (b *bench) startAt(ctx context.Context, scale float64, programs ...string) (*rig, error) {
	dir := filepath.Join(b.Dir, "bench")
	st, err := stack.Start(ctx, stack.Options{Dir: dir, Root: b.Root, Bin: b.bin, Seed: 1, TimeScale: scale, Env: limits(),
		Services: local.Options{Dir: dir, Private: true, Fresh: true, Fsync: true}, Say: func(string, ...any) {}})
	r := &rig{Stack: st}
	if err != nil {
		r.stop()
		return nil, err
	}
	for _, name := range stack.Programs() {
		if !strings.Contains(strings.Join(programs, " "), name) {
			st.Children[name].Interrupt()
			st.Children[name].Wait(30 * time.Second)
		}
	}
	if r.root, err = r.login(ctx); err != nil {
		r.stop()
		return nil, err
	}
	return r, nil
}

// login connects as superuser.
func (r *rig) login(ctx context.Context) (*pgxpool.Pool, error) {
	address, err := r.database()
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.New(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("connect to the stack's database: %w", err)
	}
	return pool, nil
}

// database is the superuser's URL of the stack's database.
func (r *rig) database() (string, error) {
	ours, err := url.Parse(r.Env["API_DATABASE_URL"])
	if err != nil {
		return "", err
	}
	boss, err := url.Parse(r.Services.PostgresURL)
	if err != nil {
		return "", err
	}
	boss.Path = ours.Path
	return boss.String(), nil
}

func (r *rig) stop() {
	if r.root != nil {
		r.root.Close()
	}
	r.Stop()
}

// exec runs statements as superuser.
func (r *rig) exec(ctx context.Context, statements ...string) error {
	for _, s := range statements {
		if _, err := r.root.Exec(ctx, s); err != nil {
			return fmt.Errorf("%s: %w", s, err)
		}
	}
	return nil
}

// named runs one statement with named arguments as superuser.
func (r *rig) named(ctx context.Context, statement string, args map[string]any) error {
	if _, err := r.root.Exec(ctx, statement, pgx.NamedArgs(args)); err != nil {
		return fmt.Errorf("%s: %w", statement, err)
	}
	return nil
}

// addr is the host and port of a base URL.
func addr(base string) string { return strings.TrimPrefix(base, "http://") }
