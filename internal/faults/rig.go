package main

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	goredis "github.com/redis/go-redis/v9"

	"mailsweep/internal/dev/local"
	"mailsweep/internal/dev/stack"
	"mailsweep/internal/faults/wire"
	"mailsweep/internal/sim/stripe"
)

// rig is a whole installation under our hands: databases, the simulated Google, several of each program, and between a program and
// what it talks to a wire of its own and the weather of all.
type rig struct {
	*stack.Stack
	say      func(format string, args ...any)
	rng      *rand.Rand
	bin      string
	logs     string
	root     string
	database string        // superuser's URL
	judge    *pgxpool.Pool // superuser, past the weather: what is really there
	redis    *goredis.Client

	weather  *weather
	wires    map[string]map[string]*wire.Wire // by process and service
	settings map[string]map[string]string     // by process
	calls    *history
	people   []*person
	joined   int // people who ever signed up; each has a number of their own
}

// settings of all programs: limits are out of the way, and there are few slots, so that jobs wait for each other.
func baseSettings() map[string]string {
	return map[string]string{"ENV": "test", "BCRYPT_COST": "4", "SIGNUPS_PER_HOUR_PER_IP": "100000", "SIGNUPS_PER_HOUR": "100000", "OPEN_JOBS_PER_CUSTOMER": "1000", "EXECUTES_PER_DAY": "100000",
		"WORKER_CONCURRENCY": "4", "LOG_LEVEL": "debug",
		"PLAN_LIMITS": `{"basic":{"emails_per_period":50000000,"requests_per_minute":1000000},"pro":{"emails_per_period":50000000,"requests_per_minute":1000000},"free":{"emails_per_period":50000000,"requests_per_minute":1000000}}`}
}

// build starts an installation of api, worker and scheduler, two of each, with PostgreSQL and Redis that sync to disk.
func build(ctx context.Context, o options, name string, settings map[string]string) (r *rig, err error) {
	r = &rig{say: o.say, rng: rand.New(rand.NewPCG(o.seed, 3)), bin: filepath.Join(o.dir, "bin"), logs: filepath.Join(o.dir, name, "log"), root: o.root, calls: &history{},
		wires: map[string]map[string]*wire.Wire{}, settings: map[string]map[string]string{}}
	if err := os.RemoveAll(filepath.Join(o.dir, name)); err != nil {
		return r, fmt.Errorf("remove the logs of an earlier run: %w", err)
	}
	env := baseSettings()
	maps.Copy(env, settings)
	r.Stack, err = stack.Start(ctx, stack.Options{Dir: filepath.Join(o.dir, name), Root: o.root, Bin: r.bin, Seed: o.seed, TimeScale: 1000, Env: env, Idle: true,
		Services: local.Options{Dir: o.dir, Fresh: true, Private: true, Fsync: true}, Say: func(string, ...any) {}})
	if err != nil {
		return r, err
	}
	if r.weather, err = newWeather(map[string]string{postgres: host(r.Services.PostgresURL), redis: host(r.Services.RedisURL), gmail: host(r.Google), payments: host(r.Stripe)}); err != nil {
		return r, err
	}
	if err := r.seat(ctx); err != nil {
		return r, err
	}
	names := []string{"api", "worker", "scheduler", "api-2", "worker-2", "scheduler-2"}
	addresses, err := stack.FreeAddresses(2 * len(names))
	if err != nil {
		return r, err
	}
	addresses[0], addresses[1] = host(r.API), host(r.Ops) // where the simulated Stripe posts its events
	for i, name := range names {
		if err := r.add(name, addresses[2*i], addresses[2*i+1]); err != nil {
			return r, err
		}
	}
	return r, r.up(ctx)
}

// seat connects the judge to the database itself, as superuser.
func (r *rig) seat(ctx context.Context) error {
	at, err := url.Parse(r.Env["SCHEDULER_DATABASE_URL"])
	if err != nil {
		return fmt.Errorf("read the database's URL: %w", err)
	}
	super, err := url.Parse(r.Services.PostgresURL)
	if err != nil {
		return fmt.Errorf("read the database's URL: %w", err)
	}
	super.Path = at.Path
	r.database = super.String()
	if r.judge, err = pgxpool.New(ctx, r.database); err != nil {
		return fmt.Errorf("seat the judge: %w", err)
	}
	o, err := goredis.ParseURL(r.Services.RedisURL)
	if err != nil {
		return fmt.Errorf("read the URL of Redis: %w", err)
	}
	r.redis = goredis.NewClient(o)
	return nil
}

func host(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// add prepares a process with listeners and wires of its own, and starts it.
func (r *rig) add(name, at, ops string) error {
	program, _, _ := strings.Cut(name, "-")
	r.settings[name] = map[string]string{"API_ADDR": at, "PUBLIC_URL": "http://" + at, "OPS_ADDR": ops, "WORKER_OPS_ADDR": ops, "SCHEDULER_OPS_ADDR": ops}
	r.wires[name] = map[string]*wire.Wire{}
	for service, dialect := range map[string]wire.Dialect{postgres: wire.Postgres(), redis: wire.Redis(), gmail: wire.HTTP(), payments: wire.HTTP()} {
		w, err := wire.Listen(r.weather.at(service), dialect)
		if err != nil {
			return err
		}
		r.wires[name][service] = w
		r.through(r.settings[name], service, w.Addr)
	}
	return r.SpawnWith(program, name, r.settings[name])
}

// through leads a process's way to a service over an address.
func (r *rig) through(settings map[string]string, service, address string) {
	names := map[string][]string{postgres: {"API_DATABASE_URL", "WORKER_DATABASE_URL", "SCHEDULER_DATABASE_URL", "OPS_DATABASE_URL"},
		redis: {"REDIS_URL"}, gmail: {"GMAIL_BASE_URL", "GOOGLE_TOKEN_URL", "GOOGLE_REVOKE_URL", "GOOGLE_CERTS_URL"}, payments: {"STRIPE_URL"}}
	for _, n := range names[service] {
		settings[n] = strings.Replace(r.Env[n], host(r.Env[n]), address, 1)
	}
}

// spawn starts a process again, as a supervisor would.
func (r *rig) spawn(name string) error {
	program, _, _ := strings.Cut(name, "-")
	return r.SpawnWith(program, name, r.settings[name])
}

// kill ends a process with no chance to say goodbye; it is started again at once.
func (r *rig) kill(name string) error {
	r.Children[name].Kill()
	return r.spawn(name)
}

// all are the names of the processes of a program, in order.
func (r *rig) all(program string) (names []string) {
	for _, name := range []string{program, program + "-2", program + "-3"} {
		if r.settings[name] != nil { // not the children: one may be starting again at this moment
			names = append(names, name)
		}
	}
	return names
}

// bases are the addresses of the APIs, those first that the caller did not use last.
func (r *rig) base(try int) string {
	names := r.all("api")
	return "http://" + r.settings[names[try%len(names)]]["API_ADDR"]
}

// up waits until every process is ready; the ones that ended by themselves are an error.
func (r *rig) up(ctx context.Context) error { return r.Await(ctx, r.names()...) }

func (r *rig) names() (names []string) {
	for _, program := range stack.Programs() {
		names = append(names, r.all(program)...)
	}
	return names
}

// calm takes every fault away and brings back every process.
func (r *rig) calm(ctx context.Context) error {
	r.weather.clear()
	r.Sim.ClearFaults()
	r.Pay.Strike(stripe.Faults{})
	for _, name := range r.names() {
		for _, w := range r.wires[name] {
			w.Arm(nil)
		}
		r.Children[name].Thaw()
		if r.Children[name].Failed() != nil {
			if err := r.spawn(name); err != nil {
				return err
			}
		}
	}
	return r.up(ctx)
}

// end stops everything; safe after a failed build.
func (r *rig) end() {
	if r.judge != nil {
		r.judge.Close()
	}
	if r.redis != nil {
		r.redis.Close()
	}
	if r.Stack != nil {
		r.Stack.Stop()
	}
	for _, of := range r.wires {
		for _, w := range of {
			w.Close()
		}
	}
	r.weather.stop()
}

// until looks for something that tells nobody when it happens; an error names what did not.
func until(ctx context.Context, limit time.Duration, what string, holds func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %s", limit, what)
		case <-tick.C:
		}
	}
	return nil
}
