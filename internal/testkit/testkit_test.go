package testkit_test

import (
	"context"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"

	"mailsweep/internal/testkit"
)

// schema is one table and one role, with a count of the times it was made.
func schema(version string, calls *atomic.Int32) testkit.Schema {
	return testkit.Schema{
		Files:   fstest.MapFS{"0001.sql": {Data: []byte("CREATE TABLE things (n int)")}},
		Version: version,
		Migrate: func(ctx context.Context, url string) error {
			calls.Add(1)
			conn, err := pgx.Connect(ctx, url)
			if err != nil {
				return err
			}
			// Left open on purpose: a migration that forgets a connection must not make the template useless.
			_, err = conn.Exec(ctx, `CREATE TABLE things (n int);
				DO $$ BEGIN CREATE ROLE testkit_reader LOGIN PASSWORD 'reader'; EXCEPTION WHEN duplicate_object THEN END $$;
				GRANT SELECT ON things TO testkit_reader`)
			return err
		},
	}
}

func scan(t *testing.T, url, query string) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	var out string
	if err := conn.QueryRow(t.Context(), query).Scan(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestEachTestHasADatabaseOfItsOwnFromOneMigration(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	s := schema(t.Name()+time.Now().String(), &calls)
	var wg sync.WaitGroup
	names := make([]testkit.Database, 8)
	for i := range names {
		wg.Go(func() { names[i] = testkit.Postgres(t, s) })
	}
	wg.Wait()
	for _, db := range names {
		if got := scan(t, db.Bootstrap, "INSERT INTO things VALUES (1) RETURNING (SELECT count(*)::text FROM things)"); got != "0" {
			t.Errorf("%s begins with %s rows", db.Name, got)
		}
		if got := scan(t, db.URL("testkit_reader", "reader"), "SELECT current_user || count(*) FROM things"); got != "testkit_reader1" {
			t.Errorf("the other login says %s", got)
		}
	}
	if calls.Load() != 1 {
		t.Errorf("migrated %d times", calls.Load())
	}
}

func TestAnUnfinishedTemplateIsMadeAgain(t *testing.T) {
	t.Parallel()
	var calls atomic.Int32
	s := schema(t.Name()+time.Now().String(), &calls)
	whole := s.Migrate
	s.Migrate = func(context.Context, string) error { return os.ErrInvalid }
	failed := failure(t, func(t testing.TB) { testkit.Postgres(t, s) })
	if !strings.Contains(failed, "migrate the template database: invalid argument") {
		t.Errorf("a failed migration says %q", failed)
	}
	s.Migrate = whole
	if got := scan(t, testkit.Postgres(t, s).Bootstrap, "SELECT count(*)::text FROM things"); got != "0" {
		t.Error(got)
	}
}

func TestADatabaseIsDroppedWhoeverIsConnected(t *testing.T) {
	t.Parallel()
	var name string
	var held *pgx.Conn
	t.Run("user", func(t *testing.T) {
		db := testkit.EmptyPostgres(t)
		var err error
		if held, err = pgx.Connect(context.Background(), db.Bootstrap); err != nil {
			t.Fatal(err)
		}
		name = db.Name
	})
	defer held.Close(context.Background())
	other := testkit.EmptyPostgres(t)
	if got := scan(t, other.Bootstrap, "SELECT count(*)::text FROM pg_database WHERE datname = '"+name+"'"); got != "0" {
		t.Error("it is still there")
	}
}

func client(t *testing.T, url string) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	c := redis.NewClient(o)
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestEachTestHasAnEmptyRedisOfItsOwn(t *testing.T) {
	t.Parallel()
	a, b := testkit.Redis(t), testkit.Redis(t)
	if a == b {
		t.Fatal("two tests share", a)
	}
	if err := client(t, a).Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	if n := client(t, b).Exists(t.Context(), "k").Val(); n != 0 {
		t.Error("a key of the other test is seen")
	}
}

func TestARedisNumberComesBackEmpty(t *testing.T) {
	t.Parallel()
	for range 600 { // more than there are numbers
		user := &shortLived{TB: t}
		c := client(t, testkit.Redis(user))
		if n := c.DBSize(t.Context()).Val(); n != 0 {
			t.Fatal("it holds keys")
		}
		if err := c.Set(t.Context(), "k", "v", 0).Err(); err != nil {
			t.Fatal(err)
		}
		_ = c.Close()
		user.end()
	}
}

// shortLived is a test within a test.
type shortLived struct {
	testing.TB
	atEnd []func()
}

func (s *shortLived) Cleanup(f func()) { s.atEnd = append(s.atEnd, f) }

func (s *shortLived) end() {
	for _, f := range s.atEnd {
		f()
	}
}

func TestOwnServersComeBackAfterAKill(t *testing.T) {
	t.Parallel()
	pg, rd := testkit.OwnPostgres(t), testkit.OwnRedis(t)
	c := client(t, rd.URL)
	if err := c.Set(t.Context(), "k", "v", 0).Err(); err != nil {
		t.Fatal(err)
	}
	pg.Kill()
	rd.Kill()
	if c.Ping(t.Context()).Err() == nil {
		t.Error("a killed Redis answers")
	}
	if pg.Restart(t.Context()) != nil || rd.Restart(t.Context()) != nil {
		t.Fatal("no restart")
	}
	if got := c.Get(t.Context(), "k").Val(); got != "v" {
		t.Errorf("after the restart k is %q", got)
	}
	if got := scan(t, pg.URL, "SELECT current_user::text"); got != "postgres" {
		t.Error(got)
	}
}

func TestEventuallyFailsAtItsDeadline(t *testing.T) {
	t.Parallel()
	n := 0
	testkit.Eventually(t, time.Second, func() bool { n++; return n == 3 }, "three looks")
	said := failure(t, func(t testing.TB) {
		testkit.Eventually(t, 20*time.Millisecond, func() bool { return false }, "the impossible")
	})
	if said != "not within 20ms: the impossible" {
		t.Errorf("it says %q", said)
	}
}

func TestASeedRepeatsTheSameChance(t *testing.T) {
	t.Setenv("SEED", "7")
	if a, b := testkit.Seed(t).Uint64(), testkit.Seed(t).Uint64(); a != b {
		t.Error(a, b)
	}
}
