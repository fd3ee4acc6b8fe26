package trust

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
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
		require.True(t, len(s.By) > 0 || s.Page != "" || s.Not != "", "%s has no answer", s.Number)
		require.False(t, s.Not != "" && (s.Page != "" || s.Lacks != ""), "%s is met, or does not apply", s.Number)
		for _, id := range s.By {
			require.True(t, known[id], "%s names %s", s.Number, id)
		}
	}
}

// asvs is OWASP's own list: the level of each number.
func asvs(t *testing.T) map[string]int {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "asvs-5.0.0.txt"))
	require.NoError(t, err)
	levels := map[string]int{}
	for line := range strings.Lines(string(raw)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		level, numbers, is := strings.Cut(strings.TrimPrefix(line, "level "), ":")
		require.True(t, is, line)
		for _, number := range strings.Fields(numbers) {
			require.Zero(t, levels[number], "%s twice", number)
			levels[number] = int(level[0] - '0')
		}
	}
	require.Len(t, levels, 345)
	return levels
}

// Level 1 is answered whole, and level 2 in authentication, sessions, authorization, self-contained tokens and cryptography; nothing else.
func TestEveryRequirementOfASVSIsAnswered(t *testing.T) {
	wanted, answered, count := map[string]int{}, map[string]int{}, map[int]int{}
	for number, level := range asvs(t) {
		chapter, _, _ := strings.Cut(number, ".")
		if count[level]++; level == 1 || level == 2 && slices.Contains([]string{"6", "7", "8", "9", "11"}, chapter) {
			wanted[number] = level
		}
	}
	require.Equal(t, map[int]int{1: 70, 2: 183, 3: 92}, count)
	for _, s := range standards {
		answered[s.Number] = s.Level
	}
	require.Equal(t, wanted, answered)
}

// A standard is met by all that it names: requirements that are met and a page that is there, if nothing is said to lack.
func TestAStandardIsMetByAllThatItNames(t *testing.T) {
	root := t.TempDir()
	require.NoError(t, os.Mkdir(filepath.Join(root, "internal"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "internal", "TRUST.md"), []byte("# x\n\n## Keys\n\ny\n"), 0o644))
	for want, s := range map[string]Standard{
		"ASVS 1.1.1 | level 1 | A | yes":                                                  {By: []string{"A"}},
		"ASVS 1.1.1 | level 1 | A, B (not met: B) | no":                                   {By: []string{"A", "B"}},
		"ASVS 1.1.1 | level 1, documentation | internal/TRUST.md: Keys | yes":             {Page: "Keys"},
		"ASVS 1.1.1 | level 1, documentation | internal/TRUST.md: Key (not written) | no": {Page: "Key"},
		"ASVS 1.1.1 | level 1 | internal/TRUST.md: Keys, A | yes":                         {Page: "Keys", By: []string{"A"}},
		"ASVS 1.1.1 | level 1 | internal/TRUST.md: Keys, B (not met: B) | no":             {Page: "Keys", By: []string{"B"}},
		"ASVS 1.1.1 | level 1 | internal/TRUST.md: Key, A (not written) | no":             {Page: "Key", By: []string{"A"}},
		"ASVS 1.1.1 | level 1, not applicable | no files | yes":                           {Not: "no files"},
		"ASVS 1.1.1 | level 1, not applicable | no files, A | yes":                        {Not: "no files", By: []string{"A"}},
		"ASVS 1.1.1 | level 1, not applicable | no files, B (not met: B) | no":            {Not: "no files", By: []string{"B"}},
		"ASVS 1.1.1 | level 1 | A (half) | no":                                            {By: []string{"A"}, Lacks: "half"},
	} {
		s.Number, s.Level = "1.1.1", 1
		tab := table{met: map[string]bool{"A": true, "B": false}}
		require.Equal(t, want, tab.standard(root, s))
		require.Equal(t, 1, tab.yes+tab.no)
	}
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
