package google

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Fault is a rule that spoils calls: a match, which says of which calls, and an effect, which says how. A struck call is charged like
// any other.
//
// The rules are asked in the order of their injection, and all that strike a call spoil it, up to the first that answers it.
// A rule strikes the matching calls number Nth to Nth+Times-1 (Nth 0 means 1, Times 0 means no end), each with Probability (0 means always).
// Durations pass as fast as the TimeScale says, but for Delay.
type Fault struct {
	// The match.
	Method      string        `json:"method,omitempty"` // "messages.list", "token" or "batch"; "" means all of Gmail's methods
	User        string        `json:"user,omitempty"`   // address; "" means all
	Nth         int           `json:"nth,omitempty"`
	Times       int           `json:"times,omitempty"`
	Probability float64       `json:"probability,omitempty"`
	After       time.Duration `json:"after,omitempty"`   // not before so long after the injection
	For         time.Duration `json:"for,omitempty"`     // and for so long; 0 means for ever
	Query       string        `json:"query,omitempty"`   // part of q, without regard to case
	Paged       bool          `json:"paged,omitempty"`   // only calls with a page token
	Token       int           `json:"token,omitempty"`   // only calls with the mailbox's access token of this number, 1 being its first
	Younger     time.Duration `json:"younger,omitempty"` // only calls for one message that arrived less than this ago

	// The effect: an answer instead of running the call.
	Status         int           `json:"status,omitempty"`
	Reason         string        `json:"reason,omitempty"` // default by status; at "token" the error code, such as invalid_grant
	Message        string        `json:"message,omitempty"`
	RetryAfter     time.Duration `json:"retry_after,omitempty"`      // in the header
	TextRetryAfter time.Duration `json:"text_retry_after,omitempty"` // as a time in the message
	HTML503        bool          `json:"html_503,omitempty"`
	Hang           bool          `json:"hang,omitempty"`         // no answer until the client gives up
	ResetBefore    bool          `json:"reset_before,omitempty"` // the connection breaks before the call has an effect

	// The effect: on how the answer comes.
	Delay            time.Duration `json:"delay,omitempty"`              // before anything else; wall clock
	Latency          time.Duration `json:"latency,omitempty"`            // the same in Gmail's time
	ResetAfterEffect bool          `json:"reset_after_effect,omitempty"` // the connection breaks after the effect, before the answer
	TruncateJSON     bool          `json:"truncate_json,omitempty"`      // half the answer, then the connection breaks
	TCPReset         bool          `json:"tcp_reset,omitempty"`          // what breaks a connection resets it; else it is closed
	SlowBody         int           `json:"slow_body,omitempty"`          // bytes a second
	ContentType      string        `json:"content_type,omitempty"`       // told instead of JSON's
	Reorder          bool          `json:"reorder,omitempty"`            // the parts of a batch answer come in another order

	// The effect: on the mailbox, before the call runs.
	Vanish        int           `json:"vanish,omitempty"`         // so many of the call's messages are deleted for good
	Arrive        int           `json:"arrive,omitempty"`         // so many mails arrive
	DeleteLabel   string        `json:"delete_label,omitempty"`   // this user label, by id or name, is deleted
	ExpireHistory bool          `json:"expire_history,omitempty"` // all history ids handed out are too old
	DropScope     string        `json:"drop_scope,omitempty"`     // this scope is taken out of every consent for the mailbox
	StaleIndex    time.Duration `json:"stale_index,omitempty"`    // searches see the mailbox of now for so long

	// The effect: on what the call does.
	Repeat  int `json:"repeat,omitempty"`  // a page begins with so many messages of the page before
	Partial int `json:"partial,omitempty"` // batchModify and batchDelete do so many of their ids, then answer Status (0 means 503)
}

// durations are the names of the fields that hold one.
var durations = sync.OnceValue(func() (names []string) {
	t := reflect.TypeFor[Fault]()
	for i := range t.NumField() {
		if t.Field(i).Type == reflect.TypeFor[time.Duration]() {
			name, _, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			names = append(names, name)
		}
	}
	return names
})

// UnmarshalJSON reads a fault, its durations as nanoseconds or as people write them: "1m30s". An unknown name is an error.
func (f *Fault) UnmarshalJSON(raw []byte) error {
	var fields map[string]any
	if err := json.Unmarshal(raw, &fields); err != nil {
		return fmt.Errorf("read a fault: %w", err)
	}
	for _, name := range durations() {
		said, ok := fields[name].(string)
		if !ok {
			continue
		}
		d, err := time.ParseDuration(said)
		if err != nil {
			return fmt.Errorf("read a fault: %s: %w", name, err)
		}
		fields[name] = d
	}
	plain, err := json.Marshal(fields)
	if err != nil {
		return fmt.Errorf("read a fault: %w", err)
	}
	type fault Fault // without this method
	d := json.NewDecoder(bytes.NewReader(plain))
	d.DisallowUnknownFields()
	if err := d.Decode((*fault)(f)); err != nil {
		return fmt.Errorf("read a fault: %w", err)
	}
	return nil
}

// target is what rules are matched with.
type target struct {
	method, user, query string
	paged               bool
	token               int
	arrived             time.Time // of the one message that is asked for
	now                 time.Time
}

type rule struct {
	Fault
	id    int
	since time.Time
	seen  int
}

// faults are the rules in force.
type faults struct {
	mu    sync.Mutex
	rules []*rule
	made  int
}

// Inject puts a fault in force and gives its number.
func (s *Sim) Inject(f Fault) (id int) {
	s.fault.mu.Lock()
	defer s.fault.mu.Unlock()
	s.fault.made++
	s.fault.rules = append(s.fault.rules, &rule{Fault: f, id: s.fault.made, since: s.cfg.Now()})
	return s.fault.made
}

// ClearFaults takes all faults away.
func (s *Sim) ClearFaults() {
	s.fault.mu.Lock()
	defer s.fault.mu.Unlock()
	s.fault.rules = nil
}

// spoil gives the faults that strike a call, up to the first that answers it.
func (s *Sim) spoil(t target) (out []Fault) {
	s.fault.mu.Lock()
	defer s.fault.mu.Unlock()
	for _, r := range s.fault.rules {
		if !r.matches(t, s.scaled) || !r.strikes(&s.dice) {
			continue
		}
		out = append(out, r.Fault)
		if r.answers() {
			break
		}
	}
	return out
}

func (r *rule) matches(t target, scaled func(time.Duration) time.Duration) bool {
	age := t.now.Sub(r.since)
	switch {
	case r.Method != t.method && (r.Method != "" || t.method == "token" || t.method == "batch"):
	case r.User != "" && !strings.EqualFold(r.User, t.user):
	case r.After > 0 && age < scaled(r.After) || r.For > 0 && age >= scaled(r.After+r.For):
	case r.Query != "" && !strings.Contains(strings.ToLower(t.query), strings.ToLower(r.Query)):
	case r.Paged && !t.paged:
	case r.Token != 0 && r.Token != t.token:
	case r.Younger > 0 && (t.arrived.IsZero() || t.now.Sub(t.arrived) >= scaled(r.Younger)):
	default:
		return true
	}
	return false
}

// strikes counts a matching call and says whether it is one of those to be struck.
func (r *rule) strikes(d *dice) bool {
	r.seen++
	first := max(r.Nth, 1)
	if r.seen < first || r.Times > 0 && r.seen >= first+r.Times {
		return false
	}
	return r.Probability == 0 || d.nth("fault "+strconv.Itoa(r.id), uint64(r.seen)) < r.Probability
}

// answers says that the call does not run.
func (f Fault) answers() bool {
	return f.Hang || f.ResetBefore || f.HTML503 || f.Status != 0 && f.Partial == 0
}
