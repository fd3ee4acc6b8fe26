package rollover

import (
	"context"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// headsOf is how long a chain that does not grow is told: a day's telling may be missed, not a week's.
const headsOf = 7 * day

// heads tells the end of each audit chain that has grown lately to the world outside: whoever rewrites a chain in the database, its head
// included, is found by comparing.
func (s *Service) heads(ctx context.Context, turn store.Duty) error {
	return s.each(ctx, turn, func(tx *store.Tx) error {
		head, err := tx.AuditHead()
		if err != nil || head.Seq == 0 || turn.Now.Sub(head.At) > headsOf {
			return err
		}
		if s.Head != nil {
			return s.Head(tx.Customer, head)
		}
		s.Log.InfoContext(ctx, "audit head", "customer", sweep.CustomerID.Show(tx.Customer), "seq", head.Seq, "hash", head.Hash)
		return nil
	})
}
