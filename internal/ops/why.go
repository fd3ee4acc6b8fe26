package ops

import (
	"context"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// Why tells, for each cleanup plan of the customer that concerned a message, newest first, why it was chosen or kept back and what became
// of it. That somebody looked stands in the customer's audit log, and comes before the answer.
func (s *Service) Why(ctx context.Context, o Operator, customer sweep.ID, message sweep.MessageID) (why []sweep.Why, err error) {
	if err := o.named(); err != nil {
		return nil, err
	}
	err = s.All.NoteOps(ctx, store.OpsEntry{Operator: o.Name, Act: "why", Object: sweep.CustomerID.Show(customer) + " " + message.String()})
	if err != nil {
		return nil, err
	}
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		if why, err = s.Tell(tx, message); err != nil {
			return err
		}
		return tx.Audit(store.AuditEntry{Actor: o.actor(customer), Action: "message.looked_up", Object: message.String()})
	})
	return why, err
}
