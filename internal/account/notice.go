package account

import (
	"context"
	"fmt"
	"time"

	"mailsweep/internal/mail"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// notify tells a person what happened to the ways into their account.
func (s *Service) notify(tx *store.Tx, u store.User, event mail.Event, c Client) error {
	customer, err := tx.LoadCustomer()
	if err != nil {
		return err
	}
	return s.post(tx, customer.DataKey, u.ID, mail.SecurityNotice, mail.Data{Name: u.Name, Event: event, At: tx.Now, Device: c.UserAgent}, c.RequestID)
}

// recognize tells a person once of a device that they have not signed in from before: one that brings no token of ours, in a network and
// by a program that were not seen together. At the first sign-in of all there is nothing to tell.
func (s *Service) recognize(tx *store.Tx, u store.User, c Client, first bool) error {
	if s.device(u, c) != "" {
		return nil
	}
	key := fmt.Sprintf("%x", s.Pseudonym.Of("device", u.ID.String()+"|"+s.network(c, 24, 48)+"|"+c.UserAgent))
	news, err := tx.Notice("device", key)
	if err != nil || !news || first {
		return err
	}
	return s.notify(tx, u, mail.NewDevice, c)
}

// shutOut tells a person, once a day, that somebody guesses at their password, or at their codes. Whether there is such a person must not show.
func (s *Service) shutOut(ctx context.Context, customer sweep.ID, u store.User, guessed mail.Event, c Client) {
	if u.ID.IsZero() || u.VerifiedAt.IsZero() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
	defer cancel()
	err := s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		news, err := tx.Notice(string(guessed), u.ID.String()+" "+tx.Now.Format(time.DateOnly))
		if err != nil || !news {
			return err
		}
		c.UserAgent = "" // a stranger's words
		return s.notify(tx, u, guessed, c)
	})
	if err != nil {
		s.Log.ErrorContext(ctx, "a guessed-at person not told", "error", err)
	}
}
