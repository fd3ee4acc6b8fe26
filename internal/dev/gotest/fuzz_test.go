package gotest

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAFuzzTargetIsFoundRunAndHeard(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":                  "module fuzzed\n\ngo 1.26\n",
		"internal/a/a_test.go":    "package a\n\nimport \"testing\"\n\nfunc FuzzGood(f *testing.F) {\n\tf.Add(1)\n\tf.Fuzz(func(t *testing.T, n int) {})\n}\n",
		"internal/b/c/b_test.go":  "package c\n\nimport \"testing\"\n\nfunc FuzzBad(f *testing.F) {\n\tf.Add(1)\n\tf.Fuzz(func(t *testing.T, n int) {\n\t\tif n != 1 {\n\t\t\tt.Fatal(\"found it\")\n\t\t}\n\t})\n}\n",
		"internal/b/c/x.go":       "package c\n\nfunc FuzzNone() {}\n",
		"internal/b/c/no_test.go": "package c\n\nfunc fuzzNone() {}\n",
	} {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var said strings.Builder
	if code := Fuzz(t.Context(), FuzzOptions{Root: root, Time: "500x", Out: &said}); code != 1 {
		t.Errorf("ends with %d", code)
	}
	for _, want := range []string{"ok    internal/a FuzzGood", "FAIL  internal/b/c FuzzBad", "found it", "2 fuzz targets, 1 failed"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("%q is missing in\n%s", want, said.String())
		}
	}
	if code := Fuzz(t.Context(), FuzzOptions{Root: root, Time: "500x", Only: []string{"FuzzGood"}, Out: &said}); code != 0 {
		t.Errorf("the good one alone ends with %d", code)
	}
	if code := Fuzz(t.Context(), FuzzOptions{Root: root, Time: "500x", Only: []string{"FuzzNone"}, Out: &said}); code != 1 {
		t.Error("none at all is called success")
	}
}
