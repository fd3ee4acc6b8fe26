package store

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"mailsweep/internal/sweep"
)

const (
	jobChannel    = "job"
	listenerPulse = 20 * time.Second // silence after which the connection is asked whether it lives
	listenerPause = 500 * time.Millisecond

	listenerPatience = 5 * time.Second // for connecting: a network that swallows everything answers never
)

// Listener hears of changes of jobs through one connection per process and wakes who waits for them. Its messages carry ids and
// versions only. NewListener makes it; Run must be running for anybody to be woken.
type Listener struct {
	url string
	log *slog.Logger

	mu       sync.Mutex
	jobs     map[jobKey]map[*subscriber]struct{}
	versions map[jobKey]*known // nil while there is no connection
}

type jobKey struct{ customer, job sweep.ID }

type subscriber struct{ changes chan int64 }

// NewListener prepares a listener on the database of url.
func NewListener(url string, log *slog.Logger) *Listener {
	return &Listener{url: url, log: log, jobs: map[jobKey]map[*subscriber]struct{}{}}
}

// Subscribe gives a channel that carries the newest version of the job after each change; one that is not fetched is replaced by the
// next. Zero means: changes may have been missed, look again. cancel ends it and may be called twice; the channel is never closed.
func (l *Listener) Subscribe(customer, job sweep.ID) (changes <-chan int64, cancel func()) {
	key, s := jobKey{customer, job}, &subscriber{changes: make(chan int64, 1)}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.jobs[key] == nil {
		l.jobs[key] = map[*subscriber]struct{}{}
	}
	l.jobs[key][s] = struct{}{}
	return s.changes, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.jobs[key], s)
		if len(l.jobs[key]) == 0 {
			delete(l.jobs, key)
		}
	}
}

// Run listens until ctx ends, connecting anew whenever the connection is lost. All subscribers are woken after each connecting.
func (l *Listener) Run(ctx context.Context) error {
	for {
		err := l.listen(ctx)
		if ctx.Err() != nil {
			return nil
		}
		l.log.WarnContext(ctx, "listener lost its connection", "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(listenerPause):
		}
	}
}

func (l *Listener) listen(ctx context.Context) error {
	cfg, err := pgx.ParseConfig(l.url)
	if err != nil {
		return sweep.Errorf(sweep.Invalid, "the database URL cannot be parsed")
	}
	cfg.RuntimeParams["application_name"] = "mailsweep-listener"
	soon, cancel := context.WithTimeout(ctx, listenerPatience)
	defer cancel()
	conn, err := pgx.ConnectConfig(soon, cfg)
	if err != nil {
		return fmt.Errorf("connect listener: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	if _, err := conn.Exec(soon, "LISTEN "+jobChannel); err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	l.begin()
	defer l.deaf()
	for {
		if err := l.next(ctx, conn); err != nil {
			return err
		}
	}
}

// next waits for one message. A connection that a firewall dropped says nothing for ever: hence the ping after a silence.
func (l *Listener) next(ctx context.Context, conn *pgx.Conn) error {
	quiet, cancel := context.WithTimeout(ctx, listenerPulse)
	defer cancel()
	n, err := conn.WaitForNotification(quiet)
	if err == nil {
		l.wake(n.Payload)
		return nil
	}
	if quiet.Err() == nil || ctx.Err() != nil || conn.IsClosed() {
		return fmt.Errorf("wait for changes: %w", err)
	}
	alive, stop := context.WithTimeout(ctx, listenerPulse)
	defer stop()
	return conn.Ping(alive)
}

func (l *Listener) wake(payload string) {
	key, version, ok := parseChange(payload)
	if !ok {
		return // somebody else's message on our channel
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.heard(key, version)
	for s := range l.jobs[key] {
		s.put(version)
	}
}

func parseChange(payload string) (key jobKey, version int64, ok bool) {
	parts := strings.Split(payload, " ")
	if len(parts) != 3 {
		return key, 0, false
	}
	var err [3]error
	key.customer, err[0] = sweep.ParseUUID(parts[0])
	key.job, err[1] = sweep.ParseUUID(parts[1])
	version, err[2] = strconv.ParseInt(parts[2], 10, 64)
	return key, version, err == [3]error{}
}

// begin wakes all who wait, for what was missed before, and lets versions be kept from now on.
func (l *Listener) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.versions = map[jobKey]*known{}
	for _, job := range l.jobs {
		for s := range job {
			s.put(0)
		}
	}
}

// deaf drops what would go stale without anybody noticing.
func (l *Listener) deaf() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.versions = nil
}

// put never blocks: all puts happen under the listener's lock, so the slot that is emptied stays empty until it is filled.
func (s *subscriber) put(version int64) {
	select {
	case old := <-s.changes:
		version = max(version, old)
	default:
	}
	s.changes <- version
}
