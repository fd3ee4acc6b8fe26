package bench

import (
	"fmt"
	"os"
	"strings"
	"time"
)

// line is one line of the table.
type line struct {
	what, ours, limit, ratio, goal, met string
}

// goal compares a figure with what was promised.
func goal(l line, met bool) line {
	l.met = "no"
	if met {
		l.met = "yes"
	}
	return l
}

func render(lines []line) string {
	var b strings.Builder
	b.WriteString("| what | ours | limit or peer, same run | ratio | goal | met |\n|---|---|---|---|---|---|\n")
	for _, l := range lines {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", l.what, l.ours, l.limit, l.ratio, l.goal, l.met)
	}
	return b.String()
}

const (
	tableBegins = "<!-- bench -->\n"
	tableEnds   = "<!-- /bench -->"
)

// write puts the table into the report between its marks.
func write(file, table string) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the report: %w", err)
	}
	before, rest, ok := strings.Cut(string(old), tableBegins)
	_, after, ok2 := strings.Cut(rest, tableEnds)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no place for the table", file)
	}
	if err := os.WriteFile(file, []byte(before+tableBegins+table+tableEnds+after), 0o644); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// rate shows how many a second.
func rate(perSecond float64) string {
	if perSecond >= 10_000 {
		return fmt.Sprintf("%.1f k/s", perSecond/1000)
	}
	return fmt.Sprintf("%.0f/s", perSecond)
}

// times shows a ratio.
func times(x float64) string { return fmt.Sprintf("%.2fx", x) }

func ms(d time.Duration) string { return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000) }
