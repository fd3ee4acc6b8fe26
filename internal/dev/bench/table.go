package bench

import (
	"fmt"
	"maps"
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

const tableHead = "| row | what | ours | limit or peer, same run | ratio | goal | met | commit |\n|---|---|---|---|---|---|---|---|\n"

// render gives each line of a row that was measured at a commit.
func (l line) render(row, commit string) string {
	return fmt.Sprintf("| %s | %s | %s | %s | %s | %s | %s | %s |\n", row, l.what, l.ours, l.limit, l.ratio, l.goal, l.met, commit)
}

const (
	tableBegins = "<!-- bench -->\n"
	tableEnds   = "<!-- /bench -->"
)

// write puts what was measured into the report's table, between its marks. Lines of other rows stay as they were measured last, in the order of all.
func write(file, machine string, order []string, measured map[string]string) error {
	old, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the report: %w", err)
	}
	before, rest, ok := strings.Cut(string(old), tableBegins)
	table, after, ok2 := strings.Cut(rest, tableEnds)
	if !ok || !ok2 {
		return fmt.Errorf("%s has no place for the table", file)
	}
	if !strings.HasPrefix(table, machine) {
		table = "" // figures of two machines do not belong into one table
	}
	if err := os.WriteFile(file, []byte(before+tableBegins+machine+" "+time.Now().UTC().Format(time.DateOnly)+".\n\n"+tableHead+merged(table, order, measured)+tableEnds+after), 0o644); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}

// merged are the lines of all rows: those measured now, else those of the table.
func merged(table string, order []string, measured map[string]string) string {
	kept := map[string]string{}
	for l := range strings.Lines(table) {
		if name, _, ok := strings.Cut(strings.TrimPrefix(l, "| "), " |"); ok {
			kept[name] += l
		}
	}
	maps.Copy(kept, measured)
	var b strings.Builder
	for _, name := range order {
		b.WriteString(kept[name])
	}
	return b.String()
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
