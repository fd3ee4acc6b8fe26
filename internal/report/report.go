// Package report tells a customer's usage and history: reads only.
package report

import (
	"context"
	"fmt"
	"math"
	"time"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// Service reads what the other use cases wrote.
type Service struct {
	DB         *store.DB
	Plans      sweep.Plans
	UpgradeURL string // shown when the quota gets short; may be empty
}

// Usage is the customer's standing in the current period. A month that has begun needs no row to be right.
func (s *Service) Usage(ctx context.Context, customer sweep.ID) (view sweep.UsageView, err error) {
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		c, err := tx.LoadCustomer()
		if err != nil {
			return err
		}
		plan := s.Plans.PlanAt(c.Customer, tx.Now)
		quota, err := tx.UsageNow(plan.Emails)
		if err != nil {
			return err
		}
		view = s.usage(c.Customer, plan, quota, tx.Now)
		return nil
	})
	return view, err
}

func (s *Service) usage(c sweep.Customer, plan sweep.Plan, q sweep.Quota, now time.Time) sweep.UsageView {
	v := sweep.UsageView{
		Plan: plan.Tier, Period: q.Period.Start.Format("2006-01"), Limit: q.Limit, Used: q.Used, Reserved: q.Reserved,
		Remaining: q.Remaining(), ResetsAt: q.Period.End, Warning: s.warning(q),
	}
	if s.Plans.TrialCounts(c, now) {
		left := c.TrialEndsAt.Sub(now)
		v.Trial = &struct {
			EndsAt   time.Time `json:"ends_at"`
			DaysLeft int       `json:"days_left"`
		}{c.TrialEndsAt, int(math.Ceil(left.Hours() / 24))}
	}
	return v
}

// warning says from 80 % on how little is left, "" before.
func (s *Service) warning(q sweep.Quota) string {
	if !q.Warn() {
		return ""
	}
	text := fmt.Sprintf("%d of %d emails of this month are used or reserved; %d remain until %s", q.Used+q.Reserved, q.Limit, q.Remaining(), q.Period.End.Format("2 January 2006"))
	if s.UpgradeURL != "" {
		text += ". More: " + s.UpgradeURL
	}
	return text
}

const (
	pageSize = 20
	maxPage  = 100
)

// History lists cleanup runs, newest first, with totals over all of them. limit 0 means 20, at most 100. next is the cursor of the
// following page, "" on the last. BadRequest: no such limit or cursor.
func (s *Service) History(ctx context.Context, customer sweep.ID, limit int, cursor string) (runs []sweep.Run, next string, totals sweep.HistoryTotals, err error) {
	limit, before, err := paged(limit, cursor, sweep.JobID)
	if err != nil {
		return nil, "", totals, err
	}
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		if runs, err = tx.History(before, limit+1); err != nil {
			return err
		}
		totals, err = tx.HistoryTotals()
		return err
	})
	if len(runs) > limit {
		runs = runs[:limit]
		next = runs[limit-1].JobID
	}
	return runs, next, totals, err
}

// paged reads which page is asked for.
func paged(limit int, cursor string, kind sweep.Kind) (size int, before sweep.ID, err error) {
	if limit == 0 {
		limit = pageSize
	}
	if limit < 1 || limit > maxPage {
		return 0, before, sweep.Errorf(sweep.BadRequest, "the limit must be from 1 to %d", maxPage).At("limit", "is out of range")
	}
	if cursor != "" {
		if before, err = kind.Parse(cursor); err != nil || before.IsZero() {
			return 0, before, sweep.Errorf(sweep.BadRequest, "the cursor is not one of ours").At("cursor", "is not valid")
		}
	}
	return limit, before, nil
}
