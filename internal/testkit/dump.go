package testkit

import (
	"testing"

	"mailsweep/internal/dev/local"
)

// Dump is all of a database as pg_dump writes it, in text.
func Dump(t testing.TB, d Database) string {
	t.Helper()
	cmd, err := local.PostgresTool(t.Context(), options(), "pg_dump", "--dbname="+d.Bootstrap)
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("testkit: dump the database: %v", err)
	}
	return string(text)
}
