package main

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
)

// line is what a reader sees of one fault, and what the results file keeps.
type line struct {
	ID, Title                       string
	Strikes, Lost, Doubled, Outside int
	P50, Max, Bound, Took           time.Duration // of the recoveries, but Took
	Notes, Wrong                    []string
	measured                        bool
}

func newLine(f fault, v *verdict, took time.Duration) line {
	l := line{ID: f.id, Title: f.title, Strikes: v.Strikes, Lost: v.Lost, Doubled: v.Doubled, Outside: v.Outside, P50: v.quantile(0.5), Max: v.quantile(1),
		Bound: f.bound, Took: took, Notes: v.Notes, Wrong: v.Wrong, measured: len(v.Recovered) > 0}
	if v.Doubled > 0 || v.Outside > 0 {
		l.Wrong = append(l.Wrong, fmt.Sprintf("%d messages changed twice, %d that nobody approved", v.Doubled, v.Outside))
	}
	if f.bound > 0 && l.Max > l.Bound {
		l.Wrong = append(l.Wrong, fmt.Sprintf("recovered in %.1f s, bound %.0f s", l.Max.Seconds(), l.Bound.Seconds()))
	}
	if v.Strikes == 0 {
		l.Wrong = append(l.Wrong, "it never struck")
	}
	return l
}

func (l line) passed() bool { return len(l.Wrong) == 0 }

// recovered is the median and the longest recovery, with the bound.
func (l line) recovered() string {
	text := "-"
	if l.measured {
		text = fmt.Sprintf("%.1f/%.1f s", l.P50.Seconds(), l.Max.Seconds())
	}
	if l.Bound > 0 {
		text += fmt.Sprintf(" (bound %.0f)", l.Bound.Seconds())
	}
	return text
}

func (l line) String() string {
	verdict := "pass"
	if !l.passed() {
		verdict = "FAIL"
	}
	s := fmt.Sprintf("%-5s %-56s × %-4d lost %d  doubled %d  outside %d  recovered %-24s %4.0f s  %s", l.ID, l.Title, l.Strikes, l.Lost, l.Doubled, l.Outside,
		l.recovered(), l.Took.Seconds(), verdict)
	for _, n := range l.Notes {
		s += "\n        " + n
	}
	for _, w := range l.Wrong[:min(len(l.Wrong), 10)] {
		s += "\n      ! " + strings.ReplaceAll(w, "\n", "\n        ")
	}
	return s
}

// print gives a line per fault, also for those that were not drawn.
func print(o options, lines []line, left []fault) {
	for _, l := range lines {
		o.say("%s", l)
	}
	for _, f := range left {
		o.say("%-5s %-56s not selected: make faults ONLY=%s", f.id, f.title, f.id)
	}
}

func count(lines []line) (passed int) {
	for _, l := range lines {
		if l.passed() {
			passed++
		}
	}
	return passed
}

// keep appends the lines to the results of full runs.
func keep(o options, lines []line) error {
	f, err := os.OpenFile(o.results, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return fmt.Errorf("open the results: %w", err)
	}
	defer f.Close()
	for _, l := range lines {
		outcome := "pass"
		if !l.passed() {
			outcome = "FAIL: " + strings.Join(l.Wrong, "; ")
		}
		_, err := fmt.Fprintf(f, "| %s | %s | %d | %d | %d | %d | %s | %.0f | %s | %s | %d | %s | %s |\n", l.ID, l.Title, l.Strikes, l.Lost, l.Doubled, l.Outside,
			l.recovered(), l.Took.Seconds(), cell(outcome), cell(strings.Join(l.Notes, "; ")), o.seed, time.Now().UTC().Format("2006-01-02 15:04"), machine())
		if err != nil {
			return fmt.Errorf("keep the results: %w", err)
		}
	}
	return nil
}

// cell fits a text into a table.
func cell(s string) string {
	s = strings.NewReplacer("|", "/", "\n", " ").Replace(s)
	return s[:min(len(s), 600)]
}

// machine names what the figures were made on.
func machine() string {
	model, memory := "unknown processor", 0
	if b, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		if _, rest, ok := strings.Cut(string(b), "model name\t: "); ok {
			model, _, _ = strings.Cut(rest, "\n")
		}
	}
	if b, err := os.ReadFile("/proc/meminfo"); err == nil {
		_, _ = fmt.Sscanf(string(b), "MemTotal: %d kB", &memory) // zero where the kernel does not tell
	}
	return fmt.Sprintf("%d × %s, %d GiB, %s/%s", runtime.NumCPU(), model, memory>>20, runtime.GOOS, runtime.GOARCH)
}
