package account

import (
	"bytes"
	"context"

	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// CompleteConnect makes the mailbox of a parked grant active, for the person who started the connection and has the token that the
// consent ended with (see Callback). A mailbox of the same Google account is connected again with its plans and undo sets. NotFound:
// unknown, somebody else's, completed or expired; Conflict: no consent yet; Forbidden: consent refused; MailboxLimit; WrongGoogleAccount.
// It locks the customer. A trial ends here when another customer had theirs with the same Google account.
func (s *Service) CompleteConnect(ctx context.Context, a sweep.Actor, consent string) (view MailboxView, err error) {
	if err := mayConnect(a); err != nil {
		return view, err
	}
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		return tx.Once(&view, func() error {
			view, err = s.completeConnect(tx, a, secret.HashToken(consent))
			return err
		})
	})
	return view, err
}

func (s *Service) completeConnect(tx *store.Tx, a sweep.Actor, consent []byte) (MailboxView, error) {
	customer, err := tx.LockCustomer()
	if err != nil {
		return MailboxView{}, err
	}
	st, ok, err := tx.TakeOAuthState(consent, a.User)
	if err != nil {
		return MailboxView{}, err
	}
	if !ok {
		return MailboxView{}, sweep.Errorf(sweep.NotFound, "there is no such connection under way: complete it with the value that the consent ended with, or start again")
	}
	if err := granted(st); err != nil {
		return MailboxView{}, err
	}
	id, err := s.attach(tx, a, customer, st)
	if err != nil {
		return MailboxView{}, err
	}
	return s.view(tx, id)
}

func granted(st store.OAuthState) error {
	switch st.Error {
	case "":
	case "denied":
		return sweep.Errorf(sweep.Forbidden, "the consent was declined on Google's page")
	case "scope_missing":
		return sweep.Errorf(sweep.Forbidden, "the right to change mail was not ticked on Google's page: please connect again and tick it")
	case "offline_missing":
		return sweep.Errorf(sweep.Forbidden, "Google gave no lasting access: please connect again")
	case "unavailable":
		return sweep.Errorf(sweep.Unavailable, "Google did not answer: please connect again")
	default:
		return sweep.Errorf(sweep.Conflict, "Google's consent was used or too old: please connect again")
	}
	if len(st.Granted) == 0 {
		return sweep.Errorf(sweep.Conflict, "the consent on Google's page is still missing")
	}
	return nil
}

// attach inserts or reconnects the mailbox and puts its token in force.
func (s *Service) attach(tx *store.Tx, a sweep.Actor, customer store.Customer, st store.OAuthState) (sweep.ID, error) {
	if err := sameAccount(tx, st); err != nil {
		return sweep.ID{}, err
	}
	have, found, err := tx.MailboxOf(st.Account)
	if err != nil {
		return sweep.ID{}, err
	}
	if customer, err = s.settleTrial(tx, a, customer, st.Account); err != nil {
		return sweep.ID{}, err
	}
	if !found || have.State == store.MailboxDisconnected {
		if err := s.room(tx, customer); err != nil {
			return sweep.ID{}, err
		}
	}
	id, action := have.ID, "mailbox.reconnected"
	if found {
		err = tx.ReconnectMailbox(id, st.Email, st.Scopes)
	} else {
		id, action = tx.NewID(), "mailbox.connected"
		err = tx.InsertMailbox(store.Mailbox{ID: id, Account: st.Account, Email: st.Email, Scopes: st.Scopes})
	}
	if err == nil {
		err = tx.InsertToken(id, st.Granted)
	}
	if err != nil {
		return id, err
	}
	return id, tx.Audit(store.AuditEntry{Actor: a, Action: action, Object: sweep.MailboxID.Show(id), Data: map[string]any{"scopes": st.Scopes}})
}

// sameAccount refuses another Google account than the mailbox's that is to be connected again.
func sameAccount(tx *store.Tx, st store.OAuthState) error {
	if st.Mailbox.IsZero() {
		return nil
	}
	m, err := tx.Mailbox(st.Mailbox)
	if err != nil {
		return err
	}
	if !bytes.Equal(m.Account, st.Account) {
		return sweep.Errorf(sweep.WrongGoogleAccount, "this is another Google account than the mailbox's: choose the same one on Google's page")
	}
	return nil
}

// settleTrial notes the customer's trial on the Google account, or ends it where another customer's is noted: one trial each.
func (s *Service) settleTrial(tx *store.Tx, a sweep.Actor, c store.Customer, account []byte) (store.Customer, error) {
	trial := c.InTrial(tx.Now)
	usedElsewhere, err := tx.KnowAccount(account, trial)
	if err != nil || !usedElsewhere || !trial {
		return c, err
	}
	if err := tx.EndTrial(); err != nil {
		return c, err
	}
	c.TrialEndsAt = tx.Now
	return c, tx.Audit(store.AuditEntry{Actor: a, Action: "trial.ended", Object: sweep.CustomerID.Show(c.ID), Data: map[string]any{"reason": "google_account_had_a_trial"}})
}

func (s *Service) room(tx *store.Tx, c store.Customer) error {
	have, err := tx.Mailboxes()
	if err != nil {
		return err
	}
	plan := s.Plans.PlanAt(c.Customer, tx.Now)
	if len(have) < plan.Mailboxes {
		return nil
	}
	return sweep.Errorf(sweep.MailboxLimit, "the %s plan carries %d connected mailboxes: disconnect one or upgrade", plan.Tier, plan.Mailboxes).
		With("limit", plan.Mailboxes)
}
