package bench

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// What was measured replaces the lines of its rows; the others stay, in the order of all, unless another machine measured them.
func TestTheReportKeepsWhatWasNotMeasured(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "BENCH.md")
	require.NoError(t, os.WriteFile(file, []byte("text\n"+tableBegins+"Old machine. 2026-01-01.\n\n"+tableHead+"| a | x | 1 |\n"+tableEnds+"\nend\n"), 0o600))
	table := func(machine string, measured map[string]string) string {
		require.NoError(t, write(file, machine, []string{"b", "a", "c"}, measured))
		all, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Regexp(t, `(?s)^text\n<!-- bench -->\n.*<!-- /bench -->\nend\n$`, string(all))
		return string(all)
	}
	first := table("New machine.", map[string]string{"a": "| a | x | 2 |\n| a | y | 3 |\n", "c": "| c | z | 4 |\n"})
	require.Contains(t, first, tableHead+"| a | x | 2 |\n| a | y | 3 |\n| c | z | 4 |\n"+tableEnds, "another machine's are gone")
	second := table("New machine.", map[string]string{"b": "| b | w | 5 |\n", "c": "| c | z | 6 |\n"})
	require.Contains(t, second, tableHead+"| b | w | 5 |\n| a | x | 2 |\n| a | y | 3 |\n| c | z | 6 |\n"+tableEnds)
}
