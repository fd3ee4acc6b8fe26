package rollover

import (
	"context"
	"errors"
	"fmt"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// purgeChunk is about how many rows leave in one transaction.
const purgeChunk = 5000

// proofGrace is how long a sign-up stays after its last mail has expired unused: who finds that mail late is helped by another.
const proofGrace = 7 * day

// purge removes what deleted customers left whose grace is over, and sign-ups that nobody confirmed. Their keys go first, so what is sealed is lost whatever happens next; then
// rows leave in pieces, and the last one writes down that nothing is left. Whoever dies in between leaves the rest to the next doing.
func (s *Service) purge(ctx context.Context, turn store.Duty) error {
	failed := s.dropSignUps(ctx, turn)
	due, err := s.DB.PurgesDue(ctx, turn.Now, pageSize)
	if err != nil {
		return errors.Join(failed, err)
	}
	for _, customer := range due {
		if err := s.purgeOne(ctx, turn, customer); err != nil {
			failed = errors.Join(failed, fmt.Errorf("customer %s: %w", sweep.CustomerID.Show(customer), err))
		}
		if ctx.Err() != nil || errors.Is(failed, errTaken) {
			return errors.Join(failed, ctx.Err())
		}
	}
	return failed
}

func (s *Service) purgeOne(ctx context.Context, turn store.Duty, customer sweep.ID) error {
	more := false
	err := s.DB.Tenant(ctx, customer, func(tx *store.Tx) (err error) {
		more, err = tx.BeginPurge()
		return err
	})
	for err == nil && more {
		if ours, held := s.DB.RenewDuty(ctx, turn, lease); held != nil || !ours {
			return errors.Join(errTaken, held)
		}
		err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
			if more, err = tx.PurgeSome(purgeChunk); err != nil || more {
				return err
			}
			return s.note(tx, "customer.purged", sweep.CustomerID.Show(customer), nil)
		})
	}
	return err
}

// dropSignUps frees the addresses that nobody has proven in time.
func (s *Service) dropSignUps(ctx context.Context, turn store.Duty) (failed error) {
	stale, err := s.DB.StaleSignUps(ctx, turn.Now.Add(-proofGrace), pageSize)
	if err != nil {
		return err
	}
	for _, customer := range stale {
		err := s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
			dropped, err := tx.DropSignUp(turn.Now)
			if err != nil || !dropped {
				return err
			}
			return s.note(tx, "signup.dropped", sweep.CustomerID.Show(customer), map[string]any{"reason": "never_proven"})
		})
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("sign-up %s: %w", sweep.CustomerID.Show(customer), err))
		}
	}
	return failed
}
