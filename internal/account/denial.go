package account

import (
	"context"
	"time"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// Denied notes in the caller's audit log that an object was asked for which the caller does not have; whether somebody else has it is looked at
// nowhere. object is the shown id. Beyond ten a minute nothing is noted: the log is not to be filled by asking.
func (s *Service) Denied(ctx context.Context, a sweep.Actor, operation, object string) error {
	d, err := s.Requests.AllowIn(ctx, "denied:"+a.Customer.String(), or(s.Limits.DenialsPerMinute, 10), time.Minute, 1)
	if err != nil || !d.Allowed {
		return err
	}
	return s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		return tx.Audit(store.AuditEntry{Actor: a, Action: "access.denied", Object: object, Data: map[string]any{"operation": operation}})
	})
}
