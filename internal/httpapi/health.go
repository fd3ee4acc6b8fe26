package httpapi

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mailsweep/internal/sweep"
)

// Readiness is what a process knows of the parts it needs, by name and without addresses.
type Readiness struct {
	Status string            `json:"status" enum:"ready,degraded,unready" doc:"degraded: everything is accepted, some of it later"`
	Checks map[string]string `json:"checks" doc:"ok, or what is wrong, by part"`
}

// The states of Readiness.
const (
	Ready    = "ready"
	Degraded = "degraded"
	Unready  = "unready"
)

type healthOutput struct {
	Body struct {
		Status string `json:"status" enum:"ok"`
	} `nameHint:"Alive"`
}

type readinessOutput struct{ Body Readiness }

func (s *server) healthRoutes(api huma.API) {
	add(s, api, operation{method: http.MethodGet, path: "/health", name: "health", tag: "service", open: true, unlimited: true, summary: "The process lives; asks nobody else"}, s.alive)
	add(s, api, operation{method: http.MethodGet, path: "/health/ready", name: "ready", tag: "service", open: true, unlimited: true, summary: "Whether requests should come here, with each part's state"}, s.ready)
}

func (s *server) alive(context.Context, *struct{}) (*healthOutput, error) {
	out := &healthOutput{}
	out.Body.Status = "ok"
	return out, nil
}

func (s *server) ready(ctx context.Context, _ *struct{}) (*readinessOutput, error) {
	if s.draining() {
		return nil, unready(Readiness{Status: Unready, Checks: map[string]string{"process": "stopping"}})
	}
	r := s.health.get(ctx, s.Ready)
	if r.Status == Unready {
		return nil, unready(r)
	}
	return &readinessOutput{Body: r}, nil
}

func unready(r Readiness) error {
	return sweep.Errorf(sweep.Unavailable, "this process is not ready for requests").With("checks", r.Checks)
}

func (s *server) draining() bool { return s.Draining != nil && s.Draining.Err() != nil }

// healthCache asks at most once a second, whoever knocks.
type healthCache struct {
	mu    sync.Mutex
	last  Readiness
	until time.Time
}

const (
	healthAge  = time.Second
	healthTime = 500 * time.Millisecond
)

func (h *healthCache) get(ctx context.Context, ask func(context.Context) Readiness) Readiness {
	if ask == nil {
		return Readiness{Status: Ready, Checks: map[string]string{}}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if time.Now().Before(h.until) {
		return h.last
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), healthTime)
	defer cancel()
	h.last = ask(ctx)
	h.until = time.Now().Add(healthAge)
	return h.last
}
