// Package trust prints which promises about security are kept: it runs the tests that name a requirement and tells what came of them.
package trust

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"mailsweep/internal/dev/gotest"
)

// Options says where the project is and where the table goes.
type Options struct {
	// Dir is the folder of the services, ".dev"; Root the project's.
	Dir, Root string
	// Only are the IDs to look at; none means all.
	Only []string
	Out  io.Writer
}

// Run prints one line per requirement and per paragraph of the standard: id | requirement | test | met. It returns 1 if any is not met.
// A requirement is met when at least one test names it, all that do have passed, none was skipped, and nothing is known to lack.
func Run(ctx context.Context, o Options) int {
	tests, err := Scan(o.Root)
	if err == nil {
		err = unknown(tests)
	}
	if err != nil {
		fmt.Fprintln(o.Out, "make trust:", err)
		return 1
	}
	wanted := slices.DeleteFunc(slices.Clone(requirements), func(r Requirement) bool {
		return len(o.Only) > 0 && !slices.Contains(o.Only, r.ID)
	})
	outcomes := map[Test]string{}
	code := gotest.Run(ctx, gotest.Options{Dir: o.Dir, Args: arguments(wanted, tests), Out: o.Out, Plain: true, Full: true, Long: 3, // whole counts, most of the suite
		Heard: func(pkg, test, outcome string) { outcomes[Test{Package: pkg, Name: test}] = outcome }})
	t := table{tests: tests, outcomes: outcomes, met: map[string]bool{}, bench: readBench(o.Root)}
	fmt.Fprintln(o.Out, "\nid | requirement | test | met")
	for _, r := range wanted {
		fmt.Fprintln(o.Out, t.line(r))
	}
	if len(o.Only) == 0 {
		for _, s := range standards {
			fmt.Fprintln(o.Out, t.standard(o.Root, s))
		}
	}
	fmt.Fprintf(o.Out, "%d met, %d not\n", t.yes, t.no)
	if t.no > 0 {
		return 1
	}
	return code
}

// unknown refuses IDs that are on no list: a misspelt one would count for nothing.
func unknown(tests map[string][]Test) error {
	for id, named := range tests {
		if !slices.ContainsFunc(requirements, func(r Requirement) bool { return r.ID == id }) {
			return fmt.Errorf("%s.%s names %s, which is no requirement", named[0].Package, named[0].Name, id)
		}
	}
	return nil
}

// arguments runs just the tests that name a wanted requirement.
func arguments(wanted []Requirement, tests map[string][]Test) []string {
	names, packages := map[string]bool{}, map[string]bool{}
	for _, r := range wanted {
		for _, test := range tests[r.ID] {
			names[regexp.QuoteMeta(test.Name)], packages["./"+strings.TrimPrefix(test.Package, "mailsweep/")] = true, true
		}
	}
	return append([]string{"-run", "^(" + strings.Join(sorted(names), "|") + ")$"}, sorted(packages)...)
}

func sorted(set map[string]bool) []string {
	keys := make([]string, 0, len(set))
	for key := range set {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// table turns outcomes into lines and counts them.
type table struct {
	tests    map[string][]Test
	outcomes map[Test]string // "pass", "fail", "skip"
	met      map[string]bool
	bench    string // the report of make bench
	yes, no  int
}

func (t *table) line(r Requirement) string {
	named, why := t.tests[r.ID], r.Lacks
	if len(named) == 0 {
		why = "no test"
	}
	shown := make([]string, len(named))
	for i, test := range named {
		shown[i] = strings.TrimPrefix(test.Package, "mailsweep/internal/") + "." + test.Name
		if outcome := t.outcomes[test]; outcome != "pass" && why == "" {
			why = shown[i] + " " + cmp.Or(outcome, "did not run")
		}
	}
	if r.Figure != "" {
		measured, met := figure(t.bench, r.Figure)
		if shown = append(shown, "BENCH.md: "+measured); !met && why == "" {
			why = "measured " + measured
		}
	}
	t.met[r.ID] = why == ""
	return t.count(r.ID+" | "+r.Text+" | "+strings.Join(shown, ", "), why)
}

func readBench(root string) string {
	text, err := os.ReadFile(filepath.Join(root, "BENCH.md"))
	if err != nil {
		return "" // then nothing is measured
	}
	return string(text)
}

// figure is what the row says: its ratio and goal, and whether that is met.
func figure(bench, row string) (measured string, met bool) {
	for line := range strings.Lines(bench) {
		// row, what, ours, limit, ratio, goal, met, commit
		if cells := strings.Split(strings.TrimSpace(line), " | "); len(cells) == 8 && cells[1] == row {
			return cells[4] + ", goal " + cells[5], cells[6] == "yes"
		}
	}
	return "never", false
}

// count ends a line with yes, or with no and its reason.
func (t *table) count(line, why string) string {
	if why == "" {
		t.yes++
		return line + " | yes"
	}
	t.no++
	return line + " (" + why + ") | no"
}

// standard is met by our requirements and by a page that is written, or does not apply.
func (t *table) standard(root string, s Standard) string {
	line, shown, why := fmt.Sprintf("ASVS %s | level %d", s.Number, s.Level), s.By, s.Lacks
	switch {
	case s.Not != "":
		line, shown = line+", not applicable", append([]string{s.Not}, s.By...)
	case s.Page != "":
		shown = append([]string{"internal/TRUST.md: " + s.Page}, s.By...)
		if len(s.By) == 0 {
			line += ", documentation"
		}
		why = cmp.Or(why, missingPage(root, s.Page))
	}
	unmet := slices.DeleteFunc(slices.Clone(s.By), func(id string) bool { return t.met[id] })
	if len(unmet) > 0 {
		why = cmp.Or(why, "not met: "+strings.Join(unmet, ", "))
	}
	return t.count(line+" | "+strings.Join(shown, ", "), why)
}

func missingPage(root, heading string) string {
	text, err := os.ReadFile(filepath.Join(root, "internal", "TRUST.md"))
	if err != nil || !strings.Contains(string(text), "\n## "+heading+"\n") {
		return "not written"
	}
	return ""
}
