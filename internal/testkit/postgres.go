package testkit

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// Schema is what a test's database holds when the test begins.
type Schema struct {
	// Files are the migrations; their hash names the template, so that every package with the same ones shares it.
	Files fs.FS
	// Version is anything else that the schema depends on.
	Version string
	// Migrate brings the new, empty database of the superuser URL it is handed up to date. Roles belong to the whole
	// cluster, so it must be content with those that exist. No two calls overlap on one cluster.
	Migrate func(ctx context.Context, url string) error
}

// Database is one test's own.
type Database struct {
	// Name is unique on the cluster.
	Name string
	// Bootstrap is the superuser's URL of this database.
	Bootstrap string
}

// URL is the same database for another login.
func (d Database) URL(user, password string) string {
	u, err := url.Parse(d.Bootstrap)
	if err != nil {
		panic(err) // testkit made it
	}
	u.User = url.UserPassword(user, password)
	return u.String()
}

// Postgres gives the test a database with the schema, copied from a template that is migrated once per cluster. It is
// dropped when the test ends, whoever is still connected.
func Postgres(t testing.TB, s Schema) Database {
	t.Helper()
	cluster := cluster(t)
	template, err := s.template(t.Context(), cluster)
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	return create(t, cluster, template)
}

// EmptyPostgres gives the test a database without any schema.
func EmptyPostgres(t testing.TB) Database {
	t.Helper()
	return create(t, cluster(t), "template0")
}

func cluster(t testing.TB) string {
	t.Helper()
	url, err := sharedPostgres()
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	return url
}

// limit keeps a stuck test from outliving its patience in a clean-up.
const limit = time.Minute

func create(t testing.TB, cluster, template string) Database {
	t.Helper()
	name := "test_" + strings.ToLower(rand.Text())
	// Copied file by file: written page by page through the log, as is usual, takes three times as long.
	if err := exec(t.Context(), cluster, "CREATE DATABASE "+quote(name)+" TEMPLATE "+quote(template)+" STRATEGY FILE_COPY"); err != nil {
		t.Fatalf("testkit: create a database: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if err := exec(ctx, cluster, "DROP DATABASE IF EXISTS "+quote(name)+" WITH (FORCE)"); err != nil {
			t.Errorf("testkit: drop the database: %v", err)
		}
	})
	return Database{Name: name, Bootstrap: withDatabase(cluster, name)}
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

func withDatabase(cluster, name string) string {
	u, err := url.Parse(cluster)
	if err != nil {
		panic(fmt.Sprintf("TEST_DATABASE_URL is no URL: %v", err))
	}
	u.Path = "/" + name
	return u.String()
}

func exec(ctx context.Context, url, statement string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, statement)
	return err
}

// migrationLock is the advisory lock that every test process takes on a cluster's own database.
const migrationLock = 0x6d61696c73776565

// template returns the name of the migrated database. A template that a killed process left unfinished still accepts
// connections and is made again.
func (s Schema) template(ctx context.Context, cluster string) (string, error) {
	name, err := s.name()
	if err != nil {
		return "", err
	}
	conn, err := pgx.Connect(ctx, cluster)
	if err != nil {
		return "", fmt.Errorf("connect to the cluster: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if finished, err := isFinished(ctx, conn, name); finished || err != nil {
		return name, err
	}
	// The lock ends with the connection, so a killed process holds nobody up.
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(migrationLock)); err != nil {
		return "", fmt.Errorf("lock the cluster: %w", err)
	}
	if finished, err := isFinished(ctx, conn, name); finished || err != nil {
		return name, err
	}
	return name, s.makeTemplate(ctx, conn, cluster, name)
}

func (s Schema) makeTemplate(ctx context.Context, conn *pgx.Conn, cluster, name string) error {
	for _, statement := range []string{
		"DROP DATABASE IF EXISTS " + quote(name) + " WITH (FORCE)",
		"CREATE DATABASE " + quote(name) + " TEMPLATE template0",
	} {
		if _, err := conn.Exec(ctx, statement); err != nil {
			return fmt.Errorf("make the template database: %w", err)
		}
	}
	if err := s.Migrate(ctx, withDatabase(cluster, name)); err != nil {
		return fmt.Errorf("migrate the template database: %w", err)
	}
	// A database that someone is connected to cannot be copied.
	if _, err := conn.Exec(ctx, "ALTER DATABASE "+quote(name)+" WITH ALLOW_CONNECTIONS false"); err != nil {
		return fmt.Errorf("finish the template database: %w", err)
	}
	_, err := conn.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
	if err != nil {
		return fmt.Errorf("disconnect everybody from the template database: %w", err)
	}
	return nil
}

func isFinished(ctx context.Context, conn *pgx.Conn, name string) (bool, error) {
	var open bool
	err := conn.QueryRow(ctx, "SELECT datallowconn FROM pg_database WHERE datname = $1", name).Scan(&open)
	if errors.Is(err, pgx.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("look for the template database: %w", err)
	}
	return !open, nil
}

// name is the hash of every file with its path.
func (s Schema) name() (string, error) {
	h := sha256.New()
	fmt.Fprintf(h, "%q\n", s.Version)
	if s.Files != nil {
		err := fs.WalkDir(s.Files, ".", func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			content, err := fs.ReadFile(s.Files, path)
			fmt.Fprintf(h, "%q %q\n", path, content)
			return err
		})
		if err != nil {
			return "", fmt.Errorf("hash the migrations: %w", err)
		}
	}
	return fmt.Sprintf("template_%x", h.Sum(nil)[:16]), nil
}
