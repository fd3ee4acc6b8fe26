package google

import (
	"cmp"
	"context"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"mailsweep/internal/sim/google/box"
)

var errHTML = errors.New("answered with an HTML page")

// struck is what faults make of one call.
type struck []Fault

// any says whether one of the faults has an effect.
func (s struck) any(has func(Fault) bool) bool {
	for _, f := range s {
		if has(f) {
			return true
		}
	}
	return false
}

// most is the greatest of an effect's numbers.
func (s struck) most(of func(Fault) int) (n int) {
	for _, f := range s {
		n = max(n, of(f))
	}
	return n
}

// answer does what faults do before a call runs; an error is the answer instead of running it.
func (s struck) answer(ctx context.Context, w http.ResponseWriter, sim *Sim) error {
	for _, f := range s {
		pause(ctx.Done(), f.Delay+sim.scaled(f.Latency))
		if f.Hang {
			<-ctx.Done()
			panic(http.ErrAbortHandler)
		}
		if f.ResetBefore {
			s.breakOff(w)
		}
		if f.HTML503 {
			return errHTML
		}
		if f.answers() {
			return f.refusal(sim)
		}
	}
	return nil
}

// breakOff ends the connection instead of answering.
func (s struck) breakOff(w http.ResponseWriter) {
	if s.any(func(f Fault) bool { return f.TCPReset }) {
		if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
			if tcp, ok := conn.(*net.TCPConn); ok {
				_ = tcp.SetLinger(0) // closed without it, then
			}
			_ = conn.Close()
		}
	}
	panic(http.ErrAbortHandler)
}

// upset does what faults do to the mailbox before a call runs.
func (c *call) upset() error {
	for _, f := range c.struck {
		if f.Vanish > 0 {
			ids := c.ids()
			c.box.box.Delete(ids[:min(f.Vanish, len(ids))])
		}
		for range f.Arrive {
			if _, err := c.box.box.Deliver(box.Incoming{From: "Stranger <stranger@unexpected.example>", Subject: "Just now"}); err != nil {
				return err
			}
		}
		if f.DeleteLabel != "" {
			c.box.box.DropLabel(f.DeleteLabel)
		}
		if f.ExpireHistory {
			c.box.box.ExpireHistory()
		}
		if f.StaleIndex > 0 {
			c.box.box.FreezeIndex(c.sim.cfg.Now().Add(c.sim.scaled(f.StaleIndex)))
		}
		if f.DropScope != "" {
			c.sim.auth.dropScope(c.box.Email, f.DropScope)
			c.scopes = without(c.scopes, f.DropScope)
		}
	}
	return nil
}

// ids are the messages that a call names.
func (c *call) ids() []string {
	if id := c.req.PathValue("id"); id != "" {
		return []string{id}
	}
	change, err := c.labelChange()
	if err != nil {
		return nil
	}
	return change.IDs
}

// halve lets a batch that fails at Google's side do half of its ids first, where the Sim is set so.
func (c *call) halve() {
	for i, f := range c.struck {
		if c.box.cfg.Quirks.PartialModify && c.method == "messages.batchModify" && f.Status >= http.StatusInternalServerError && f.Partial == 0 {
			c.struck[i].Partial = len(c.ids()) / 2
		}
	}
}

// part cuts the ids of a batch where a fault lets it do a part of them, and gives the error to answer then.
func (c *call) part(ids []string) ([]string, error) {
	for _, f := range c.struck {
		if f.Partial > 0 {
			f.Status = cmp.Or(f.Status, http.StatusServiceUnavailable)
			return ids[:min(f.Partial, len(ids))], f.refusal(c.sim)
		}
	}
	return ids, nil
}

// usual are reason and message of a status when the rule names none.
var usual = map[int][2]string{
	400: {"invalidArgument", "Invalid argument"}, 401: {"authError", "Invalid Credentials"}, 403: {"rateLimitExceeded", "Rate Limit Exceeded"},
	404: {"notFound", "Requested entity was not found."}, 409: {"aborted", "Conflict"}, 429: {"rateLimitExceeded", "User-rate limit exceeded."},
	500: {"backendError", "Internal error encountered."}, 502: {"backendError", "Bad Gateway"},
	503: {"backendError", "The service is currently unavailable."}, 504: {"backendError", "Deadline exceeded."},
}

func (f Fault) refusal(s *Sim) *refusal {
	r := &refusal{code: f.Status, reason: f.Reason, message: f.Message, retryAfter: s.scaled(f.RetryAfter)}
	if r.reason == "" {
		r.reason = usual[f.Status][0]
	}
	if r.message == "" {
		r.message = usual[f.Status][1]
	}
	if f.TextRetryAfter > 0 {
		r.message = strings.TrimSpace(r.message) + "  Retry after " + s.cfg.Now().Add(s.scaled(f.TextRetryAfter)).UTC().Format(retryFormat)
	}
	if f.Status == http.StatusForbidden || f.Status == http.StatusTooManyRequests {
		r.domain = "usageLimits"
	}
	return r
}

// retryFormat is how Gmail writes the time to wait for into a message.
const retryFormat = "2006-01-02T15:04:05.000Z"

// drip writes a body at so many bytes a second.
func drip(ctx context.Context, w http.ResponseWriter, body []byte, rate float64) {
	const beat = 50 * time.Millisecond
	some := max(int(rate*beat.Seconds()), 1)
	for len(body) > 0 && ctx.Err() == nil {
		n := min(some, len(body))
		if _, err := w.Write(body[:n]); err != nil {
			return // the client is gone
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
		if body = body[n:]; len(body) > 0 {
			pause(ctx.Done(), beat)
		}
	}
}
