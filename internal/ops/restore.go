package ops

import (
	"context"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// Restore takes the deletion of a customer back before its purge. Its people sign in again; mailboxes have to be connected again, and API keys
// to be made anew. Conflict when the customer is not deleted or its time is over; NotFound.
func (s *Service) Restore(ctx context.Context, o Operator, customer sweep.ID, reason string) error {
	if err := s.note(ctx, o, "restore", sweep.CustomerID.Show(customer), reason); err != nil {
		return err
	}
	return s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		if err := tx.RestoreCustomer(); err != nil {
			return err
		}
		return tx.Audit(store.AuditEntry{Actor: o.actor(customer), Action: "customer.restored", Object: sweep.CustomerID.Show(customer), Data: map[string]any{"why": reason}})
	})
}
