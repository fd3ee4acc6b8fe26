package rollover

import (
	"context"

	"mailsweep/internal/store"
)

// bought repairs what customers have bought where Stripe has it otherwise, as after events that were never told.
func (s *Service) bought(ctx context.Context, turn store.Duty) error {
	if s.Bought == nil {
		return nil
	}
	repaired, err := s.Bought(ctx, func() error {
		ours, err := s.DB.RenewDuty(ctx, turn, lease)
		if err == nil && !ours {
			err = errTaken
		}
		return err
	})
	if repaired > 0 {
		s.Log.WarnContext(ctx, "subscriptions were repaired", "customers", repaired)
	}
	return err
}
