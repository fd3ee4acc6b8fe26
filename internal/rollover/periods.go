package rollover

import (
	"context"
	"time"

	"mailsweep/internal/mail"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// monthsAhead of partitions are kept ready, so that a scheduler may be down for half a year.
const monthsAhead = 7

func (s *Service) partitions(ctx context.Context, turn store.Duty) error {
	made, err := s.DB.EnsurePartitions(ctx, turn.Now, monthsAhead)
	if made > 0 {
		s.Log.InfoContext(ctx, "partitions made", "partitions", made)
	}
	return err
}

// monthly closes the period before the due time. Nothing needs it for the quota to be right: usage is keyed by period. Customers who
// cleaned something hear that their quota is fresh, unless the news is a month old.
func (s *Service) monthly(ctx context.Context, turn store.Duty) error {
	if _, err := s.DB.EnsurePartitions(ctx, turn.Due, monthsAhead); err != nil {
		return err
	}
	closed, begun := sweep.PeriodAt(turn.Due.Add(-time.Nanosecond)), sweep.PeriodAt(turn.Due)
	news := begun.Contains(turn.Now)
	customers, emails := 0, 0
	err := s.each(ctx, turn, func(tx *store.Tx) error {
		used, err := tx.UsageOf(closed.Start)
		if err != nil || used == 0 {
			return err
		}
		customers, emails = customers+1, emails+used
		if !news {
			return nil
		}
		return s.freshQuota(tx, closed, begun, used)
	})
	if err == nil {
		s.Log.InfoContext(ctx, "period closed", "period", closed.Start.Format("2006-01"), "customers", customers, "emails", emails)
	}
	return err
}

func (s *Service) freshQuota(tx *store.Tx, closed, begun sweep.Period, used int) error {
	c, err := tx.LoadCustomer()
	if err != nil || !c.SuspendedAt.IsZero() {
		return gone(err)
	}
	first, err := tx.Notice(string(mail.QuotaFresh), begun.Start.Format("2006-01"))
	if err != nil || !first {
		return err
	}
	return s.Post(tx, mail.QuotaFresh, sweep.ID{}, mail.Data{
		Name: c.Name, Plan: string(s.Plans.PlanAt(c.Customer, tx.Now).Tier), Limit: s.Plans.PlanAt(c.Customer, tx.Now).Emails, Used: used, ResetsAt: begun.End,
	})
}

// figures closes the month that ended a day before the due time.
func (s *Service) figures(ctx context.Context, turn store.Duty) error {
	if s.Close == nil {
		return nil
	}
	return s.Close(ctx, sweep.PeriodAt(sweep.PeriodAt(turn.Due).Start.Add(-time.Nanosecond)))
}

// plans empties what cleanup plans, runs, jobs, mailboxes and sign-ins left behind, each after its time.
func (s *Service) plans(ctx context.Context, turn store.Duty) error {
	since, touched := time.Time{}, int64(0)
	if turn.Last != nil {
		since = *turn.Last
	}
	err := s.each(ctx, turn, func(tx *store.Tx) error {
		n, err := tx.Expire(since)
		touched += n
		return err
	})
	if touched > 0 {
		s.Log.InfoContext(ctx, "expired rows emptied", "rows", touched)
	}
	return err
}

// gone forgives that a customer was deleted since the list of customers was read.
func gone(err error) error {
	if sweep.CodeOf(err) == sweep.NotFound {
		return nil
	}
	return err
}
