package gotest_test

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailsweep/internal/dev/gotest"
)

// module writes a small module, runs its tests from inside and returns what was printed and the exit code.
func module(t *testing.T, files map[string]string, args ...string) (string, int) {
	t.Helper()
	return moduleHeard(t.Context(), t, nil, files, args...)
}

func moduleHeard(ctx context.Context, t *testing.T, heard func(pkg, test, outcome string), files map[string]string, args ...string) (string, int) {
	t.Helper()
	dir := t.TempDir()
	files["go.mod"] = "module sample\n\ngo 1.26.0\n"
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(dir)
	// The sample needs no services.
	t.Setenv("TEST_DATABASE_URL", "postgres://unused")
	t.Setenv("TEST_REDIS_URL", "redis://unused")
	var out bytes.Buffer
	code := gotest.Run(ctx, gotest.Options{Dir: filepath.Join(dir, ".dev"), Args: args, Out: &out, Heard: heard})
	t.Log("\n" + out.String())
	return strings.TrimSpace(out.String()), code
}

func lastLine(s string) string { return s[strings.LastIndex(s, "\n")+1:] }

const (
	good    = "package a\n\nimport \"testing\"\n\nfunc TestGood(t *testing.T) { t.Run(\"sub\", func(*testing.T) {}) }\n"
	skips   = "package a\n\nimport \"testing\"\n\nfunc TestSkips(t *testing.T) { t.Skip(\"no such machine\") }\n"
	bad     = "package b\n\nimport \"testing\"\n\nfunc TestBad(t *testing.T) { t.Error(\"the reason\") }\n"
	hangs   = "package c\n\nimport \"testing\"\n\nfunc TestFine(*testing.T) {}\n\nfunc TestPanics(*testing.T) { panic(\"the panic\") }\n"
	exits   = "package e\n\nimport (\n\t\"os\"\n\t\"testing\"\n)\n\nfunc TestExits(*testing.T) { os.Exit(3) }\n"
	endless = "package f\n\nimport \"testing\"\n\nfunc TestEndless(t *testing.T) {\n\tt.Run(\"first\", func(*testing.T) {})\n\tselect {}\n}\n"
	wrong   = "package d\n\nimport \"testing\"\n\nfunc TestWrong(t *testing.T) { nosuchthing() }\n"
)

func TestThePassedAndTheSkippedAreCounted(t *testing.T) {
	out, code := module(t, map[string]string{"a/a_test.go": good, "a/s_test.go": skips})
	if code != 0 || lastLine(out) != "2 passed, 0 failed, 1 skipped" {
		t.Errorf("code %d, last line %q", code, lastLine(out))
	}
	if !strings.Contains(out, "SKIP a TestSkips: s_test.go:5: no such machine") {
		t.Error("the skip's reason is not shown")
	}
}

func TestEveryKindOfFailureCountsAndShowsItsOutput(t *testing.T) {
	out, code := module(t, map[string]string{"a/a_test.go": good, "b/b_test.go": bad, "c/c_test.go": hangs, "d/d_test.go": wrong, "e/e_test.go": exits})
	if code != 1 || lastLine(out) != "3 passed, 4 failed, 0 skipped" {
		t.Errorf("code %d, last line %q", code, lastLine(out))
	}
	for _, want := range []string{"the reason", "the panic", "undefined: nosuchthing", "FAILED: b TestBad", "FAILED: c TestPanics",
		"FAILED: d does not build", "FAILED: e TestExits did not end"} {
		if !strings.Contains(out, want) {
			t.Errorf("not shown: %q", want)
		}
	}
}

// What is stopped says which tests it was about.
func TestWhatDidNotEndIsNamed(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	heard := func(_, test, _ string) {
		if test == "TestEndless/first" {
			stop()
		}
	}
	out, code := moduleHeard(ctx, t, heard, map[string]string{"f/f_test.go": endless})
	if code != 1 || lastLine(out) != "1 passed, 1 failed, 0 skipped" {
		t.Errorf("code %d, last line %q", code, lastLine(out))
	}
	if !strings.Contains(out, "FAILED: f TestEndless did not end") {
		t.Error("it is not named")
	}
}

func TestNoTestAtAllIsAFailure(t *testing.T) {
	out, code := module(t, map[string]string{"a/a_test.go": good}, "-run", "TestThatIsNotThere")
	if code != 1 || lastLine(out) != "0 passed, 0 failed, 0 skipped" {
		t.Errorf("code %d, last line %q", code, lastLine(out))
	}
}

func TestAWrongArgumentIsAFailure(t *testing.T) {
	out, code := module(t, map[string]string{"a/a_test.go": good}, "-count=many")
	if code != 1 || lastLine(out) != "0 passed, 1 failed, 0 skipped" {
		t.Errorf("code %d, last line %q", code, lastLine(out))
	}
}

// Of everything, the slow packages are tested without -race, the others with it; what is named is tested with it.
func TestTheSlowPackagesAreTestedWithoutRace(t *testing.T) {
	raced := "//go:build race\n\npackage p\n\nimport \"testing\"\n\nfunc TestRaced(*testing.T) {}\n"
	plain := "//go:build !race\n\npackage p\n\nimport \"testing\"\n\nfunc TestPlain(*testing.T) {}\n"
	files := map[string]string{"internal/quick/raced_test.go": raced, "internal/quick/plain_test.go": plain, "internal/cleanup/raced_test.go": raced, "internal/cleanup/plain_test.go": plain}
	for _, c := range []struct {
		args []string
		want map[string]int // how often each name is told of
	}{
		{[]string{"-v"}, map[string]int{"-race": 1, "internal/quick ": 1, "internal/cleanup ": 1}},
		{[]string{"-run", "Raced"}, map[string]int{"1 passed, 0 failed": 1}},
		{[]string{"-run", "Raced", "./..."}, map[string]int{"2 passed, 0 failed": 1}},
		{[]string{"-run", "Plain"}, map[string]int{"1 passed, 0 failed": 1}},
	} {
		out, code := module(t, files, c.args...)
		if code != 0 {
			t.Errorf("%q: code %d", c.args, code)
		}
		for text, n := range c.want {
			if got := strings.Count(out, text); got != n {
				t.Errorf("%q: %q is there %d times, not %d", c.args, text, got, n)
			}
		}
	}
}
