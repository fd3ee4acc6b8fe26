package account

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"time"

	"mailsweep/internal/mail"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// What Google tells of (Cross-Account Protection); of that what ends our work in the account's mailboxes, and what signs out whom the account signs in.
var (
	knownEvents = []string{"sessions-revoked", "tokens-revoked", "token-revoked", "account-disabled", "account-enabled", "account-credential-change-required",
		"account-purged", "verification"}
	endingEvents = []string{"tokens-revoked", "token-revoked", "account-disabled", "account-purged"}
	outEvents    = []string{"sessions-revoked", "tokens-revoked", "account-disabled", "account-purged"}
)

// HearGoogle takes a security event token. Where an event ends consents, the account's mailboxes need to be connected again, in
// every customer that has one: who works there stops by its next call, as if Gmail had refused it, and the owner is told by mail. Where it ends
// Google's sessions, the person who signs in with that account is signed out. It is written down with each customer. A token that comes again changes nothing. EventRefused; any other error asks for another try.
func (s *Service) HearGoogle(ctx context.Context, token string, c Client) error {
	events, err := s.readEvents(ctx, token)
	if err != nil {
		return err
	}
	for _, e := range events {
		if err := s.hear(ctx, e, c); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) hear(ctx context.Context, e googleEvent, c Client) error {
	key := sha256.Sum256([]byte(e.id + "|" + e.name))
	known, err := s.DB.KnowsSecurityEvent(ctx, e.at, key)
	if err != nil || known {
		return err
	}
	if e.subject != "" && e.name != "unknown" {
		if err := s.signOut(ctx, e, hex.EncodeToString(key[:]), c); err != nil {
			return err
		}
		boxes, err := s.DB.MailboxesOf(ctx, s.Pseudonym.Of("google_sub", e.subject))
		if err != nil {
			return err
		}
		for _, m := range boxes {
			if err := s.hearFor(ctx, m, e, hex.EncodeToString(key[:]), c); err != nil {
				return err
			}
		}
		if len(boxes) > 0 && slices.Contains(endingEvents, e.name) {
			s.order()
		}
	}
	s.Log.InfoContext(ctx, "security event of Google's", "event", e.name)
	return s.DB.KeepSecurityEvent(ctx, e.at, key, "google."+e.name, c.RequestID)
}

// signOut makes the tokens of the person worthless whom the account signs in, once for an event.
func (s *Service) signOut(ctx context.Context, e googleEvent, key string, c Client) error {
	if !slices.Contains(outEvents, e.name) {
		return nil
	}
	customer, user, err := s.DB.GoogleIdentityOwner(ctx, s.Pseudonym.Of("google_identity", e.subject))
	if err != nil || user.IsZero() {
		return err
	}
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		if _, err := tx.LockUser(user); err != nil {
			return err
		}
		first, err := tx.Notice("google_sign_out", key)
		if err != nil || !first {
			return err
		}
		if err := tx.EndTokens(user); err != nil {
			return err
		}
		google := sweep.Actor{Kind: sweep.BySystem, Customer: customer, RequestID: c.RequestID}
		return tx.Audit(store.AuditEntry{Actor: google, Action: "google." + e.name, Object: sweep.UserID.Show(user), Data: map[string]any{"signed_out": true, "hijacked": e.reason == "hijacking"}})
	})
	if sweep.CodeOf(err) == sweep.NotFound {
		return nil // forgotten meanwhile
	}
	s.forget(customer, user)
	return err
}

// hearFor does what an event asks for in one customer's mailbox, once: the note of it commits with the deed.
func (s *Service) hearFor(ctx context.Context, m store.Connected, e googleEvent, key string, c Client) error {
	return s.DB.Tenant(ctx, m.Customer, func(tx *store.Tx) error {
		customer, err := tx.LockCustomer()
		if sweep.CodeOf(err) == sweep.NotFound {
			return nil // deleted meanwhile
		}
		if err != nil {
			return err
		}
		first, err := tx.Notice("google_event", key)
		if err != nil || !first {
			return err
		}
		stopped, err := s.stop(tx, customer, m.Mailbox, e, c)
		if err != nil {
			return err
		}
		google := sweep.Actor{Kind: sweep.BySystem, Customer: m.Customer, RequestID: c.RequestID}
		return tx.Audit(store.AuditEntry{Actor: google, Action: "google." + e.name, Object: sweep.MailboxID.Show(m.Mailbox), Data: map[string]any{"stopped": stopped, "hijacked": e.reason == "hijacking"}})
	})
}

// stop takes the consent for gone, unless it is newer than what is told of.
func (s *Service) stop(tx *store.Tx, customer store.Customer, mailbox sweep.ID, e googleEvent, c Client) (bool, error) {
	if !slices.Contains(endingEvents, e.name) {
		return false, nil
	}
	box, err := tx.Mailbox(mailbox)
	if err != nil || box.ConsentedAt != nil && box.ConsentedAt.After(e.at.Add(time.Second)) { // it tells whole seconds
		return false, err
	}
	stopped, err := tx.NeedsReconnect(mailbox)
	if err != nil || !stopped {
		return false, err
	}
	return true, s.post(tx, customer.DataKey, sweep.ID{}, mail.NeedsReconnect, mail.Data{Mailbox: box.Email}, c.RequestID)
}
