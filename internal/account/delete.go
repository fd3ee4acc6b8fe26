package account

import (
	"cmp"
	"context"
	"time"

	"mailsweep/internal/mail"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// usualGrace is how long a deleted customer's rows stay: time enough to notice a deletion that was not meant, and to ask for help.
const usualGrace = 7 * 24 * time.Hour

// Deleted says when what a deleted customer left is removed.
type Deleted struct {
	DeletedAt time.Time `json:"deleted_at"`
	PurgeAt   time.Time `json:"purge_at" doc:"From then on nothing is left but pseudonyms, and the address can sign up anew"`
}

// Delete shuts the actor's customer for good: people and keys are out at once in this process and within a second in the others, open jobs
// stop at their next batch, consents are given back at Google within a minute, and after the grace everything is removed. confirm is
// the address of the person, as written by them. Forbidden but for owners; Unauthenticated when password or code are wrong, TOTPRequired
// when the code is missing; Invalid; NotFound when it is deleted already.
// Lock order: the user, the customer, jobs, mailboxes.
func (s *Service) Delete(ctx context.Context, a sweep.Actor, password, code, confirm string, c Client) (d Deleted, err error) {
	if a.Kind != sweep.ByToken || a.Role != sweep.Owner {
		return d, sweep.Errorf(sweep.Forbidden, "only an owner can do this")
	}
	factors, err := s.takeFactors(ctx, a.Customer)
	if err != nil {
		return d, err
	}
	err = s.proven(ctx, a, password, code, c, &d, func(tx *store.Tx, u store.User) error {
		if given, err := canonicalEmail(confirm); err != nil || given != u.Email {
			return sweep.Errorf(sweep.Invalid, "the deletion is not confirmed").At("confirm", "must be your own e-mail address")
		}
		customer, err := tx.LockCustomer()
		if err != nil {
			return err
		}
		d = Deleted{DeletedAt: tx.Now, PurgeAt: tx.Now.Add(cmp.Or(s.Grace, usualGrace))}
		if err := s.close(tx, d); err != nil {
			return err
		}
		people, err := tx.Members()
		if err != nil {
			return err
		}
		for _, m := range people {
			if err := s.keepTrial(tx, customer, m); err != nil {
				return err
			}
			told := mail.Data{Name: m.Name, At: d.DeletedAt, EndsAt: d.PurgeAt}
			if err := s.post(tx, customer.DataKey, m.User, mail.AccountDeleted, told, c.RequestID); err != nil {
				return err
			}
		}
		return tx.Audit(store.AuditEntry{Actor: a, Action: "customer.deleted", Object: sweep.CustomerID.Show(a.Customer), Data: map[string]any{"purge_at": d.PurgeAt}})
	})
	if err == nil {
		s.forget(a.Customer, a.User)
		s.order()
		for _, f := range factors {
			s.bring(ctx, f)
		}
	}
	return d, err
}

// keepTrial notes the address of an owner whose customer had a trial: who began theirs before that was noted at its beginning gets no other.
func (s *Service) keepTrial(tx *store.Tx, c store.Customer, m store.Member) error {
	if c.TrialEndsAt.IsZero() || m.Role != sweep.Owner {
		return nil
	}
	_, err := tx.UseTrial(s.trialHash(m.Email))
	return err
}

// takeFactors reads what each of a customer's people who works elsewhere too takes along.
func (s *Service) takeFactors(ctx context.Context, customer sweep.ID) (factors []*carried, err error) {
	var people []store.Member
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		people, err = tx.Members()
		return err
	})
	for _, m := range people {
		if err == nil && m.SecondFactor {
			var f *carried
			f, err = s.takeFactor(ctx, customer, m.User)
			factors = append(factors, f)
		}
	}
	return factors, err
}

// close is what the deletion of a locked customer does at once. A subscription is to be ended here too, when there are any.
func (s *Service) close(tx *store.Tx, d Deleted) error {
	if err := tx.CancelMailboxJobs(sweep.ID{}); err != nil {
		return err
	}
	if err := tx.RevokeAPIKeys(); err != nil { // for good: who restores the customer makes new ones
		return err
	}
	if err := tx.DropExports(); err != nil {
		return err
	}
	boxes, err := tx.Mailboxes()
	if err != nil {
		return err
	}
	for _, m := range boxes { // the worker gives their consents back, as for any that was disconnected
		if _, err := tx.SetMailboxState(m.ID, store.MailboxDisconnected); err != nil {
			return err
		}
	}
	return tx.DeleteCustomer(d.PurgeAt)
}

// order lets the workers look for new orders now, not at their next heartbeat.
func (s *Service) order() {
	if s.Order != nil {
		s.Order(sweep.ID{})
	}
}
