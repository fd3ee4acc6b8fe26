package testkit

import (
	"strings"
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

// Restore gives the test a database of its own that holds what a dump says. The dump's roles must be there: they are on the cluster that
// it was taken from.
func Restore(t testing.TB, dump string) Database {
	t.Helper()
	d := EmptyPostgres(t)
	cmd, err := local.PostgresTool(t.Context(), options(), "psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--dbname="+d.Bootstrap)
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	cmd.Stdin = strings.NewReader(dump)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("testkit: restore the dump: %v: %s", err, out)
	}
	return d
}
