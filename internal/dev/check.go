package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"mailsweep/internal/app"
	"mailsweep/internal/config"
	"mailsweep/internal/sweep"
)

// generated are the files that are made from the code, with how to make each.
func generated() map[string]func(old []byte) []byte {
	return map[string]func([]byte) []byte{
		"internal/httpapi/testdata/openapi.json": func([]byte) []byte { return app.Spec() },
		".env.example":                           func([]byte) []byte { return []byte(config.Example()) },
		"README.md":                              func(old []byte) []byte { return between(old, "settings", config.Table()) },
		"internal/ARCHITECTURE.md":               func(old []byte) []byte { return between(old, "moves", moves()) },
	}
}

// between puts content into a page between the marks of a name; a page without them is not what anything makes.
func between(page []byte, mark, content string) []byte {
	begins, ends := "<!-- "+mark+" -->\n", "<!-- /"+mark+" -->"
	before, rest, ok := strings.Cut(string(page), begins)
	_, after, ok2 := strings.Cut(rest, ends)
	if !ok || !ok2 {
		return nil
	}
	return []byte(before + begins + content + ends + after)
}

// moves is the table of a job's moves.
func moves() string {
	var b strings.Builder
	b.WriteString("\n| event | in these states | leads to |\n|---|---|---|\n")
	for _, e := range sweep.Events() {
		var from []string
		for _, s := range e.From() {
			from = append(from, string(s))
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", e, strings.Join(from, ", "), e.To())
	}
	return b.String() + "\n"
}

// check says which generated files are not what the code makes; with UPDATE=1 it writes them.
func check() error {
	var stale []string
	for name, make := range generated() {
		old, err := os.ReadFile(name)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("read %s: %w", name, err)
		}
		want := make(old)
		if bytes.Equal(bytes.TrimSpace(old), bytes.TrimSpace(want)) {
			continue
		}
		if os.Getenv("UPDATE") == "" {
			stale = append(stale, name)
			continue
		}
		if err := os.WriteFile(name, want, 0o644); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	if len(stale) > 0 {
		return fmt.Errorf("not up to date: %s (UPDATE=1 %s writes them)", strings.Join(stale, ", "), "go run ./internal/dev check")
	}
	return nil
}
