package google

import "fmt"

// Deliver lets mail arrive and gives the new ids. Errors for an unknown mailbox, label or thread.
func (s *Sim) Deliver(email string, in ...Incoming) (ids []string, err error) {
	m, err := s.Mailbox(email)
	if err != nil {
		return nil, err
	}
	for _, one := range in {
		id, err := m.box.Deliver(one)
		if err != nil {
			return ids, fmt.Errorf("deliver to %s: %w", email, err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

// Relabel changes labels as another client of the mailbox would: into the history, without quota, and not
// counted in the ledger. Unknown ids are ignored.
func (s *Sim) Relabel(email string, ids, add, remove []string) error {
	m, err := s.Mailbox(email)
	if err != nil {
		return err
	}
	if _, err := m.box.Modify(ids, add, remove, false); err != nil {
		return fmt.Errorf("relabel in %s: %w", email, err)
	}
	return nil
}

// Delete removes messages for good, as another client would. Unknown ids are ignored.
func (s *Sim) Delete(email string, ids []string) error {
	m, err := s.Mailbox(email)
	if err != nil {
		return err
	}
	m.box.Delete(ids)
	return nil
}

// ExpireHistory makes every history id handed out so far too old.
func (s *Sim) ExpireHistory(email string) error {
	m, err := s.Mailbox(email)
	if err != nil {
		return err
	}
	m.box.ExpireHistory()
	return nil
}

// SetFloor makes the history ids before one too old; that one stays good to start from.
func (s *Sim) SetFloor(email string, id uint64) error {
	m, err := s.Mailbox(email)
	if err != nil {
		return err
	}
	m.box.SetFloor(id)
	return nil
}

// Today tells what the project has spent in this day of Gmail's time.
func (s *Sim) Today() Day {
	day, _ := s.quota.today(s.cfg.Now())
	return day
}

// Truth is the mailbox's own count of messages, threads and labels, spam and trash included, and a digest.
func (s *Sim) Truth(email string) (Truth, error) {
	m, err := s.Mailbox(email)
	if err != nil {
		return Truth{}, err
	}
	return m.box.Truth(), nil
}

// Facts counts by sender, domain, category, age and size; spam and trash are left out.
func (s *Sim) Facts(email string) (Facts, error) {
	m, err := s.Mailbox(email)
	if err != nil {
		return Facts{}, err
	}
	return m.box.Facts(), nil
}

// Messages gives every message, newest first.
func (s *Sim) Messages(email string) ([]Message, error) {
	m, err := s.Mailbox(email)
	if err != nil {
		return nil, err
	}
	return m.box.Messages(), nil
}

// Ledger tells what clients of the API spent and changed in a mailbox.
func (s *Sim) Ledger(email string) (Ledger, error) {
	m, err := s.Mailbox(email)
	if err != nil {
		return Ledger{}, err
	}
	l := m.book.read()
	l.Changes = m.box.Changes()
	return l, nil
}
