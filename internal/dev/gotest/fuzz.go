package gotest

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// FuzzOptions says which native fuzz targets run, and how long.
type FuzzOptions struct {
	// Root is the folder of the module.
	Root string
	// Time is each target's, as -fuzztime takes it: a count ("3000x", which no busy machine can fail) or a time ("10m").
	Time string
	// Only are targets by name; none means all that there are.
	Only []string
	// Out gets a line per target, and whatever one that found something says.
	Out io.Writer
}

// target is one native fuzz test.
type target struct{ pkg, name string }

var (
	fuzzTest   = regexp.MustCompile(`(?m)^func (Fuzz\w+)\(f \*testing\.F\)`)
	executions = regexp.MustCompile(`elapsed: (\S+), execs: (\d+)`)
)

// Fuzz lets the targets run one after the other. It returns the exit code: 0 only when there are some and none found anything. What one finds lies
// below its package's testdata/fuzz: committed there it is one of that package's tests.
func Fuzz(ctx context.Context, o FuzzOptions) int {
	out := &screen{w: o.Out}
	all, err := targets(o.Root, o.Only)
	if err != nil || len(all) == 0 {
		out.line("make fuzz: no targets: %v", err)
		return 1
	}
	failed := 0
	for _, t := range all {
		said, err := t.fuzz(ctx, o)
		if err != nil {
			failed++
			out.line("FAIL  %s %s: %v\n%s", t.pkg, t.name, err, said)
			continue
		}
		how := executions.FindAllStringSubmatch(said, -1)
		if len(how) == 0 {
			failed++
			out.line("FAIL  %s %s ran nothing\n%s", t.pkg, t.name, said)
			continue
		}
		out.line("ok    %-44s %9s executions in %s", t.pkg+" "+t.name, how[len(how)-1][2], how[len(how)-1][1])
	}
	out.line("%d fuzz targets, %d failed", len(all), failed)
	return min(failed, 1)
}

func (t target) fuzz(ctx context.Context, o FuzzOptions) (said string, err error) {
	cmd := exec.CommandContext(ctx, "go", "test", "./"+t.pkg, "-run", "^$", "-fuzz", "^"+t.name+"$", "-fuzztime", o.Time)
	cmd.Dir = o.Root
	raw, err := cmd.CombinedOutput()
	return string(raw), err
}

// targets finds them in the source, so that a new one needs no list.
func targets(root string, only []string) (all []target, err error) {
	err = filepath.WalkDir(filepath.Join(root, "internal"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		pkg, err := filepath.Rel(root, filepath.Dir(path))
		for _, m := range fuzzTest.FindAllStringSubmatch(string(text), -1) {
			if len(only) == 0 || slices.Contains(only, m[1]) {
				all = append(all, target{filepath.ToSlash(pkg), m[1]})
			}
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("look for fuzz targets: %w", err)
	}
	return all, nil
}
