package rollover

import (
	"context"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// books compares what each customer has reserved with what its open jobs hold, and makes it so. A difference is a fault of ours: it is
// logged as an error and stands in the customer's audit log. It also ends what has been paused for too long.
func (s *Service) books(ctx context.Context, turn store.Duty) error {
	return s.each(ctx, turn, func(tx *store.Tx) error {
		overdue, err := tx.CancelOverduePauses() // jobs first, then usage: the order in which everybody locks them
		if err != nil {
			return err
		}
		drifts, err := tx.RepairReservations()
		if err != nil {
			return err
		}
		for _, d := range drifts {
			s.Log.ErrorContext(ctx, "reserved was not what open jobs hold", "customer", sweep.CustomerID.Show(tx.Customer), "period", d.Period.Format("2006-01"), "was", d.Was, "is", d.Now)
			if err := s.note(tx, "usage.repaired", d.Period.Format("2006-01"), map[string]any{"was": d.Was, "is": d.Now}); err != nil {
				return err
			}
		}
		for _, job := range overdue {
			if err := s.note(tx, "job.cancel", sweep.JobID.Show(job), map[string]any{"paused_for_days": int(sweep.PauseLimit / day)}); err != nil {
				return err
			}
		}
		return nil
	})
}

// note writes what this process did of itself into the customer's audit log.
func (s *Service) note(tx *store.Tx, action, object string, data map[string]any) error {
	return tx.Audit(store.AuditEntry{Actor: sweep.Actor{Kind: sweep.BySystem, Customer: tx.Customer}, Action: action, Object: object, Data: data})
}
