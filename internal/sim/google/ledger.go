package google

import (
	"maps"
	"sync"
	"time"
)

// Ledger is what a mailbox's API clients did. Calls and Units count by method and include failed calls; refused
// calls count as Refused only (and in Units if they are charged).
type Ledger struct {
	Calls   map[string]int `json:"calls"`
	Units   map[string]int `json:"units"`
	Refused int            `json:"refused"` // by quota or concurrency
	Changes map[string]int `json:"changes"` // message id → calls that really changed its labels
}

// ledger keeps a mailbox's figures, its calls in flight, and what its answers had in bytes this day.
type ledger struct {
	mu       sync.Mutex
	sum      Ledger
	inFlight int
	day      time.Time
	bytes    int64
}

func newLedger() *ledger {
	return &ledger{sum: Ledger{Calls: map[string]int{}, Units: map[string]int{}}}
}

// carry adds an answer's bytes to the day that began at a time, and gives the day's sum.
func (l *ledger) carry(day time.Time, n int) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !day.Equal(l.day) {
		l.day, l.bytes = day, 0
	}
	l.bytes += int64(n)
	return l.bytes
}

// enter takes a place among the calls in flight.
func (l *ledger) enter(limit int) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.inFlight >= limit {
		l.sum.Refused++
		return false
	}
	l.inFlight++
	return true
}

func (l *ledger) leave() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.inFlight--
}

func (l *ledger) spend(method string, units int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sum.Calls[method]++
	l.sum.Units[method] += units
}

func (l *ledger) refuse(method string, charged int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sum.Refused++
	if charged > 0 {
		l.sum.Units[method] += charged
	}
}

func (l *ledger) read() Ledger {
	l.mu.Lock()
	defer l.mu.Unlock()
	return Ledger{Calls: maps.Clone(l.sum.Calls), Units: maps.Clone(l.sum.Units), Refused: l.sum.Refused}
}
