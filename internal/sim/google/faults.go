package google

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Fault is a rule that spoils calls. It strikes the matching calls number Nth to Nth+Times-1 (Nth 0 means 1,
// Times 0 means no end), each with Probability (0 means always). A struck call is charged like any other.
type Fault struct {
	Method      string  `json:"method,omitempty"` // "messages.list", or "token"; "" means all of Gmail's methods
	User        string  `json:"user,omitempty"`   // address; "" means all
	Nth         int     `json:"nth,omitempty"`
	Times       int     `json:"times,omitempty"`
	Probability float64 `json:"probability,omitempty"`

	Status         int           `json:"status,omitempty"` // answered instead of running the call
	Reason         string        `json:"reason,omitempty"` // default by status; at "token" the error code, such as invalid_grant
	Message        string        `json:"message,omitempty"`
	RetryAfter     time.Duration `json:"retry_after,omitempty"`      // in the header, scaled
	TextRetryAfter time.Duration `json:"text_retry_after,omitempty"` // as a time in the message, scaled

	ResetBefore      bool          `json:"reset_before,omitempty"`       // the connection breaks before the call has an effect
	ResetAfterEffect bool          `json:"reset_after_effect,omitempty"` // … after the effect, before the answer
	Delay            time.Duration `json:"delay,omitempty"`              // before anything else; wall clock
	HTML503          bool          `json:"html_503,omitempty"`
	TruncateJSON     bool          `json:"truncate_json,omitempty"` // half the answer, then the connection breaks
	Hang             bool          `json:"hang,omitempty"`          // no answer until the client gives up
}

var errHTML = errors.New("answered with an HTML page")

type rule struct {
	Fault
	id   int
	seen int
}

// faults are the rules in force.
type faults struct {
	mu    sync.Mutex
	rules []*rule
	made  int
}

// Inject puts a fault in force and gives its number. The first rule that strikes a call is the only one.
func (s *Sim) Inject(f Fault) (id int) {
	s.fault.mu.Lock()
	defer s.fault.mu.Unlock()
	s.fault.made++
	s.fault.rules = append(s.fault.rules, &rule{Fault: f, id: s.fault.made})
	return s.fault.made
}

// ClearFaults takes all faults away.
func (s *Sim) ClearFaults() {
	s.fault.mu.Lock()
	defer s.fault.mu.Unlock()
	s.fault.rules = nil
}

// next gives the fault that strikes a call, zero if none does.
func (f *faults) next(method, user string, chance func(float64) bool) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.rules {
		if r.Method != method && (r.Method != "" || method == "token") || r.User != "" && !strings.EqualFold(r.User, user) {
			continue
		}
		r.seen++
		first := max(r.Nth, 1)
		if r.seen < first || r.Times > 0 && r.seen >= first+r.Times {
			continue
		}
		if r.Probability == 0 || chance(r.Probability) {
			return r.Fault
		}
	}
	return Fault{}
}

// strike does what a fault does before a call runs; an error is the answer instead of running it.
func (f Fault) strike(ctx context.Context, s *Sim) error {
	pause(ctx.Done(), f.Delay)
	if f.Hang {
		<-ctx.Done()
		panic(http.ErrAbortHandler)
	}
	if f.ResetBefore {
		panic(http.ErrAbortHandler)
	}
	if f.HTML503 {
		return errHTML
	}
	if f.Status == 0 {
		return nil
	}
	return f.refusal(s)
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
		r.message = strings.TrimSpace(r.message) + "  Retry after " + s.cfg.Now().Add(s.scaled(f.TextRetryAfter)).UTC().Format("2006-01-02T15:04:05.000Z")
	}
	if f.Status == http.StatusForbidden || f.Status == http.StatusTooManyRequests {
		r.domain = "usageLimits"
	}
	return r
}
