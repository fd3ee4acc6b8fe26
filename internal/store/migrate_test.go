package store_test

import (
	"context"
	"io/fs"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/store"
	"mailsweep/internal/testkit"
	"mailsweep/migrations"
)

// roles that the tests log in as; the password is the test cluster's own.
const password = "test-only"

func migrate(ctx context.Context, url string) error {
	return store.Migrate(ctx, url, store.Passwords{
		"mailsweep_owner": password, "mailsweep_app": password, "mailsweep_worker": password, "mailsweep_scheduler": password, "mailsweep_ops": password,
	})
}

func database(t *testing.T) testkit.Database {
	t.Helper()
	return testkit.Postgres(t, testkit.Schema{Files: migrations.SQL, Migrate: migrate})
}

func open(t *testing.T, d testkit.Database, role string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{URL: d.URL(role, password), Process: "test"})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	return db
}

func TestMigrationsGoUpDownAndUpAgain(t *testing.T) {
	t.Parallel()
	d := testkit.EmptyPostgres(t)
	require.NoError(t, migrate(t.Context(), d.Bootstrap))
	files, err := fs.Glob(migrations.SQL, "*.sql")
	require.NoError(t, err)
	for range files {
		require.NoError(t, store.Down(t.Context(), d.Bootstrap))
	}
	require.NoError(t, migrate(t.Context(), d.Bootstrap))
}

// The roles and their passwords belong to the whole cluster.
func TestDatabasesOfOneClusterMigrateAtOnce(t *testing.T) {
	t.Parallel()
	databases := []testkit.Database{testkit.EmptyPostgres(t), testkit.EmptyPostgres(t), testkit.EmptyPostgres(t), testkit.EmptyPostgres(t)}
	var all sync.WaitGroup
	for _, d := range databases {
		all.Go(func() {
			if err := migrate(t.Context(), d.Bootstrap); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestOpenRefusesSuperuserOwnerAndOldSchema(t *testing.T) {
	t.Parallel()
	d := database(t)
	_, err := store.Open(t.Context(), store.Options{URL: d.Bootstrap, Process: "test"})
	require.ErrorContains(t, err, "refusing to start")
	_, err = store.Open(t.Context(), store.Options{URL: d.URL("mailsweep_owner", password), Process: "test"})
	require.ErrorContains(t, err, "refusing to start")
	require.NoError(t, store.Down(t.Context(), d.Bootstrap))
	_, err = store.Open(t.Context(), store.Options{URL: d.URL("mailsweep_app", password), Process: "test"})
	require.Error(t, err)
}

func TestEachRoleOpens(t *testing.T) {
	t.Parallel()
	d := database(t)
	for _, role := range []string{"mailsweep_app", "mailsweep_worker", "mailsweep_scheduler", "mailsweep_ops"} {
		require.NoError(t, open(t, d, role).Ping(t.Context()), role)
	}
}
