package ops

import (
	"context"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

const (
	pageOf      = 50
	mostLooked  = 10_000 // of a line: a look costs the same whatever has piled up
	haltsLifted = 10
)

// Filter says which jobs of all customers to list; see Views.
type Filter = store.OpsFilter

// Board is what stands at the moment: depth and age by kind and plan, and what is stopped.
type Board struct {
	Depths []store.Depth
	Halts  []store.Halt // in force
}

// Board reads it from PostgreSQL alone.
func (s *Service) Board(ctx context.Context) (b Board, err error) {
	if b.Depths, err = s.All.Depths(ctx, mostLooked); err != nil {
		return b, err
	}
	b.Halts, err = s.All.Halts(ctx, 0)
	return b, err
}

// Views are the lists of jobs that there are; all is of one customer only.
func Views() []string {
	return []string{"open", "queued", "running", "waiting", "stuck", "failed", "all"}
}

// Jobs lists a page of jobs, newest first; next is where the following page begins, zero at the end.
func (s *Service) Jobs(ctx context.Context, f Filter) (jobs []store.OpsJob, next sweep.ID, err error) {
	if f.View == "all" && f.Customer.IsZero() {
		return nil, next, sweep.Errorf(sweep.Invalid, "a list of all jobs is of one customer").At("customer", "is needed")
	}
	f.N, f.Most = pageOf+1, mostLooked
	if jobs, err = s.All.OpsJobs(ctx, f); err != nil {
		return nil, next, err
	}
	if len(jobs) > pageOf {
		jobs = jobs[:pageOf]
		next = jobs[pageOf-1].ID
	}
	return jobs, next, nil
}

// Job reads one job of whatever customer.
func (s *Service) Job(ctx context.Context, job sweep.ID) (store.OpsJob, error) {
	jobs, err := s.All.OpsJobs(ctx, store.OpsFilter{View: "job", Job: job, N: 1, Most: 1})
	if err == nil && len(jobs) == 0 {
		err = sweep.Errorf(sweep.NotFound, "there is no such job")
	}
	if err != nil {
		return store.OpsJob{}, err
	}
	return jobs[0], nil
}

// Rerun lets a failed job go on where its last batch ended, within the customer's quota of today.
func (s *Service) Rerun(ctx context.Context, o Operator, customer, job sweep.ID, reason string) error {
	if err := s.note(ctx, o, "rerun", sweep.JobID.Show(job), reason); err != nil {
		return err
	}
	err := s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		standing, err := tx.Standing()
		if err != nil {
			return err
		}
		if err := tx.Rerun(job, s.Plans.PlanAt(standing.Customer, tx.Now).Emails); err != nil {
			return err
		}
		return tx.Audit(store.AuditEntry{Actor: o.actor(customer), Action: "job.rerun", Object: sweep.JobID.Show(job), Data: map[string]any{"why": reason}})
	})
	if err == nil {
		s.Hint()
	}
	return err
}

// CancelJob stops a job at its next batch's edge, a queued one at once.
func (s *Service) CancelJob(ctx context.Context, o Operator, customer, job sweep.ID, reason string) error {
	if err := s.note(ctx, o, "cancel", sweep.JobID.Show(job), reason); err != nil {
		return err
	}
	return s.Cancel(ctx, o.actor(customer), job)
}
