package google

import (
	"context"
	"math"
	"strings"
	"time"
)

// latency is log-normal: median and 99th percentile in milliseconds, and what each id of the call adds to the median.
type latency struct{ median, p99, perID float64 }

// latencies are by method. No figure is Google's: they are those of public clients and stand-ins.
var latencies = map[string]latency{
	"messages.list": {300, 900, 0}, "threads.list": {300, 900, 0}, "drafts.list": {300, 900, 0},
	"messages.get": {110, 500, 0}, "messages.get full": {400, 1500, 0}, "threads.get": {200, 900, 0}, "messages.attachments.get": {400, 1500, 0},
	"history.list": {150, 500, 0}, "messages.batchModify": {400, 4000, 1}, "messages.batchDelete": {400, 4000, 1},
	"messages.insert": {300, 900, 0}, "messages.import": {300, 900, 0}, "messages.send": {400, 1500, 0}, "drafts.send": {400, 1500, 0}, "token": {120, 600, 0},
}

// usualLatency is that of labels, the profile and whatever is not listed.
var usualLatency = latency{90, 300, 0}

// latencyOf says how long a call of n ids takes by the chance p, before the time scale.
func latencyOf(method string, n int, p float64) time.Duration {
	l, ok := latencies[method]
	if !ok {
		l = usualLatency
	}
	median := l.median + l.perID*float64(n)
	ms := median * math.Exp(normal(p)*math.Log(max(l.p99/median, 1.1))/2.326)
	return time.Duration(ms * float64(time.Millisecond))
}

// delay waits as long as Gmail would, if the Sim is set so. who keeps the mailboxes' chances apart.
func (s *Sim) delay(ctx context.Context, method, who string, ids int) {
	if !s.cfg.Latency {
		return
	}
	d := latencyOf(method, ids, s.dice.throw("latency "+method+" "+who))
	pause(ctx.Done(), s.scaled(time.Duration(float64(d)*s.cfg.Load)))
}

// pace names the latency of a call: a message with its body takes longer than its header.
func (c *call) pace() string {
	if c.method != "messages.get" {
		return c.method
	}
	switch strings.ToLower(c.form.Get("format")) {
	case "minimal", "metadata":
		return c.method
	}
	return c.method + " full"
}

func pause(done <-chan struct{}, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-done:
	}
}
