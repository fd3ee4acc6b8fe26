package account

import (
	"context"
	"time"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// MailboxView is a connected mailbox as its customer sees it. One over the plan's limit stays connected and refuses jobs; the
// oldest are kept.
type MailboxView struct {
	ID          string     `json:"id"`
	Email       string     `json:"email"`
	State       string     `json:"state" enum:"active,needs_reconnect"`
	OverLimit   bool       `json:"over_limit"`
	Scopes      []string   `json:"scopes"`
	ConnectedAt time.Time  `json:"connected_at"`
	AnalyzedAt  *time.Time `json:"analyzed_at,omitempty"`
}

// Mailboxes lists the connected mailboxes, oldest first.
func (s *Service) Mailboxes(ctx context.Context, customer sweep.ID) (views []MailboxView, err error) {
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		views, err = s.views(tx)
		return err
	})
	return views, err
}

func (s *Service) views(tx *store.Tx) ([]MailboxView, error) {
	customer, err := tx.LoadCustomer()
	if err != nil {
		return nil, err
	}
	list, err := tx.Mailboxes()
	if err != nil {
		return nil, err
	}
	limit := s.Plans.PlanAt(customer.Customer, tx.Now).Mailboxes
	views := make([]MailboxView, len(list))
	for i, m := range list {
		views[i] = MailboxView{ID: sweep.MailboxID.Show(m.ID), Email: m.Email, State: m.State, OverLimit: i >= limit, Scopes: m.Scopes,
			ConnectedAt: m.ConnectedAt, AnalyzedAt: m.AnalysisAsOf}
	}
	return views, nil
}

func (s *Service) view(tx *store.Tx, id sweep.ID) (MailboxView, error) {
	views, err := s.views(tx)
	if err != nil {
		return MailboxView{}, err
	}
	for _, v := range views {
		if v.ID == sweep.MailboxID.Show(id) {
			return v, nil
		}
	}
	return MailboxView{}, sweep.Errorf(sweep.NotFound, "there is no such mailbox")
}

// Disconnect stops using a mailbox at once and asks its open jobs to stop; the worker revokes the consent at Google soon after.
// Forbidden for viewers; NotFound. It locks the customer, then the jobs, and the mailbox last: so do the workers.
func (s *Service) Disconnect(ctx context.Context, a sweep.Actor, mailbox sweep.ID) error {
	if err := a.MayRun(); err != nil {
		return err
	}
	return s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		if _, err := tx.LockCustomer(); err != nil {
			return err
		}
		if err := tx.CancelMailboxJobs(mailbox); err != nil {
			return err
		}
		changed, err := tx.SetMailboxState(mailbox, store.MailboxDisconnected)
		if err != nil {
			return err
		}
		if !changed {
			return sweep.Errorf(sweep.NotFound, "there is no such mailbox")
		}
		return tx.Audit(store.AuditEntry{Actor: a, Action: "mailbox.disconnected", Object: sweep.MailboxID.Show(mailbox)})
	})
}
