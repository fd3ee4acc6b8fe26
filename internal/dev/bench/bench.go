// Package bench measures the figures that the platform promises, each as a ratio to a limit that is measured in the same run on the
// same machine: absolute numbers say more about the machine than about us.
package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mailsweep/internal/dev/stack"
)

// Options say what to measure.
type Options struct {
	Dir    string   // where data, programs and logs lie
	Root   string   // of the source tree, to build from
	Only   []string // names of rows; none means all
	Full   bool     // also what takes long: growth up to 10^7 jobs
	Seed   int      // of a row that takes long in all: the part to measure; 0 means all
	Report string   // the file whose table gets what was measured; "": none
}

// row measures one figure, or a few that share their load.
type row struct {
	name string
	run  func(context.Context, *bench) ([]line, error)
}

// rows in the order of the table.
func rows() []row {
	return []row{
		{"submit", submit}, {"status", status}, {"poll", poll}, {"logins", logins}, {"neighbour", neighbour}, {"start", start}, {"drain", drain},
		{"kill", kill}, {"flush", flush}, {"cancel", cancel}, {"flood", flood}, {"growth", growth}, {"memory", memory}, {"streams", streams},
		{"engine", engine}, {"senders", smallerMailboxes}, {"workbench", workbench}, {"truth", truth}, {"work", work}, {"giant", giant}, {"mailboxes", many},
		{"reserve", reserve}, {"usage", usage}, {"webhooks", webhooks}, {"silence", silence},
	}
}

// bench is one run.
type bench struct {
	Options
	bin string // of our programs and of the peers'
}

// Run measures, prints the table and writes the report. A row that cannot be measured is an error at the end; the others are told.
func Run(ctx context.Context, o Options) error {
	chosen, err := choose(o.Only)
	if err != nil {
		return err
	}
	b := &bench{Options: o, bin: filepath.Join(o.Dir, "bench", "bin")}
	if err := b.build(ctx); err != nil {
		return err
	}
	commit, err := head(ctx, b.Root)
	if err != nil {
		return err
	}
	measured, failed := map[string]string{}, []error(nil)
	for _, r := range chosen {
		say("measuring %s", r.name)
		began := time.Now()
		lines, err := r.run(ctx, b)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", r.name, err))
			say("  failed: %v", err)
			lines = append(lines, line{what: r.name, ours: "not measured: it failed", limit: "–", ratio: "–", goal: "–", met: "no"})
		}
		for _, l := range lines {
			measured[r.name] += l.render(r.name, commit)
		}
		say("  %s took %.0f s", r.name, time.Since(began).Seconds())
	}
	fmt.Print(machine(), "\n\n", tableHead, merged("", rowNames(), measured), "\n")
	if o.Report != "" && ctx.Err() == nil {
		failed = append(failed, write(o.Report, machine(), rowNames(), measured))
	}
	return errors.Join(failed...)
}

// head is the commit that is measured; with a plus where files differ from it.
func head(ctx context.Context, root string) (string, error) {
	out, err := exec.CommandContext(ctx, "git", "-C", root, "describe", "--always", "--dirty=+", "--exclude=*").Output()
	if err != nil {
		return "", fmt.Errorf("find the commit: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

func rowNames() (names []string) {
	for _, r := range rows() {
		names = append(names, r.name)
	}
	return names
}

func choose(only []string) (chosen []row, err error) {
	names := rowNames()
	for _, r := range rows() {
		if len(only) == 0 || slices.Contains(only, r.name) {
			chosen = append(chosen, r)
		}
	}
	for _, name := range only {
		if !slices.Contains(names, name) {
			return nil, fmt.Errorf("there is no row %q: ONLY takes %s", name, strings.Join(names, ", "))
		}
	}
	return chosen, nil
}

// build makes our programs and the peers'. The peers have a module of their own, so that ours does not depend on them.
func (b *bench) build(ctx context.Context) error {
	say("building api, worker, scheduler and the peers")
	if err := stack.Build(ctx, b.Root, b.bin); err != nil {
		return err
	}
	bin, err := filepath.Abs(b.bin)
	if err != nil {
		return fmt.Errorf("find %s: %w", b.bin, err)
	}
	return run(ctx, filepath.Join(b.Root, "internal/tools/bench"), os.Stderr, "go", "build", "-buildvcs=false", "-o", filepath.Join(bin, "peers"), ".")
}

func (b *bench) peers() string { return filepath.Join(b.bin, "peers") }

func say(format string, args ...any) { fmt.Fprintf(os.Stderr, format+"\n", args...) }
