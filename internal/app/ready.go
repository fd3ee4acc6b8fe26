package app

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
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

// ready: PostgreSQL, the schema and the keys must be there (the keys were read at start). Without Redis the API is degraded and goes on
// admitting jobs; a worker or scheduler needs it.
func (p *parts) ready(ctx context.Context) (map[string]string, bool) {
	p.readiness.mu.Lock()
	defer p.readiness.mu.Unlock()
	if time.Since(p.readiness.at) < time.Second {
		return p.readiness.last, p.readiness.ok
	}
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	state := map[string]string{"keys": "ok", "postgres": "ok", "schema": "ok", "redis": "ok"}
	ok := true
	if err := p.db.Ping(ctx); err != nil {
		state["postgres"], state["schema"], ok = "unavailable", "unknown", false
	} else if err := p.db.CheckSchema(ctx); err != nil {
		state["schema"], ok = "mismatch", false
	}
	if err := p.redis.Ping(ctx).Err(); err != nil {
		state["redis"] = "unavailable"
		ok = ok && p.cfg.Process == config.API
	}
	p.readiness.at, p.readiness.last, p.readiness.ok = time.Now(), state, ok
	return state, ok
}

// ops is the process's private listener: health, figures and the queue page.
func (p *parts) ops(queues http.Handler) *OpsServer {
	p.registry.MustRegister(&gauges{p})
	return &OpsServer{Addr: p.cfg.Ops.Addr(p.cfg.Process), Users: p.cfg.Ops.Users, Queues: queues,
		Metrics: promhttp.HandlerFor(p.registry, promhttp.HandlerOpts{}), Log: p.log,
		Ready: func(ctx context.Context) (any, bool) { return p.ready(ctx) }}
}

// gauges reads what is counted elsewhere at the moment somebody looks.
type gauges struct{ p *parts }

var (
	openJobs  = prometheus.NewDesc("mailsweep_jobs_open", "Jobs that are not over.", []string{"kind", "state"}, nil)
	poolConns = prometheus.NewDesc("mailsweep_db_connections", "Connections of this process's pool.", []string{"state"}, nil)
)

// Describe implements prometheus.Collector.
func (g *gauges) Describe(c chan<- *prometheus.Desc) { c <- openJobs; c <- poolConns }

// Collect implements prometheus.Collector.
func (g *gauges) Collect(c chan<- prometheus.Metric) {
	s := g.p.db.Stat()
	c <- prometheus.MustNewConstMetric(poolConns, prometheus.GaugeValue, float64(s.AcquiredConns()), "acquired")
	c <- prometheus.MustNewConstMetric(poolConns, prometheus.GaugeValue, float64(s.IdleConns()), "idle")
	c <- prometheus.MustNewConstMetric(poolConns, prometheus.GaugeValue, float64(s.MaxConns()), "max")
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	counts, err := g.p.db.JobCounts(ctx)
	if err != nil {
		return // the scrape goes on without: the database's absence shows in readiness
	}
	for _, n := range counts {
		c <- prometheus.MustNewConstMetric(openJobs, prometheus.GaugeValue, float64(n.N), string(n.Kind), string(n.State))
	}
}
