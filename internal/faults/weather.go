package main

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// The services that programs talk to through the weather.
const (
	postgres = "postgres"
	redis    = "redis"
	gmail    = "gmail"
	payments = "stripe"
)

// weather is toxiproxy, one proxy per service.
type weather struct{ proxies map[string]*toxiproxy.Proxy }

func newWeather(upstream map[string]string) (*weather, error) {
	w := &weather{proxies: map[string]*toxiproxy.Proxy{}}
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	for service, at := range upstream {
		p := toxiproxy.NewProxy(server, service, "127.0.0.1:0", at)
		if err := p.Start(); err != nil {
			return w, fmt.Errorf("start the proxy to %s: %w", service, err)
		}
		w.proxies[service] = p
	}
	return w, nil
}

// at is where the service is reached through the weather.
func (w *weather) at(service string) string { return w.proxies[service].Listen }

// toxic puts a toxic on what a service answers.
func (w *weather) toxic(service, kind string, toxicity float64, attributes map[string]int) error {
	body, err := json.Marshal(map[string]any{"name": kind, "type": kind, "stream": "downstream", "toxicity": toxicity, "attributes": attributes})
	if err != nil {
		return fmt.Errorf("write toxic: %w", err)
	}
	if _, err := w.proxies[service].Toxics.AddToxicJson(strings.NewReader(string(body))); err != nil {
		return fmt.Errorf("add toxic %s to %s: %w", kind, service, err)
	}
	return nil
}

// slow delays each answer; blackhole swallows them; resets breaks a share of the connections.
func (w *weather) slow(service string, by time.Duration) error {
	return w.toxic(service, "latency", 1, map[string]int{"latency": int(by.Milliseconds()), "jitter": int(by.Milliseconds() / 10)})
}

func (w *weather) blackhole(service string) error {
	return w.toxic(service, "timeout", 1, map[string]int{"timeout": 0})
}

func (w *weather) resets(service string, share float64, after time.Duration) error {
	return w.toxic(service, "reset_peer", share, map[string]int{"timeout": int(after.Milliseconds())})
}

// kinds are all ways of bad weather, for each service.
func (w *weather) kinds() (all []func() error) {
	for _, service := range []string{postgres, redis, gmail} {
		all = append(all, func() error { return w.resets(service, 0.05, 0) }, func() error { return w.slow(service, 300*time.Millisecond) },
			func() error { return w.blackhole(service) })
	}
	return all
}

// cut ends all connections to a service and refuses new ones until mend.
func (w *weather) cut(service string) { w.proxies[service].Stop() }

func (w *weather) mend(service string) error {
	p := w.proxies[service]
	if p.Enabled {
		return nil
	}
	if err := p.Start(); err != nil {
		return fmt.Errorf("start the proxy to %s: %w", service, err)
	}
	return nil
}

// clear makes good weather.
func (w *weather) clear() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	for service, p := range w.proxies {
		_ = w.mend(service) // a proxy that cannot listen again shows in the processes' readiness
		p.Toxics.ResetToxics(ctx)
	}
}

func (w *weather) stop() {
	if w == nil {
		return
	}
	for _, p := range w.proxies {
		p.Stop()
	}
}
