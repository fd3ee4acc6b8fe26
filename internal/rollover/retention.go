package rollover

import (
	"cmp"
	"context"
	"time"

	"mailsweep/internal/store"
)

// usualKeep is a year and the month that is compared with it.
const usualKeep = 13

// retention archives the months that are old enough. First every customer's audit chain gets its anchors, or nothing is detached. A
// month with a job that is not over stays until it is: that is told with each doing.
func (s *Service) retention(ctx context.Context, turn store.Duty) error {
	keep := cmp.Or(s.Keep, usualKeep)
	if _, err := s.DB.ForgetSecurityEvents(ctx, turn.Now.AddDate(0, -keep, 0)); err != nil {
		return err
	}
	if err := s.DB.ForgetAccounts(ctx, turn.Now); err != nil {
		return err
	}
	if err := s.DB.ForgetTrials(ctx, turn.Now); err != nil {
		return err
	}
	months, err := s.DB.AgedMonths(ctx, turn.Now, keep)
	if err != nil || len(months) == 0 {
		return err
	}
	err = s.each(ctx, turn, func(tx *store.Tx) error {
		for _, month := range months {
			if err := tx.AnchorAudit(month); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, month := range months {
		if err := s.detach(ctx, month); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) detach(ctx context.Context, month time.Time) error {
	begin := time.Now()
	unfinished, err := s.DB.DetachMonth(ctx, month)
	if err != nil {
		return err
	}
	name := month.Format("2006-01")
	for table, rows := range unfinished {
		s.Log.ErrorContext(ctx, "month cannot be archived: rows are not over", "month", name, "table", table, "rows", rows)
	}
	s.Log.InfoContext(ctx, "month archived", "month", name, "took", time.Since(begin).String(), "whole", len(unfinished) == 0)
	return nil
}
