package google

import (
	"errors"
	"fmt"
	"maps"
	"time"
)

// ErrUnknownMark says that nothing was marked under a name.
var ErrUnknownMark = errors.New("unknown mark")

// mark is what the mailboxes had spent at a time.
type mark struct {
	at    time.Time
	spent map[string]Ledger
}

// Mark remembers under a name what all mailboxes have spent up to now. An older mark of that name is forgotten.
func (s *Sim) Mark(name string) {
	m := mark{at: s.cfg.Now(), spent: map[string]Ledger{}}
	s.mu.Lock()
	defer s.mu.Unlock()
	for email, box := range s.mailboxes {
		m.spent[email] = box.book.read()
	}
	s.marks[name] = m
}

// Since tells what a mailbox has spent from a mark on, without Changes, and when the mark was made. ErrUnknownMark, ErrUnknownMailbox.
func (s *Sim) Since(name, email string) (Ledger, time.Time, error) {
	box, err := s.Mailbox(email)
	if err != nil {
		return Ledger{}, time.Time{}, err
	}
	s.mu.RLock()
	m, ok := s.marks[name]
	s.mu.RUnlock()
	if !ok {
		return Ledger{}, time.Time{}, fmt.Errorf("%w: %s", ErrUnknownMark, name)
	}
	now, then := box.book.read(), m.spent[box.Email]
	return Ledger{Calls: minus(now.Calls, then.Calls), Units: minus(now.Units, then.Units), Refused: now.Refused - then.Refused}, m.at, nil
}

// minus gives what was added to the counts.
func minus(now, then map[string]int) map[string]int {
	for k, n := range then {
		now[k] -= n
	}
	maps.DeleteFunc(now, func(_ string, n int) bool { return n == 0 })
	return now
}

// Sum adds the units of all methods up.
func (l Ledger) Sum() (units int) {
	for _, n := range l.Units {
		units += n
	}
	return units
}
