package store

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// leaderClass keeps leaders' advisory locks apart from any other use of them in the database.
const leaderClass = 7281

const leaderPulse = time.Second

// Leader elects one process among all that use the same name and database. It is an advisory lock held by one connection of its own:
// a leader that loses the connection has lost the lead, so two may believe to lead for up to a second. What leaders do must bear that.
type Leader struct {
	db   *DB
	name string

	mu    sync.Mutex
	conn  *pgx.Conn
	leads bool
	seen  time.Time // when the connection last answered
}

// Leader gives this process's candidate for name.
func (db *DB) Leader(name string) *Leader { return &Leader{db: db, name: name} }

// Lead says whether this process leads now; a standby tries to take over. Call it before every round of work: it asks the database
// once a second at most while it leads. An error means false.
func (l *Leader) Lead(ctx context.Context) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leads && time.Since(l.seen) < leaderPulse {
		return true, nil
	}
	err := l.ask(ctx)
	if err != nil {
		l.drop()
		return false, fmt.Errorf("lead %s: %w", l.name, err)
	}
	l.seen = time.Now()
	return l.leads, nil
}

func (l *Leader) ask(ctx context.Context) (err error) {
	ctx, cancel := context.WithTimeout(ctx, 5*leaderPulse)
	defer cancel()
	if l.leads {
		return l.conn.Ping(ctx)
	}
	if l.conn == nil {
		if l.conn, err = pgx.ConnectConfig(ctx, l.session()); err != nil {
			return err
		}
	}
	return l.conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1, hashtext($2))", leaderClass, l.name).Scan(&l.leads)
}

// session is a connection whose server ends it, and with it the lock, when the leader is frozen or its host is gone: the lead would
// otherwise stay with it for as long as TCP waits.
func (l *Leader) session() *pgx.ConnConfig {
	cfg := l.db.pool.Config().ConnConfig.Copy()
	for name, value := range map[string]string{"idle_session_timeout": "10s", "tcp_keepalives_idle": "5", "tcp_keepalives_interval": "2", "tcp_keepalives_count": "3"} {
		cfg.RuntimeParams[name] = value
	}
	return cfg
}

// drop closes the connection, which ends the session and with it the lock, whatever state it is in.
func (l *Leader) drop() {
	l.leads = false
	if l.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), leaderPulse)
	defer cancel()
	_ = l.conn.Close(ctx) // a dead connection cannot be closed any better
	l.conn = nil
}

// Resign gives up the lead at once, for another process to take, and closes the connection. Closing alone would leave it to the server when the
// lock goes.
func (l *Leader) Resign() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.leads {
		ctx, cancel := context.WithTimeout(context.Background(), leaderPulse)
		defer cancel()
		_, _ = l.conn.Exec(ctx, "SELECT pg_advisory_unlock($1, hashtext($2))", leaderClass, l.name) // else the session's end gives it up
	}
	l.drop()
}
