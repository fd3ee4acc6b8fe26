package app

import (
	"context"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mailsweep/internal/gmail"
)

// figures are what a process counts itself. No label holds an id, an address or anything else that a stranger could choose.
type figures struct{ *prometheus.Registry }

func (f figures) counter(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	f.MustRegister(c)
	return c
}

func (f figures) gauge(name, help string, labels ...string) *prometheus.GaugeVec {
	g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, labels)
	f.MustRegister(g)
	return g
}

func (f figures) seconds(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	f.MustRegister(h)
	return h
}

// http counts answers by route; the route is a pattern, so no id becomes a label.
func (f figures) http() func(method, route string, status int, took time.Duration) {
	seconds := f.seconds("mailsweep_http_seconds", "Time of answers by route.", prometheus.DefBuckets, "method", "route", "status")
	return func(method, route string, status int, took time.Duration) {
		seconds.WithLabelValues(method, route, strconv.Itoa(status)).Observe(took.Seconds())
	}
}

// gmail counts calls that left. A status of 0 means that no answer came.
func (f figures) gmail() func(gmail.Call) {
	units := f.counter("mailsweep_gmail_units_total", "Gmail quota units spent.", "method")
	calls := f.seconds("mailsweep_gmail_call_seconds", "Time of Gmail calls, without waiting for quota.", prometheus.DefBuckets, "method", "status")
	waits := f.seconds("mailsweep_gmail_wait_seconds", "Time that Gmail calls waited for quota, an access token and a place in flight.", prometheus.DefBuckets, "method")
	return func(c gmail.Call) {
		units.WithLabelValues(string(c.Method)).Add(float64(c.Units))
		calls.WithLabelValues(string(c.Method), strconv.Itoa(c.Status)).Observe(c.Took.Seconds())
		waits.WithLabelValues(string(c.Method)).Observe(c.Waited.Seconds())
	}
}

// offTariff counts the refusals that name another limit than our tariff, and logs the first.
func (f figures) offTariff(log *slog.Logger) func(context.Context, int) {
	seen := f.counter("mailsweep_gmail_off_tariff_total", "Refusals of Gmail's that name another limit than GMAIL_TARIFF does.")
	var once sync.Once
	return func(ctx context.Context, told int) {
		seen.WithLabelValues().Inc()
		once.Do(func() { log.ErrorContext(ctx, "Gmail's limit is not that of GMAIL_TARIFF", "limit", told) })
	}
}

// looks is a collector that reads, at each scrape, what is counted elsewhere.
type looks struct {
	descs []*prometheus.Desc
	look  func(ctx context.Context, c chan<- prometheus.Metric)
}

const scrapeTime = 2 * time.Second

// Describe implements prometheus.Collector.
func (l *looks) Describe(c chan<- *prometheus.Desc) {
	for _, d := range l.descs {
		c <- d
	}
}

// Collect implements prometheus.Collector.
func (l *looks) Collect(c chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), scrapeTime)
	defer cancel()
	l.look(ctx, c)
}

// desc makes a Desc known to the collector.
func (l *looks) desc(name, help string, labels ...string) *prometheus.Desc {
	d := prometheus.NewDesc(name, help, labels, nil)
	l.descs = append(l.descs, d)
	return d
}

func gauge(c chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
}

func total(c chan<- prometheus.Metric, d *prometheus.Desc, v float64, labels ...string) {
	c <- prometheus.MustNewConstMetric(d, prometheus.CounterValue, v, labels...)
}
