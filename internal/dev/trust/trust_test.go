package trust

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestEveryStandardIsMappedToWhatIsOnTheList(t *testing.T) {
	known := map[string]bool{}
	for _, r := range requirements {
		require.False(t, known[r.ID], "%s twice", r.ID)
		require.NotEmpty(t, r.Text, r.ID)
		require.Equal(t, r.ID, anID.FindString(r.ID))
		known[r.ID] = true
	}
	seen := map[string]bool{}
	for _, s := range standards {
		require.False(t, seen[s.Number], "%s twice", s.Number)
		seen[s.Number] = true
		ways := 0
		for _, way := range []bool{len(s.By) > 0, s.Page != "", s.Not != ""} {
			if way {
				ways++
			}
		}
		require.Equal(t, 1, ways, "%s is met in one way", s.Number)
		for _, id := range s.By {
			require.True(t, known[id], "%s names %s", s.Number, id)
		}
	}
	require.Len(t, standards, 121)
}

func TestScanReadsWhatATestNames(t *testing.T) {
	root := t.TempDir()
	dir := filepath.Join(root, "internal", "x")
	require.NoError(t, os.MkdirAll(dir, 0o755))
	code := "package x\n// " + "JWT-1: forged\nfunc TestOne(t *testing.T) {}\n\nfunc TestTwo(t *testing.T) { // " + "TEN-5\n\tt.Run(\"TEN-6 x\", nil)\n}\n\n// " + "TEN-9\nfunc help() {}\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "x_test.go"), []byte(code), 0o644))
	found, err := Scan(root)
	require.NoError(t, err)
	require.Equal(t, map[string][]Test{
		"JWT-1": {{"mailsweep/internal/x", "TestOne"}},
		"TEN-5": {{"mailsweep/internal/x", "TestTwo"}},
		"TEN-6": {{"mailsweep/internal/x", "TestTwo"}},
	}, found)
}

// A requirement is met by tests that passed, all of them, and by nothing else.
func TestARequirementIsMetByTestsThatPassed(t *testing.T) {
	one, two := Test{"p", "TestOne"}, Test{"p", "TestTwo"}
	for _, c := range []struct {
		name     string
		lacks    string
		tests    []Test
		outcomes map[Test]string
		met      bool
	}{
		{"passed", "", []Test{one}, map[Test]string{one: "pass"}, true},
		{"none", "", nil, nil, false},
		{"one failed", "", []Test{one, two}, map[Test]string{one: "pass", two: "fail"}, false},
		{"skipped", "", []Test{one}, map[Test]string{one: "skip"}, false},
		{"did not run", "", []Test{one}, nil, false},
		{"lacks something", "the breaker", []Test{one}, map[Test]string{one: "pass"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			tab := table{tests: map[string][]Test{"A": c.tests}, outcomes: c.outcomes, met: map[string]bool{}}
			line := tab.line(Requirement{ID: "A", Text: "text", Lacks: c.lacks})
			require.Equal(t, c.met, tab.met["A"], line)
			require.Equal(t, tab.yes+tab.no, 1)
		})
	}
}

// A figure has to be measured and to have met its goal; each that is named stands in the report.
func TestAFigureIsMetByItsRow(t *testing.T) {
	bench := "| row | what | ours | limit or peer, same run | ratio | goal | met | commit |\n|---|---|---|---|---|---|---|---|\n| a | good | 1 ms | 1 ms | 1.10x | ≤ 1.20x | yes | 1 |\n| a | bad | 4 ms | 1 ms | 4.13x | ≤ 3x | no | 1 |\n"
	one := Test{"p", "TestOne"}
	for row, want := range map[string]string{"good": "| p.TestOne, BENCH.md: 1.10x, goal ≤ 1.20x | yes", "bad": "(measured 4.13x, goal ≤ 3x) | no", "other": "(measured never) | no"} {
		tab := table{tests: map[string][]Test{"A": {one}}, outcomes: map[Test]string{one: "pass"}, met: map[string]bool{}, bench: bench}
		require.Contains(t, tab.line(Requirement{ID: "A", Text: "text", Figure: row}), want)
	}
	for _, r := range requirements {
		if r.Figure != "" {
			measured, _ := figure(readBench("../../.."), r.Figure)
			require.NotEqual(t, "never", measured, r.ID)
		}
	}
}
