package google

import (
	"fmt"
	"strings"
	"time"
)

// OtherClient is another program that uses a mailbox: it holds places among the calls in flight, and spends the user's quota.
type OtherClient struct {
	Slots          int     `json:"slots"`
	UnitsPerSecond float64 `json:"units_per_second"` // of Gmail's time

	since time.Time // its units up to here are spent
}

// SetOther lets another client use a mailbox from now on; the zero value ends it.
func (s *Sim) SetOther(email string, o OtherClient) error {
	m, err := s.Mailbox(email)
	if err != nil {
		return err
	}
	if o.Slots < 0 || o.UnitsPerSecond < 0 {
		return fmt.Errorf("other client of %s: slots and units must not be negative", email)
	}
	o.since = s.cfg.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.others[m.Email] = &o
	return nil
}

// other is the client that shares a mailbox with ours.
func (s *Sim) other(m *Mailbox) OtherClient {
	s.mu.RLock()
	defer s.mu.RUnlock()
	if o := s.others[strings.ToLower(m.Email)]; o != nil {
		return *o
	}
	return OtherClient{}
}

// overspend spends what the other client has used of the quota since the last call.
func (s *Sim) overspend(m *Mailbox, now time.Time) {
	s.mu.RLock()
	none := len(s.others) == 0
	s.mu.RUnlock()
	if none {
		return
	}
	s.mu.Lock()
	o := s.others[m.Email]
	units := 0
	if o != nil && o.UnitsPerSecond > 0 {
		perUnit := s.scaled(time.Duration(float64(time.Second) / o.UnitsPerSecond))
		units = int(now.Sub(o.since) / max(perUnit, 1))
		o.since = o.since.Add(time.Duration(units) * max(perUnit, 1))
	}
	s.mu.Unlock()
	if units > 0 {
		s.quota.take(m.Email, units, now, true)
	}
}
