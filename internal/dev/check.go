package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strings"

	"mailsweep/internal/app"
	"mailsweep/internal/config"
)

// generated are the files that are made from the code, with how to make each.
func generated() map[string]func(old []byte) []byte {
	return map[string]func([]byte) []byte{
		"internal/httpapi/testdata/openapi.json": func([]byte) []byte { return app.Spec() },
		".env.example":                           func([]byte) []byte { return []byte(config.Example()) },
		"README.md":                              settingsIn,
	}
}

const (
	tableBegins = "<!-- settings -->\n"
	tableEnds   = "<!-- /settings -->"
)

// settingsIn puts the settings table into the README between its marks.
func settingsIn(old []byte) []byte {
	before, rest, ok := strings.Cut(string(old), tableBegins)
	_, after, ok2 := strings.Cut(rest, tableEnds)
	if !ok || !ok2 {
		return nil
	}
	return []byte(before + tableBegins + config.Table() + tableEnds + after)
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
