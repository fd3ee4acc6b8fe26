package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
	"github.com/pressly/goose/v3/lock"

	"mailsweep/internal/sweep"
	"mailsweep/migrations"
)

const owner = "mailsweep_owner"

// Passwords of the login roles by role name; a role without one keeps what it has.
type Passwords map[string]string

// Migrate brings the database to the schema of this binary: roles first, as the bootstrap login of url, then the numbered
// migrations as mailsweep_owner. Several at once wait for each other.
func Migrate(ctx context.Context, url string, passwords Passwords) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("connect to migrate: %w", err)
	}
	defer conn.Close(ctx)
	if err := roles(ctx, conn, passwords); err != nil {
		return err
	}
	return up(ctx, conn.Config())
}

// roles are cluster-wide, so two databases that migrate at once would trip over each other's catalogue rows. An advisory lock holds
// within one database only; the table of the roles is shared by all.
func roles(ctx context.Context, conn *pgx.Conn, passwords Passwords) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if err := lockRoles(ctx, tx); err != nil {
			return fmt.Errorf("lock roles: %w", err)
		}
		if _, err := tx.Exec(ctx, migrations.Roles); err != nil {
			return fmt.Errorf("create roles: %w", err)
		}
		for role, password := range passwords {
			var statement string
			// ALTER ROLE takes no parameters: the server itself quotes name and password
			if err := tx.QueryRow(ctx, "SELECT format('ALTER ROLE %I PASSWORD %L', $1::text, $2::text)", role, password).Scan(&statement); err != nil {
				return fmt.Errorf("quote password of %s: %w", role, err)
			}
			if _, err := tx.Exec(ctx, statement); err != nil {
				return fmt.Errorf("set password of %s: failed", role)
			}
		}
		return nil
	})
}

// lockRoles makes migrations of one cluster wait for each other. Only a superuser may lock the table of the roles; another bootstrap
// login has one database to migrate, where the migration's own lock is enough.
func lockRoles(ctx context.Context, tx pgx.Tx) error {
	var super bool
	if err := tx.QueryRow(ctx, "SELECT rolsuper FROM pg_roles WHERE rolname = current_user").Scan(&super); err != nil || !super {
		return err
	}
	_, err := tx.Exec(ctx, "LOCK TABLE pg_authid IN SHARE ROW EXCLUSIVE MODE")
	return err
}

func up(ctx context.Context, cfg *pgx.ConnConfig) error {
	cfg.RuntimeParams["role"] = owner
	db := stdlib.OpenDB(*cfg)
	defer db.Close()
	locker, err := lock.NewPostgresSessionLocker()
	if err != nil {
		return fmt.Errorf("make migration lock: %w", err)
	}
	p, err := provider(db, goose.WithSessionLocker(locker))
	if err != nil {
		return err
	}
	err = lockPatiently(ctx, func() error {
		_, err := p.Up(ctx)
		return err
	})
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

func provider(db *sql.DB, opts ...goose.ProviderOption) (*goose.Provider, error) {
	files, err := fs.Sub(migrations.SQL, ".")
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	p, err := goose.NewProvider(database.DialectPostgres, db, files, opts...)
	if err != nil {
		return nil, fmt.Errorf("read migrations: %w", err)
	}
	return p, nil
}

// Down takes back the newest migration, for development.
func Down(ctx context.Context, url string) error {
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		return sweep.Errorf(sweep.Invalid, "the database URL cannot be parsed")
	}
	cfg.RuntimeParams["role"] = owner
	db := stdlib.OpenDB(*cfg)
	defer db.Close()
	p, err := provider(db)
	if err != nil {
		return err
	}
	if _, err := p.Down(ctx); err != nil {
		return fmt.Errorf("migrate down: %w", err)
	}
	return nil
}

// check refuses a role to which row-level security does not apply, and a schema that is not this binary's.
func (db *DB) check(ctx context.Context) error {
	var super, owns bool
	err := db.pool.QueryRow(ctx, `SELECT r.rolsuper OR r.rolbypassrls,
		EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid AND c.relnamespace = 'public'::regnamespace)
		FROM pg_roles r WHERE r.rolname = current_user`).Scan(&super, &owns)
	if err != nil {
		return fmt.Errorf("check role: %w", err)
	}
	if super || owns {
		return errors.New("refusing to start: the database role is superuser, bypasses row-level security or owns tables; use the role of this process")
	}
	return db.CheckSchema(ctx)
}

// CheckSchema says whether the database has at least the migrations of this binary. A newer schema is fine: migrations expand first and
// contract in a later release, so that old and new binaries run side by side during a deployment.
func (db *DB) CheckSchema(ctx context.Context) error {
	sqlDB := stdlib.OpenDBFromPool(db.pool)
	defer sqlDB.Close()
	p, err := provider(sqlDB)
	if err != nil {
		return err
	}
	have, want, err := p.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("read schema version: %w", err)
	}
	if have < want {
		return fmt.Errorf("refusing to start: the database schema is version %d, this binary needs %d; run `api migrate`", have, want)
	}
	return nil
}

// CreateDatabase makes an empty database beside the one of the bootstrap login and returns that login's URL of it.
func CreateDatabase(ctx context.Context, bootstrap, name string) (string, error) {
	conn, err := pgx.Connect(ctx, bootstrap)
	if err != nil {
		return "", fmt.Errorf("connect to create a database: %w", err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, "CREATE DATABASE "+pgx.Identifier{name}.Sanitize()); err != nil {
		return "", fmt.Errorf("create database: %w", err)
	}
	return WithLogin(bootstrap, name, "", "")
}

// WithLogin is a PostgreSQL URL with another database, and another login unless user is empty.
func WithLogin(base, database, user, password string) (string, error) {
	u, err := url.Parse(base)
	if err != nil {
		return "", sweep.Errorf(sweep.Invalid, "the database URL cannot be parsed")
	}
	u.Path = "/" + database
	if user != "" {
		u.User = url.UserPassword(user, password)
	}
	return u.String(), nil
}
