package main

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mailsweep/internal/dev/customer"
	"mailsweep/internal/sim/stripe"
)

// rotated is F-21: while cleanups run, mailboxes are connected, and people sign in, look and submit, each kind of key gets a successor and
// is taken away. Nobody valid is refused, and what was sealed before is read after.
func rotated(ctx context.Context, d *drill) error {
	if err := d.keysetsInFiles(ctx); err != nil {
		return err
	}
	people, err := d.join(ctx, 4, 3000)
	if err != nil {
		return err
	}
	for i := 0; i < d.n && err == nil; i++ {
		err = d.rotateAll(ctx, people)
	}
	return err
}

// rotateAll has half of the people cleaning up when it begins; the other half have frozen theirs, and begin when all keys are others.
func (d *drill) rotateAll(ctx context.Context, people []*person) error {
	half := len(people) / 2
	frozen, err := previews(ctx, people[half:])
	if err != nil {
		return err
	}
	running, err := d.underWay(ctx, people[:half])
	if err != nil {
		return err
	}
	buyers, err := d.shoppers(ctx, 3)
	if err != nil {
		return err
	}
	mark := d.calls.mark()
	c, err := d.crowd(ctx, people)
	if err != nil {
		return err
	}
	err = d.resealed(ctx, people[0])
	if err == nil {
		err = d.resigned(ctx, c, buyers)
	}
	if e := c.stop(); e != nil {
		d.v.wrong("somebody valid was refused: %s", e)
	}
	t := d.calls.since(mark)
	d.v.note("%s", t)
	if t.by[failed] > 0 {
		d.v.wrong("%d valid calls were refused", t.by[failed])
	}
	if err != nil {
		return err
	}
	d.Sim.ClearFaults()
	for _, name := range append(d.all("worker"), d.all("scheduler")...) { // what they remember is gone
		if err := d.restart(ctx, name); err != nil {
			return err
		}
	}
	err = each(frozen, func(_ int, c *cleanup) error { return errors.Join(c.readApproved(ctx), c.execute(ctx)) })
	return errors.Join(err, d.conclude(ctx, append(running, frozen...)), d.haveOnce(ctx, buyers, time.Now()))
}

// keysetsInFiles writes the keysets, which a development's programs have in their environment, to files that can be changed while they run.
func (d *drill) keysetsInFiles(ctx context.Context) error {
	dir, err := filepath.Abs(filepath.Join(filepath.Dir(d.logs), "keys"))
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return fmt.Errorf("make a folder for keysets: %w", err)
	}
	for _, name := range []string{"TOKEN_KEYSET_PUBLIC", "TOKEN_KEYSET_PRIVATE", "INDEX_KEYSET"} {
		text, err := base64.StdEncoding.DecodeString(d.Env[name])
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), text, 0o600)
		}
		if err != nil {
			return fmt.Errorf("write %s to a file: %w", name, err)
		}
		d.Env[name] = filepath.Join(dir, name)
	}
	for _, name := range d.names() {
		if err := d.restart(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// resealed gives both keysets another key by the worker's commands, as README has it, and destroys the old one. Meanwhile mailboxes are
// connected, one after the other.
func (d *drill) resealed(ctx context.Context, witness *person) error {
	load, stop := context.WithCancel(ctx)
	joined := make(chan error, 1)
	newcomers := 0
	go func() {
		var err error
		for ; err == nil && load.Err() == nil; newcomers++ {
			_, err = d.join(ctx, 1, 50)
		}
		joined <- err
	}()
	err := d.changeKeysets(ctx, witness)
	stop()
	if e := <-joined; e != nil {
		d.v.wrong("a mailbox could not be connected: %s", e)
	}
	d.v.note("%d people came in while the keysets changed", newcomers)
	return err
}

func (d *drill) changeKeysets(ctx context.Context, witness *person) error {
	old := map[string]string{}
	for _, set := range []string{"token", "index"} {
		was, err := d.primary(ctx, set)
		if err != nil {
			return err
		}
		old[set] = was
		said, err := d.workerKeys(ctx, "add", set)
		if err != nil {
			return err
		}
		fields := strings.Fields(said) // "added key N to …"
		if len(fields) < 3 {
			return fmt.Errorf("worker keys add said %q", said)
		}
		if _, err := d.workerKeys(ctx, "promote", set, fields[2]); err != nil {
			return err
		}
	}
	if err := d.publish(ctx); err != nil {
		return err
	}
	if err := d.allSealWithTheNew(ctx, old); err != nil {
		return err
	}
	for set, key := range old {
		begun := time.Now()
		err := until(ctx, time.Minute, "nothing is sealed under key "+key+" of "+set, func() bool {
			_, err := d.workerKeys(ctx, "reseal")
			if err == nil {
				_, err = d.workerKeys(ctx, "disable", set, key)
			}
			return err == nil
		})
		if err != nil {
			return err
		}
		d.v.recovered(begun)
		if _, err := d.workerKeys(ctx, "destroy", set, key); err != nil {
			return err
		}
		d.v.Strikes++
	}
	return witness.submit(ctx)
}

// workerKeys runs a command for keysets, with the worker's settings.
func (d *drill) workerKeys(ctx context.Context, args ...string) (said string, err error) {
	out, err := d.Command(ctx, "worker", append([]string{"keys"}, args...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("worker keys %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return string(out), nil
}

// primary is the key that a keyset seals with, as worker keys status tells.
func (d *drill) primary(ctx context.Context, set string) (key string, err error) {
	said, err := d.workerKeys(ctx, "status")
	for line := range strings.Lines(said) {
		if f := strings.Fields(line); len(f) == 4 && f[0] == set && f[2] == "primary" {
			return f[1], nil
		}
	}
	return "", errors.Join(err, fmt.Errorf("keyset %s has no primary key: %s", set, said))
}

// publish gives the API the public half, in one step.
func (d *drill) publish(ctx context.Context) error {
	public, err := d.workerKeys(ctx, "public")
	if err != nil {
		return err
	}
	file := d.Env["TOKEN_KEYSET_PUBLIC"]
	if err := os.WriteFile(file+".next", []byte(public), 0o600); err != nil {
		return fmt.Errorf("write the public half: %w", err)
	}
	return os.Rename(file+".next", file)
}

// allSealWithTheNew waits until no process says any more that it seals with an old key.
func (d *drill) allSealWithTheNew(ctx context.Context, old map[string]string) error {
	sets := map[string][]string{"api": {"token", "index"}, "worker": {"token", "index"}, "scheduler": {"index"}}
	for program, has := range sets {
		for _, name := range d.all(program) {
			for _, set := range has {
				was, err := strconv.ParseFloat(old[set], 64)
				if err != nil {
					return fmt.Errorf("read the id of a key: %w", err)
				}
				err = until(ctx, time.Minute, name+" seals with the new key of "+set, func() bool {
					now, err := d.figure(ctx, name, `mailsweep_keyset_primary{keyset="`+set+`"}`)
					return err == nil && now != was
				})
				if err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// inSettings are the keys that an API has in its settings: the first signs, hashes, or is Stripe's; all are taken.
var inSettings = []struct{ name, id string }{{"JWT_KEYS", "k"}, {"PASSWORD_PEPPERS", "p"}, {"STRIPE_WEBHOOK_SECRETS", ""}}

// resigned changes them by restarting the APIs in turn, three times: the new one comes last, then first, then the old one goes. Before it
// goes everybody has signed in: tokens and passwords are renewed by that.
func (d *drill) resigned(ctx context.Context, c *crowd, buyers []*person) error {
	old, next := map[string]string{}, map[string]string{}
	for _, s := range inSettings {
		old[s.name] = d.Env[s.name]
		next[s.name] = s.id + rand.Text()[:6] + ":" + base64.StdEncoding.EncodeToString(chance(32))
		if s.id == "" {
			next[s.name] = "whsec_" + rand.Text()
		}
	}
	secret := next["STRIPE_WEBHOOK_SECRETS"]
	held := *c.people[0]
	if err := held.signIn(ctx); err != nil {
		return err
	}
	steps := []struct {
		settings func(name string) string
		events   stripe.Webhooks
	}{
		{func(name string) string { return old[name] + "," + next[name] }, stripe.Webhooks{Also: secret}},
		{func(name string) string { return next[name] + "," + old[name] }, stripe.Webhooks{Also: secret}},
		{func(name string) string { return next[name] }, stripe.Webhooks{Secret: secret}},
	}
	for i, step := range steps {
		if i == 2 {
			if err := each(d.people, func(_ int, p *person) error { return p.signIn(ctx) }); err != nil {
				return err
			}
		}
		for _, s := range inSettings {
			d.Env[s.name] = step.settings(s.name)
		}
		for _, name := range d.all("api") {
			if err := d.restart(ctx, name); err != nil {
				return err
			}
			if err := c.more(ctx); err != nil {
				return err
			}
		}
		d.v.Strikes++
		d.Pay.Strike(stripe.Faults{Webhooks: step.events})
		if err := d.buy(ctx, buyers[i]); err != nil {
			return err
		}
	}
	return d.dead(ctx, &held)
}

func chance(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

// dead wants a token of the key that is gone to be refused everywhere.
func (d *drill) dead(ctx context.Context, held *person) error {
	for api := range d.all("api") {
		user := held.Client
		user.Base = d.base(api)
		var problem *customer.Problem
		err := user.Do(ctx, http.MethodGet, "/api/v1/jobs", nil, nil)
		if !errors.As(err, &problem) || problem.Status != http.StatusUnauthorized {
			d.v.wrong("a token of a key that is gone was answered %v", err)
		}
	}
	return nil
}

// crowd is people with a hand each that signs in, looks and submits until it is stopped.
type crowd struct {
	d      *drill
	people []*person
	halt   context.CancelFunc
	hands  sync.WaitGroup
	rounds []atomic.Int64
	mu     sync.Mutex
	err    error
}

// crowd begins; each of the people has an API key too, which is rotated in the course of it.
func (d *drill) crowd(ctx context.Context, people []*person) (*crowd, error) {
	load, halt := context.WithCancel(ctx)
	c := &crowd{d: d, people: people, halt: halt, rounds: make([]atomic.Int64, len(people))}
	for i, p := range people {
		key, err := p.makeKey(ctx)
		if err != nil {
			halt()
			return nil, err
		}
		hand := *p // signs in for itself
		c.hands.Go(func() {
			if err := c.work(load, ctx, &hand, key, &c.rounds[i]); err != nil {
				c.mu.Lock()
				defer c.mu.Unlock()
				c.err = errors.Join(c.err, fmt.Errorf("%s: %w", hand.Email, err))
			}
		})
	}
	return c, nil
}

// work goes on until load ends; what has begun then is done in ctx.
func (c *crowd) work(load, ctx context.Context, hand *person, key apiKey, rounds *atomic.Int64) error {
	program := *hand
	program.Token, program.Header = "", maps.Clone(hand.Header)
	program.Header["X-Api-Key"] = []string{key.Key}
	for load.Err() == nil {
		if err := hand.signIn(ctx); err != nil {
			return err
		}
		if rounds.Load() == 5 {
			var next apiKey
			in := map[string]any{"overlap": "1h", "password": password}
			if err := hand.do(ctx, http.MethodPost, "/api/v1/api-keys/"+key.ID+"/rotate", newKey(), in, &next); err != nil {
				return err
			}
			key = next
			program.Header["X-Api-Key"] = []string{key.Key}
		}
		for _, p := range []*person{hand, &program} {
			for api := range c.d.all("api") {
				p.home = api
				if err := p.do(ctx, http.MethodGet, "/api/v1/jobs?limit=5", "", nil, nil); err != nil {
					return err
				}
			}
		}
		if err := hand.submit(ctx); err != nil {
			return err
		}
		rounds.Add(1)
		pause(load, 100*time.Millisecond)
	}
	return nil
}

// more waits until each hand has begun and ended a round since.
func (c *crowd) more(ctx context.Context) error {
	for i := range c.rounds {
		at := c.rounds[i].Load()
		err := until(ctx, repeatLimit, "everybody has signed in", func() bool { return c.rounds[i].Load() >= at+2 || c.failed() })
		if err != nil {
			return err
		}
	}
	return nil
}

func (c *crowd) failed() bool { c.mu.Lock(); defer c.mu.Unlock(); return c.err != nil }

func (c *crowd) stop() error { c.halt(); c.hands.Wait(); return c.err }
