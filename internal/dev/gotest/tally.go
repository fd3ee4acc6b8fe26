package gotest

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"
)

// event is one line of `go test -json` (see `go doc test2json` and `go help buildjson`).
type event struct {
	Action      string
	Package     string
	ImportPath  string
	Test        string
	Output      string
	Elapsed     float64
	FailedBuild string
}

// tally counts events.
type tally struct {
	out   *screen
	heard func(pkg, test, outcome string)

	mu                      sync.Mutex // guards what progress reads
	begun                   time.Time
	packages                map[string]*packageTally
	done                    int
	passed, failed, skipped int
	failures, skips         []string
	builds                  map[string][]string // compiler output by import path
}

// packageTally is one package under test.
type packageTally struct {
	passed, failed, skipped int
	output                  map[string][]string // by test; "" is the package's own
	running                 map[string]bool     // the tests that began and have not ended; false: it waits for its turn
}

func newTally(out *screen) *tally {
	return &tally{out: out, begun: time.Now(), packages: map[string]*packageTally{}, builds: map[string][]string{}}
}

func (t *tally) take(line []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var e event
	if err := json.Unmarshal(line, &e); err != nil {
		t.out.line("%s", strings.TrimRight(string(line), "\n")) // what is no event is for the reader
		return
	}
	switch {
	case e.Action == "build-output":
		t.builds[e.ImportPath] = append(t.builds[e.ImportPath], e.Output)
	case e.Package == "":
	case e.Test == "":
		t.takePackage(e)
	default:
		t.takeTest(t.packageOf(e.Package), e)
	}
}

func (t *tally) packageOf(name string) *packageTally {
	p := t.packages[name]
	if p == nil {
		p = &packageTally{output: map[string][]string{}, running: map[string]bool{}}
		t.packages[name] = p
	}
	return p
}

func (t *tally) takeTest(p *packageTally, e event) {
	switch e.Action {
	case "run", "pause", "cont":
		p.running[e.Test] = e.Action != "pause"
		return
	case "output":
		p.output[e.Test] = append(p.output[e.Test], e.Output)
		return
	case "pass":
		p.passed++
		t.passed++
	case "skip":
		p.skipped++
		t.skipped++
		t.skips = append(t.skips, fmt.Sprintf("SKIP %s %s: %s", short(e.Package), e.Test, reason(p.output[e.Test])))
	case "fail":
		t.fail(p, e.Package, e.Test, p.output[e.Test])
	default: // start, bench
		return
	}
	if t.heard != nil {
		t.heard(e.Package, e.Test, e.Action)
	}
	delete(p.running, e.Test)
	delete(p.output, e.Test)
}

func (t *tally) fail(p *packageTally, pkg, test string, output []string) {
	p.failed++
	t.failed++
	name := strings.TrimSpace(short(pkg) + " " + test)
	t.failures = append(t.failures, name)
	t.out.line("FAIL %s", name)
	for _, line := range output {
		t.out.line("    %s", strings.TrimRight(line, "\n"))
	}
}

// takePackage closes a package. A failure that no test accounts for (no build, a panic, an exit, a time-out) counts
// as one, and so does each test that began and did not end.
func (t *tally) takePackage(e event) {
	p := t.packageOf(e.Package)
	switch e.Action {
	case "output":
		p.output[""] = append(p.output[""], e.Output)
		return
	case "pass", "fail", "skip":
	default:
		return
	}
	t.done++
	if e.Action == "fail" {
		t.takeFailedPackage(p, e)
	}
	switch {
	case e.Action == "fail":
		t.out.line("FAIL  %-32s %6.1f s  %d passed, %d failed, %d skipped", short(e.Package), e.Elapsed, p.passed, p.failed, p.skipped)
	case p.passed+p.skipped > 0:
		t.out.line("ok    %-32s %6.1f s  %d passed, %d skipped", short(e.Package), e.Elapsed, p.passed, p.skipped)
	}
	p.output, p.running = nil, nil
}

func (t *tally) takeFailedPackage(p *packageTally, e event) {
	if e.FailedBuild != "" {
		t.fail(p, e.Package, "does not build", t.builds[e.FailedBuild])
		return
	}
	if unfinished := t.takeUnfinished(p, e.Package); p.failed == 0 || unfinished {
		own := p.output[""]
		if p.failed == 0 {
			t.fail(p, e.Package, "", own)
			return
		}
		for _, line := range own {
			t.out.line("    %s", strings.TrimRight(line, "\n"))
		}
	}
}

// takeUnfinished counts what began and did not end.
func (t *tally) takeUnfinished(p *packageTally, pkg string) (some bool) {
	for _, test := range slices.Sorted(maps.Keys(p.running)) {
		t.fail(p, pkg, test+" did not end", p.output[test])
	}
	return len(p.running) > 0
}

// reason is what a skipped test said, without go test's own lines.
func reason(output []string) string {
	var said []string
	for _, line := range output {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "===") && !strings.HasPrefix(line, "---") {
			said = append(said, line)
		}
	}
	if len(said) == 0 {
		return "no reason given"
	}
	return strings.Join(said, " ")
}

func (t *tally) progress() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	took := time.Since(t.begun).Round(time.Second)
	if len(t.packages) == 0 {
		return fmt.Sprintf("compiling the tests (%s)", took)
	}
	return fmt.Sprintf("%d packages done, %d tests passed (%s)%s", t.done, t.passed, took, t.underWay())
}

// underWay names some of the tests that are running: one of them may never end.
func (t *tally) underWay() string {
	var names []string
	for pkg, p := range t.packages {
		for test, running := range p.running {
			if running {
				names = append(names, short(pkg)+" "+test)
			}
		}
	}
	if len(names) == 0 {
		return ""
	}
	slices.Sort(names)
	const shown = 4
	if more := len(names) - shown; more > 0 {
		names = append(names[:shown], fmt.Sprintf("%d more", more))
	}
	return ": " + strings.Join(names, ", ")
}

// summary repeats at the end what a reader of a long output looks for.
func (t *tally) summary() {
	for _, skip := range t.skips {
		t.out.line("%s", skip)
	}
	for _, name := range t.failures {
		t.out.line("FAILED: %s", name)
	}
	t.out.line("%d packages in %s", t.done, time.Since(t.begun).Round(time.Second))
}
