// Command faults proves that nothing is lost and nothing is done twice: it runs built programs on databases of their own, strikes at
// them in every way of a written list, and asks the simulated Gmail's books afterwards what really happened.
package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"mailsweep/internal/dev/stack"
)

func main() { os.Exit(run()) }

// options are what a person can say on the command line of make faults.
type options struct {
	full    bool
	only    []string
	seed    uint64
	n       int // strikes of each fault; zero: as the table says
	root    string
	dir     string // where programs, data and logs lie
	results string // the table of full runs
	say     func(format string, args ...any)
}

func readOptions() (o options, err error) {
	o = options{full: on("FULL"), root: ".", results: filepath.Join("internal", "faults", "RESULTS.md"), say: func(format string, args ...any) { fmt.Printf(format+"\n", args...) }}
	if o.dir, err = filepath.Abs(filepath.Join(".dev", "faults")); err != nil {
		return o, err
	}
	if only := os.Getenv("ONLY"); only != "" {
		o.only = strings.Split(only, ",")
	}
	o.seed = rand.Uint64N(1_000_000)
	if seed := os.Getenv("SEED"); seed != "" {
		if o.seed, err = strconv.ParseUint(seed, 10, 64); err != nil {
			return o, fmt.Errorf("SEED must be a whole number")
		}
	}
	if n := os.Getenv("COUNT"); n != "" {
		if o.n, err = strconv.Atoi(n); err != nil || o.n < 1 {
			return o, fmt.Errorf("COUNT must be a number from 1")
		}
	}
	for _, id := range o.only {
		if !slices.ContainsFunc(faults(), func(f fault) bool { return f.id == id }) {
			return o, fmt.Errorf("there is no fault %q", id)
		}
	}
	return o, nil
}

func on(name string) bool {
	v := os.Getenv(name)
	return v != "" && v != "0"
}

func run() int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	o, err := readOptions()
	if err == nil {
		err = stack.Build(ctx, o.root, filepath.Join(o.dir, "bin"))
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		return 2
	}
	drawn, left := draw(o)
	o.say("seed %d: %d faults of %d", o.seed, len(drawn), len(drawn)+len(left))
	begun := time.Now()
	lines, err := strikeAll(ctx, o, drawn)
	o.say("")
	print(o, lines, left)
	o.say("%d of %d faults passed in %s", count(lines), len(drawn), time.Since(begun).Round(time.Second))
	if err == nil && o.full {
		err = keep(o, lines)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
	}
	if err != nil || count(lines) != len(drawn) {
		o.say("again with: make faults SEED=%d%s", o.seed, asBefore(o))
		return 1
	}
	return 0
}

func asBefore(o options) (s string) {
	if o.full {
		s += " FULL=1"
	}
	if len(o.only) > 0 {
		s += " ONLY=" + strings.Join(o.only, ",")
	}
	return s
}

// shortTime is what a short run may take, the drills alone.
const shortTime = 8 * time.Minute

// draw chooses what is run: all that is asked for, or of a short run the core and what the seed adds until the time is full.
func draw(o options) (drawn, left []fault) {
	all := faults()
	if o.full || len(o.only) > 0 {
		for _, f := range all {
			if len(o.only) == 0 || slices.Contains(o.only, f.id) {
				drawn = append(drawn, f)
			} else {
				left = append(left, f)
			}
		}
		return drawn, left
	}
	order := rand.New(rand.NewPCG(o.seed, 1)).Perm(len(all))
	slices.SortStableFunc(order, func(a, b int) int { return boolOrder(all[a].core, all[b].core) })
	taken, time := map[int]bool{}, shortTime
	for _, i := range order {
		if all[i].takes <= time {
			taken[i], time = true, time-all[i].takes
		}
	}
	for i, f := range all {
		if taken[i] {
			drawn = append(drawn, f)
		} else {
			left = append(left, f)
		}
	}
	return drawn, left
}

func boolOrder(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// strikeAll runs the faults one after the other on one installation; those that want settings of their own get another.
func strikeAll(ctx context.Context, o options, drawn []fault) (lines []line, err error) {
	var shared *rig
	defer func() {
		if shared != nil {
			shared.end()
		}
	}()
	for _, f := range drawn {
		if ctx.Err() != nil {
			return lines, ctx.Err()
		}
		if f.settings != nil && shared != nil {
			shared.end() // one installation at a time
			shared = nil
		}
		r := shared
		if r == nil {
			if r, err = build(ctx, o, f.id, f.settings); err != nil {
				r.end()
				return lines, fmt.Errorf("%s: %w", f.id, err)
			}
		}
		l := strike(ctx, o, f, r)
		if ctx.Err() != nil {
			shared = r
			return lines, ctx.Err() // somebody stopped it: that says nothing of the fault
		}
		lines = append(lines, l)
		if shared = r; f.settings != nil {
			r.end()
			shared = nil
		}
	}
	return lines, nil
}

// strike runs one fault and judges it.
func strike(ctx context.Context, o options, f fault, r *rig) line {
	n := f.short
	if o.full {
		n = f.full
	}
	if o.n > 0 {
		n = o.n
	}
	o.say("%s %s × %d", f.id, f.title, n)
	d := &drill{rig: r, v: &verdict{}, n: n, full: o.full}
	begun := time.Now()
	if err := f.run(ctx, d); err != nil {
		d.v.wrong("the drill ended early: %s", err)
	}
	if err := d.settled(ctx); err != nil {
		d.v.wrong("afterwards: %s", err)
	}
	if err := r.verify(ctx, d.v); err != nil {
		d.v.wrong("verify: %s", err)
	}
	l := newLine(f, d.v, time.Since(begun))
	o.say("%s", l)
	return l
}
