package stripe

import (
	"math/rand/v2"
	"net/http"
	"strings"
	"time"
)

// Faults are what the API does beside its work. The zero value is a good day.
type Faults struct {
	Webhooks Webhooks
	Refuse   int           // this status in place of doing anything, such as 429 or 500
	Lose     bool          // it is done, and the answer is a 500
	Hang     time.Duration // it is done, and the answer comes late
	Share    float64       // of the requests that are concerned; 0: all
	Path     string        // what their path begins with; "": any
}

// Strike sets what goes wrong from now on.
func (s *Sim) Strike(f Faults) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = f
}

func (f Faults) hits(r *http.Request) bool {
	return strings.HasPrefix(r.URL.Path, f.Path) && (f.Share == 0 || rand.Float64() < f.Share)
}

// before says whether a request was answered with a fault.
func (f Faults) before(w http.ResponseWriter, r *http.Request) bool {
	if f.Refuse == 0 || !f.hits(r) {
		return false
	}
	kind := "api_error"
	if f.Refuse == http.StatusTooManyRequests {
		kind = "rate_limit_error"
	}
	answer(w, f.Refuse, map[string]any{"error": &fail{Type: kind, Message: "a fault"}})
	return true
}

// after says whether an answer was lost. What was done stays done.
func (f Faults) after(w http.ResponseWriter, r *http.Request) bool {
	if f.Hang > 0 && f.hits(r) {
		select {
		case <-r.Context().Done():
		case <-time.After(f.Hang):
		}
	}
	if !f.Lose || !f.hits(r) {
		return false
	}
	answer(w, http.StatusInternalServerError, map[string]any{"error": &fail{Type: "api_error", Message: "a fault"}})
	return true
}
