package cleanup

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"math"

	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/telemetry"
)

// order is what a submission is made from.
type order struct {
	facts  store.Admission
	kept   bool // facts were read earlier
	target store.Target
	plan   sweep.Plan
	box    *secret.Box
}

// SubmitAnalyze queues an analysis, or returns the open one of the mailbox.
func (s *Service) SubmitAnalyze(ctx context.Context, a sweep.Actor, t Target, key Idempotency) (sweep.JobView, error) {
	return s.submit(ctx, a, key, func(ctx context.Context, o *order) (sub store.Submission, p params, err error) {
		o.target, err = o.facts.Target(t.Mailbox)
		sub.Kind, sub.EstimatedUnits = sweep.Analyze, float64(o.plan.AnalysisUnits)
		return sub, p, err
	})
}

// SubmitDryRun checks the criteria and queues a preview. Free.
func (s *Service) SubmitDryRun(ctx context.Context, a sweep.Actor, r DryRunRequest, key Idempotency) (sweep.JobView, error) {
	if err := r.check(a); err != nil {
		return sweep.JobView{}, err
	}
	return s.submit(ctx, a, key, func(ctx context.Context, o *order) (sub store.Submission, p params, err error) {
		o.target, err = o.facts.Target(r.Mailbox)
		sub.Kind, sub.EstimatedUnits = sweep.DryRun, 100
		return sub, params{Spec: r.Spec}, err
	})
}

// check finds what a request can get wrong beyond its criteria. What has a star is out of reach for programs.
func (r DryRunRequest) check(a sweep.Actor) error {
	switch {
	case a.Kind == sweep.ByKey && !r.Spec.Protect.Starred:
		return sweep.Errorf(sweep.Forbidden, "an API key cannot switch the protection of starred mail off")
	case !r.Spec.Action.Valid():
		return sweep.Errorf(sweep.Invalid, "there is no such action").At("body.action", "must be trash, archive, mark_read or label")
	case r.Spec.Action == sweep.AddLabel && r.Spec.Label == "":
		return sweep.Errorf(sweep.Invalid, "the label's name is missing").At("body.label", "is needed with action label")
	case r.Spec.Action != sweep.AddLabel && r.Spec.Label != "":
		return sweep.Errorf(sweep.Invalid, "a label goes with action label only").At("body.label", "goes with action label only")
	case r.Spec.KeepNewestPerSender < 0 || r.Spec.Protect.RecentDays < 0:
		return sweep.Errorf(sweep.Invalid, "numbers of days and messages are not negative").At("body", "must not be negative")
	case r.Spec.Criteria.MatchesAll() && !r.ConfirmAll:
		return sweep.Errorf(sweep.ConfirmAllRequired, "these criteria match every message: repeat with confirm_all if that is meant")
	}
	return nil
}

// SubmitExecute reserves the quota and queues the run in one transaction. QuotaExceeded carries the numbers, AlreadyExecuted the first job.
func (s *Service) SubmitExecute(ctx context.Context, a sweep.Actor, r ExecuteRequest, key Idempotency) (sweep.JobView, error) {
	if r.Plan.IsZero() {
		return s.submitDirect(ctx, a, r, key)
	}
	return s.submit(ctx, a, key, func(ctx context.Context, o *order) (sub store.Submission, p params, err error) {
		frozen, err := s.DB.PlanToExecute(ctx, a.Customer, r.Plan)
		if err != nil {
			return sub, p, err
		}
		if o.target, err = o.facts.Target(frozen.Mailbox); err != nil {
			return sub, p, err
		}
		if frozen.ConsumedBy.IsZero() && !o.facts.Now.Before(frozen.ExpiresAt) {
			return sub, p, sweep.Errorf(sweep.PlanExpired, "this cleanup plan expired at %s: make a new preview", frozen.ExpiresAt.Format("2006-01-02 15:04 UTC"))
		}
		sub.Kind, sub.CleanupPlan, sub.Reserve, sub.Partial = sweep.Execute, r.Plan, frozen.Messages, r.Partial
		if r.Partial && r.MaxMessages > 0 {
			sub.Reserve = min(sub.Reserve, r.MaxMessages)
		}
		sub.EstimatedUnits = 50 + float64(frozen.Messages)*0.055
		return sub, params{Partial: r.Partial}, nil
	})
}

// submitDirect plans and executes in one job: what it may change at most is reserved now.
func (s *Service) submitDirect(ctx context.Context, a sweep.Actor, r ExecuteRequest, key Idempotency) (sweep.JobView, error) {
	if r.Direct == nil || r.MaxMessages < 1 {
		return sweep.JobView{}, sweep.Errorf(sweep.Invalid, "an execute without a cleanup plan needs max_messages").At("body.max_messages", "must be at least 1")
	}
	if err := r.Direct.check(a); err != nil {
		return sweep.JobView{}, err
	}
	return s.submit(ctx, a, key, func(ctx context.Context, o *order) (sub store.Submission, p params, err error) {
		o.target, err = o.facts.Target(r.Direct.Mailbox)
		sub.Kind, sub.Reserve, sub.Partial = sweep.Execute, r.MaxMessages, r.Partial
		sub.EstimatedUnits = 150 + float64(r.MaxMessages)*0.055
		return sub, params{Spec: r.Direct.Spec, MaxMessages: r.MaxMessages, Partial: r.Partial}, err
	})
}

// SubmitUndo queues the reversal of a run. It needs no quota.
func (s *Service) SubmitUndo(ctx context.Context, a sweep.Actor, job sweep.ID, key Idempotency) (sweep.JobView, error) {
	return s.submit(ctx, a, key, func(ctx context.Context, o *order) (sub store.Submission, p params, err error) {
		run, err := s.undoable(ctx, a.Customer, job)
		if err != nil {
			return sub, p, err
		}
		o.target, err = o.facts.Target(run.Mailbox)
		sub.Kind, sub.UndoOf, sub.EstimatedUnits = sweep.Undo, job, 50+float64(run.Cleaned)*0.055
		return sub, p, err
	})
}

func (s *Service) undoable(ctx context.Context, customer, job sweep.ID) (run store.RunRow, err error) {
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		ran, err := tx.Job(job)
		if err != nil {
			return err
		}
		run, err = undoable(tx, ran)
		return err
	})
	return run, err
}

// undoable reads the run of a job that can be undone now.
func undoable(tx *store.Tx, job store.JobRow) (store.RunRow, error) {
	if job.Kind != sweep.Execute || !job.State.Done() {
		return store.RunRow{}, sweep.Errorf(sweep.Conflict, "only an execute that is over can be undone")
	}
	run, err := tx.Run(job.ID)
	if sweep.CodeOf(err) == sweep.NotFound {
		return run, sweep.Errorf(sweep.Conflict, "this job changed nothing: there is nothing to undo")
	}
	if err != nil {
		return run, err
	}
	if !tx.Now.Before(run.UndoUntil) {
		return run, sweep.Errorf(sweep.PlanExpired, "this run could be undone until %s", run.UndoUntil.Format("2006-01-02 15:04 UTC"))
	}
	newer, err := tx.OverlapsNewer(run.Job, run.Mailbox)
	if err != nil {
		return run, err
	}
	if !newer.IsZero() {
		return run, sweep.Errorf(sweep.Conflict, "a newer run changed this mailbox: undo that one first").With("job_id", sweep.JobID.Show(newer))
	}
	return run, nil
}

// maker reads what a submission is about.
type maker func(context.Context, *order) (store.Submission, params, error)

// submit admits a job, or refuses it for what stands now: facts that were kept, or that changed in between, are read again first.
func (s *Service) submit(ctx context.Context, a sweep.Actor, key Idempotency, make maker) (sweep.JobView, error) {
	if err := a.MayRun(); err != nil {
		return sweep.JobView{}, err
	}
	for _, fresh := range []bool{false, true, true} {
		o := &order{}
		sub, err := s.prepare(ctx, a, key, make, o, fresh)
		if err != nil && o.kept {
			continue
		}
		if err != nil {
			return s.answeredOr(ctx, a, key, o, err)
		}
		v, err := s.DB.Submit(ctx, sub)
		if err != nil {
			return sweep.JobView{}, err
		}
		if v.Admitted {
			s.Hint()
			return queuedView(sub), nil
		}
		if !v.Stale {
			return s.refused(ctx, o, sub, v)
		}
	}
	return sweep.JobView{}, sweep.Errorf(sweep.Unavailable, "the plan or the mailboxes of this customer are changing: try again")
}

func (s *Service) prepare(ctx context.Context, a sweep.Actor, key Idempotency, make maker, o *order, fresh bool) (sub store.Submission, err error) {
	if o.facts, o.kept, err = s.facts.of(ctx, s.DB, a.Customer, fresh); err != nil {
		return sub, err
	}
	if !o.facts.SuspendedAt.IsZero() {
		return sub, sweep.Errorf(sweep.AccountSuspended, "this account is suspended")
	}
	o.plan = s.Plans.PlanAt(o.facts.Customer, o.facts.Now)
	sub, p, err := make(ctx, o)
	if err == nil {
		err = s.ready(o, sub.Kind)
	}
	if err == nil {
		err = s.fill(ctx, a, key, o, &sub, p)
	}
	return sub, err
}

// answeredOr gives the first answer again to a key that has one: what stands now takes nothing back of what was admitted then. Else it refuses.
func (s *Service) answeredOr(ctx context.Context, a sweep.Actor, key Idempotency, o *order, refusal error) (sweep.JobView, error) {
	if key.Key == "" || o.facts.ID.IsZero() {
		return sweep.JobView{}, refusal
	}
	v, err := s.DB.Answered(ctx, a.Customer, key.Route, key.Key, key.hash(), o.facts.Now)
	if err != nil {
		return sweep.JobView{}, err
	}
	if v.ReplayAnswer == nil && !v.Mismatch {
		return sweep.JobView{}, refusal
	}
	if o.box, err = s.Vault.Box(o.facts.DataKey, o.facts.ID.String()); err != nil {
		return sweep.JobView{}, fmt.Errorf("open data key: %w", err)
	}
	return s.refused(ctx, o, store.Submission{Route: key.Route, Key: key.Key}, v)
}

// ready says whether the mailbox takes jobs. Undo always works.
func (s *Service) ready(o *order, kind sweep.JobKind) error {
	if o.target.State != "active" {
		return sweep.Errorf(sweep.MailboxNeedsReconnect, "this mailbox has to be connected again: its consent at Google is gone")
	}
	if kind != sweep.Undo && o.target.Oldest >= o.plan.Mailboxes {
		return sweep.Errorf(sweep.MailboxLimit, "the %s plan works on %d mailboxes, the oldest ones", o.plan.Tier, o.plan.Mailboxes)
	}
	return nil
}

// fill completes a submission and seals what it carries.
func (s *Service) fill(ctx context.Context, a sweep.Actor, key Idempotency, o *order, sub *store.Submission, p params) (err error) {
	if o.box, err = s.Vault.Box(o.facts.DataKey, o.facts.ID.String()); err != nil {
		return fmt.Errorf("open data key: %w", err)
	}
	sub.Customer, sub.Made, sub.PlanVersion, sub.Weight, sub.Now = a.Customer, &o.facts, o.facts.PlanVersion, float64(max(1, o.plan.Weight)), o.facts.Now
	if sub.Job, err = sweep.NewID(o.facts.Now, rand.Reader); err != nil {
		return fmt.Errorf("make id: %w", err)
	}
	sub.Mailbox, sub.Account, sub.Limit, sub.Actor = o.target.Mailbox, o.target.Account, o.plan.Emails, a
	sub.MaxOpen, sub.MaxExecutes, sub.Traceparent = s.OpenJobs, s.ExecutesPerDay, telemetry.Traceparent(ctx)
	if a.Kind == sweep.ByOps { // a bulk undo must not stop at what customers may have open
		sub.MaxOpen = math.MaxInt32
	}
	if sub.Params, err = seal(o.box, p, jobPart(sub.Job, "params")); err != nil {
		return err
	}
	if key.Key == "" {
		return nil
	}
	sub.Route, sub.Key, sub.RequestHash = key.Route, key.Key, key.hash()
	sub.Answer, err = seal(o.box, queuedView(*sub), "idempotency_keys|"+key.Route+"|"+key.Key)
	return err
}

// queuedView is the first answer to a submission.
func queuedView(sub store.Submission) sweep.JobView {
	return sweep.Job{ID: sub.Job, MailboxID: sub.Mailbox, Kind: sub.Kind, State: sweep.Queued, Phase: "queued", CreatedAt: sub.Now,
		Progress: sweep.Progress{ETASeconds: -1}}.View()
}

// refused turns a verdict into the first answer again, the open analysis, or the reason.
func (s *Service) refused(ctx context.Context, o *order, sub store.Submission, v store.Verdict) (sweep.JobView, error) {
	switch {
	case v.Mismatch:
		return sweep.JobView{}, sweep.Errorf(sweep.IdempotencyMismatch, "this Idempotency-Key came with another request")
	case v.ReplayAnswer != nil:
		var first sweep.JobView
		err := unseal(o.box, v.ReplayAnswer, "idempotency_keys|"+sub.Route+"|"+sub.Key, &first)
		first.Replayed = true
		return first, err
	case !v.SameJob.IsZero():
		view, _, err := s.Job(ctx, sub.Customer, v.SameJob)
		return view, err
	case v.Halted != "":
		return sweep.JobView{}, sweep.Errorf(sweep.Halted, "the service is halted: nothing new is started at the moment")
	case !v.PlanJob.IsZero():
		return sweep.JobView{}, sweep.Errorf(sweep.AlreadyExecuted, "this cleanup plan was executed already").With("job_id", sweep.JobID.Show(v.PlanJob))
	case !v.UndoJob.IsZero():
		return sweep.JobView{}, sweep.Errorf(sweep.Conflict, "this run was undone already").With("job_id", sweep.JobID.Show(v.UndoJob))
	case v.TooManyOpen:
		return sweep.JobView{}, sweep.Errorf(sweep.RateLimited, "at most %d jobs can be open at once", s.OpenJobs).With("retry_after", 10)
	case v.TooManyRuns:
		return sweep.JobView{}, sweep.Errorf(sweep.RateLimited, "at most %d executes a day", s.ExecutesPerDay).With("retry_after", 3600)
	}
	if err := s.DB.Tenant(ctx, sub.Customer, func(tx *store.Tx) error { return tx.NoteRefused(v.Quota.Period.Start) }); err != nil {
		s.Log.WarnContext(ctx, "that a run did not fit is not noted", "error", err) // the answer is the same
	}
	view := v.Quota.View()
	view.UpgradeURL = s.UpgradeURL
	return sweep.JobView{}, sweep.Errorf(sweep.QuotaExceeded, "%d messages do not fit into what remains of this month's quota", sub.Reserve).With("quota", view)
}

// result opens a job's sealed result.
func result(box *secret.Box, j store.JobRow) json.RawMessage {
	var raw json.RawMessage
	if j.SealedResult == nil || unseal(box, j.SealedResult, jobPart(j.ID, "result"), &raw) != nil {
		return nil
	}
	return raw
}
