package app

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"

	"mailsweep/internal/config"
)

// readiness says which dependency is in which state; no addresses. A cached answer is at most a second old.
type readiness struct {
	mu   sync.Mutex
	at   time.Time
	last map[string]string
	ok   bool
}

// ready is what look found, at most a second ago.
func (p *parts) ready(ctx context.Context) (map[string]string, bool) {
	p.readiness.mu.Lock()
	defer p.readiness.mu.Unlock()
	if time.Since(p.readiness.at) >= time.Second {
		p.readiness.last, p.readiness.ok = p.look(ctx)
		p.readiness.at = time.Now()
	}
	return p.readiness.last, p.readiness.ok
}

// look asks now: PostgreSQL, the schema and the keys must be there (the keys were read at start). Without Redis the API is degraded and goes on
// admitting jobs; a worker or scheduler needs it.
func (p *parts) look(ctx context.Context) (state map[string]string, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	state, ok = map[string]string{"keys": "ok", "postgres": "ok", "schema": "ok", "redis": "ok"}, true
	if err := p.db.Ping(ctx); err != nil {
		state["postgres"], state["schema"], ok = "unavailable", "unknown", false
	} else if err := p.db.CheckSchema(ctx); err != nil {
		state["schema"], ok = "mismatch", false
	}
	if err := p.redis.Ping(ctx).Err(); err != nil {
		state["redis"] = "unavailable"
		ok = ok && p.cfg.Process == config.API
	}
	return state, ok
}

// ops is the process's private listener: health, figures and the queue page.
func (p *parts) ops(queues http.Handler) *OpsServer {
	p.figures.MustRegister(p.own())
	return &OpsServer{Addr: p.cfg.Ops.Addr(p.cfg.Process), Users: p.cfg.Ops.Users, Queues: queues,
		Metrics: promhttp.HandlerFor(p.figures, promhttp.HandlerOpts{}), Log: p.log,
		Ready: func(ctx context.Context) (any, bool) { return p.ready(ctx) }}
}
