package report

import (
	"context"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// Audit lists the customer's audit log, newest first, for owners: others are Forbidden. limit 0 means 20, at most 100. next is the cursor of the
// following page, "" on the last. BadRequest: no such limit or cursor.
func (s *Service) Audit(ctx context.Context, a sweep.Actor, limit int, cursor string) (entries []sweep.AuditView, next string, err error) {
	if err := a.MayAs(sweep.Owner); err != nil {
		return nil, "", err
	}
	limit, before, err := paged(limit, cursor, sweep.EventID)
	if err != nil {
		return nil, "", err
	}
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		entries, err = tx.AuditLog(before, limit+1)
		return err
	})
	if len(entries) > limit {
		entries = entries[:limit]
		next = entries[limit-1].ID
	}
	return entries, next, err
}
