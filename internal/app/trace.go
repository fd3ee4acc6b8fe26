package app

import (
	"context"
	"log/slog"
	"time"

	"mailsweep/internal/config"
	"mailsweep/internal/gmail"
	"mailsweep/internal/store"
	"mailsweep/internal/telemetry"
)

// startTracer is nil, and nothing connects, unless a collector is named.
func startTracer(ctx context.Context, cfg config.Config, log *slog.Logger) (*telemetry.Tracer, error) {
	if cfg.Trace.Endpoint == "" {
		return nil, nil
	}
	return telemetry.StartTracer(ctx, cfg.Trace.Endpoint, cfg.Process, telemetry.ReadBuild(), log)
}

func (p *parts) stopTracer() {
	if p.trace == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := p.trace.Stop(ctx); err != nil {
		p.log.Warn("the last traces were not sent", "error", err.Error())
	}
}

// statements tells the trace of each statement its verb.
func statements(t *telemetry.Tracer) func(context.Context, store.Statement) {
	if t == nil {
		return nil
	}
	return func(ctx context.Context, s store.Statement) {
		facts := []slog.Attr{slog.String("db.system.name", "postgresql")}
		if s.Code != "" {
			facts = append(facts, slog.String("db.response.status_code", s.Code))
		}
		t.Told(ctx, "sql "+s.Verb, s.Began, s.Took, s.Code != "", facts...)
	}
}

// observeGmail counts each call and tells the trace which one it was.
func (p *parts) observeGmail() gmail.Observer {
	count := p.figures.gmail()
	if p.trace == nil {
		return func(_ context.Context, c gmail.Call) { count(c) }
	}
	return func(ctx context.Context, c gmail.Call) {
		count(c)
		p.trace.Told(ctx, "gmail "+string(c.Method), time.Now().Add(-c.Took), c.Took, c.Status == 0 || c.Status >= 400,
			slog.Int("http.response.status_code", c.Status), slog.Int("gmail.units", c.Units), slog.Float64("gmail.waited_seconds", c.Waited.Seconds()))
	}
}
