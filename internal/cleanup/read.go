package cleanup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// Cancel stops a job at its next batch's edge; a queued one at once. Canceling again changes nothing; canceling what is over otherwise is
// Conflict.
func (s *Service) Cancel(ctx context.Context, a sweep.Actor, job sweep.ID) (sweep.JobView, error) {
	return s.order(ctx, a, job, "cancel", (*store.Tx).RequestCancel)
}

// Pause lets a job rest at its next batch's edge, a queued one at once, until Resume or a cancel; after sweep.PauseLimit it is canceled.
// It keeps its quota and its mailbox. Pausing what is over is Conflict.
func (s *Service) Pause(ctx context.Context, a sweep.Actor, job sweep.ID) (sweep.JobView, error) {
	return s.order(ctx, a, job, "pause", (*store.Tx).RequestPause)
}

// Resume lets a paused job go on where it was. Resuming what is over is Conflict, what is not paused goes on.
func (s *Service) Resume(ctx context.Context, a sweep.Actor, job sweep.ID) (sweep.JobView, error) {
	return s.order(ctx, a, job, "resume", (*store.Tx).Resume)
}

// order writes what a person wants of a job, tells its worker, and answers with the job as it stands.
func (s *Service) order(ctx context.Context, a sweep.Actor, job sweep.ID, verb string, ask func(*store.Tx, sweep.ID) error) (sweep.JobView, error) {
	if err := a.MayRun(); err != nil {
		return sweep.JobView{}, err
	}
	var view sweep.JobView
	err := s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		return tx.Once(&view, func() (err error) {
			if err = ask(tx, job); err != nil {
				return err
			}
			if view, err = s.view(tx, job); err != nil {
				return err
			}
			return tx.Audit(store.AuditEntry{Actor: a, Action: "job." + verb, Object: sweep.JobID.Show(job)})
		})
	})
	if err != nil {
		return sweep.JobView{}, err
	}
	s.Order(job)
	s.Hint()
	s.Changes.Forget(a.Customer, job) // who asked for it must see it, whatever the listener has heard
	return view, nil
}

// view reads a job in the transaction that changed it.
func (s *Service) view(tx *store.Tx, job sweep.ID) (sweep.JobView, error) {
	row, err := tx.Job(job)
	if err != nil {
		return sweep.JobView{}, err
	}
	if row.SealedResult != nil {
		box, err := s.box(tx)
		if err != nil {
			return sweep.JobView{}, err
		}
		row.Result = result(box, row)
	}
	return row.View(), nil
}

// Job gives one job with its version, which grows at each visible change.
func (s *Service) Job(ctx context.Context, customer, job sweep.ID) (view sweep.JobView, version int64, err error) {
	keep := s.Changes.Reading(customer, job)
	row, key, err := s.DB.JobShown(ctx, customer, job)
	if err != nil {
		return view, 0, err
	}
	keep(row.Version)
	if row.SealedResult != nil {
		box, err := s.Vault.Box(key, customer.String())
		if err != nil {
			return view, 0, fmt.Errorf("open data key: %w", err)
		}
		row.Result = result(box, row)
	}
	return row.View(), row.Version, nil
}

func (s *Service) box(tx *store.Tx) (*secret.Box, error) {
	standing, err := tx.Standing()
	if err != nil {
		return nil, err
	}
	box, err := s.Vault.Box(standing.DataKey, standing.ID.String())
	if err != nil {
		return nil, fmt.Errorf("open data key: %w", err)
	}
	return box, nil
}

// WaitJob answers as soon as the job's version passes since or the job is over, at the latest after wait.
func (s *Service) WaitJob(ctx context.Context, customer, job sweep.ID, since int64, wait time.Duration) (sweep.JobView, int64, error) {
	changed, stop := s.Changes.Subscribe(customer, job)
	defer stop()
	limit, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	for {
		view, version, err := s.Job(ctx, customer, job)
		if err != nil || version > since || view.State.Done() {
			return view, version, err
		}
		select {
		case <-changed:
		case <-limit.Done():
			if errors.Is(limit.Err(), context.DeadlineExceeded) {
				return view, version, nil
			}
			return view, version, ctx.Err()
		}
	}
}

// Jobs lists the newest first.
func (s *Service) Jobs(ctx context.Context, customer sweep.ID, f JobFilter) (jobs []sweep.JobView, next string, err error) {
	var before sweep.ID
	if f.Cursor != "" {
		if before, err = sweep.JobID.Parse(f.Cursor); err != nil {
			return nil, "", sweep.Errorf(sweep.Invalid, "this cursor is not one of ours").At("query.cursor", "is not a cursor of this list")
		}
	}
	limit := min(max(f.Limit, 1), 100)
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		rows, err := tx.Jobs(f.Kind, storedAs(f.State), before, limit+1)
		if err != nil {
			return err
		}
		for _, r := range rows[:min(len(rows), limit)] {
			jobs = append(jobs, r.View())
		}
		if len(rows) > limit {
			next = jobs[limit-1].ID
		}
		return nil
	})
	return jobs, next, err
}

// storedAs are the stored states that are shown as s.
func storedAs(s sweep.JobState) (states []string) {
	for _, stored := range sweep.States() {
		if s != "" && stored.Shown() == s {
			states = append(states, string(stored))
		}
	}
	return states
}

// Plan gives a cleanup plan.
func (s *Service) Plan(ctx context.Context, customer, plan sweep.ID) (view sweep.PlanView, err error) {
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		row, h, _, err := s.openPlan(tx, plan)
		if err != nil {
			return err
		}
		view = planView(row, h, tx.Now)
		return nil
	})
	return view, err
}

func planView(p store.PlanRow, h head, now time.Time) sweep.PlanView {
	v := sweep.PlanView{ID: sweep.PlanID.Show(p.ID), MailboxID: sweep.MailboxID.Show(p.Mailbox), Spec: h.Spec, Messages: p.Messages, Bytes: p.Bytes,
		MadeAt: p.MadeAt, ExpiresAt: p.ExpiresAt, State: "open", Preview: h.Preview}
	if !now.Before(p.ExpiresAt) {
		v.State = "expired"
	}
	if !p.ConsumedBy.IsZero() {
		v.State, v.ConsumedBy = "consumed", sweep.JobID.Show(p.ConsumedBy)
	}
	return v
}

func (s *Service) openPlan(tx *store.Tx, plan sweep.ID) (row store.PlanRow, h head, box *secret.Box, err error) {
	if row, err = tx.Plan(plan); err != nil {
		return row, h, nil, err
	}
	if box, err = s.box(tx); err != nil {
		return row, h, nil, err
	}
	if len(row.Head) == 0 {
		return row, h, box, sweep.Errorf(sweep.PlanExpired, "this cleanup plan expired and its content was deleted")
	}
	return row, h, box, unseal(box, row.Head, planPart(plan, "head"), &h)
}
