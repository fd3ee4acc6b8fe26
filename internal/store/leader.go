package store

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

// leaderClass keeps leaders' advisory locks apart from any other use of them in the database.
const leaderClass = 7281

const leaderPulse = time.Second

// Leader elects one process among all that use the same name and database. It is an advisory lock held by one connection: a
// leader that loses the connection has lost the lead, so two may believe to lead for up to a second. What leaders do must bear that.
type Leader struct {
	db   *DB
	name string

	mu   sync.Mutex
	conn *pgxpool.Conn
	seen time.Time // when the connection last answered
}

// Leader gives this process's candidate for name. Every candidate occupies one connection while it leads.
func (db *DB) Leader(name string) *Leader { return &Leader{db: db, name: name} }

// Lead says whether this process leads now; a standby tries to take over. Call it before every round of work: it looks at its
// connection once a second. An error means false.
func (l *Leader) Lead(ctx context.Context) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil && l.alive(ctx) {
		return true, nil
	}
	conn, err := l.db.pool.Acquire(ctx)
	if err != nil {
		return false, fmt.Errorf("lead %s: %w", l.name, err)
	}
	var held bool
	err = conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1, hashtext($2))", leaderClass, l.name).Scan(&held)
	if err != nil || !held {
		conn.Release()
		if err != nil {
			return false, fmt.Errorf("lead %s: %w", l.name, err)
		}
		return false, nil
	}
	l.conn, l.seen = conn, time.Now()
	return true, nil
}

func (l *Leader) alive(ctx context.Context) bool {
	if time.Since(l.seen) < leaderPulse {
		return true
	}
	if err := l.conn.Ping(ctx); err != nil {
		l.drop()
		return false
	}
	l.seen = time.Now()
	return true
}

// drop closes the connection rather than giving it back: closing ends the session and with it the lock, whatever state it is in.
func (l *Leader) drop() {
	ctx, cancel := context.WithTimeout(context.Background(), leaderPulse)
	defer cancel()
	_ = l.conn.Hijack().Close(ctx) // a dead connection cannot be closed any better
	l.conn = nil
}

// Resign gives up the lead at once, for another process to take.
func (l *Leader) Resign() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conn != nil {
		l.drop()
	}
}
