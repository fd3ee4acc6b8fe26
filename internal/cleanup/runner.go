package cleanup

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"mailsweep/internal/gmail"
	"mailsweep/internal/mail"
	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/telemetry"
)

// Runner does the jobs: the worker's side. It opens mailboxes, so it alone needs the private half of the token keyset.
type Runner struct {
	DB     *store.DB
	Vault  *secret.Vault
	Opener *secret.TokenOpener
	Gmail  *gmail.Client
	Plans  sweep.Plans
	Worker store.Worker                                                            // this process, in the job row
	Booked func(context.Context) (units int64, dayEnds time.Time)                  // of our Google project's day; nil: nobody counts
	Budget sweep.DayBudget                                                         // of that day
	Hint   func()                                                                  // tells the dispatcher that a lane may be free; never awaited
	Post   func(tx *store.Tx, kind mail.Kind, user sweep.ID, data mail.Data) error // a mail to the customer's owner, with the transaction
	Watch  func(Moment)                                                            // told of what is worth counting, by several goroutines; nil: nobody counts
	Log    *slog.Logger

	claims    claims
	stall     time.Duration // 0: stallLimit
	keepEvery int64         // 0: listEvery, saveEvery
	showEvery time.Duration // 0: showEvery
}

// Why a claim ends early; they come from the heartbeat. After all but a cancel another claim goes on.
var (
	errCanceled = errors.New("the customer canceled the job")
	errPaused   = errors.New("the customer paused the job")
	errHalted   = errors.New("an operator halted this kind of job")
)

// unfinished says that the claim ends before its job for a reason of the heartbeat's.
func unfinished(cause error) bool {
	return errors.As(cause, new(*broken)) || errors.Is(cause, context.Canceled) || errors.Is(cause, errHalted) || errors.Is(cause, errPaused) || errors.Is(cause, store.ErrFenced)
}

// work is one claim at work.
type work struct {
	*Runner
	c        *store.Claim
	box      *secret.Box
	standing store.Standing
	target   store.Target
	keep     []string
	mbox     *gmail.Mailbox
	params   params
	listed   bool        // the mailbox was listed by this claim
	gotOn    atomic.Bool // something is written that a later claim need not do again
	unusable error       // why the mailbox cannot be worked on; an execute that began settles its account all the same
	beat     *beat
	began    time.Time // before it was claimed: the lease is not older
}

// Run does what the task asks, or nothing if the task is stale. It returns nil whenever PostgreSQL knows what comes next: the
// queue never decides about a retry.
func (r *Runner) Run(ctx context.Context, customer, job sweep.ID, epoch int) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	began := time.Now()
	// a claim that is committed and not heard of would stand idle until its lease is dead: this one is heard, and handed back
	c, ok, err := r.DB.Claim(context.WithoutCancel(ctx), customer, job, epoch, r.Worker)
	if err != nil {
		return err
	}
	if !ok {
		return r.unclaimed(ctx, customer, job, epoch)
	}
	ctx = telemetry.WithJobID(telemetry.WithRequestID(ctx, c.RequestID), sweep.JobID.Show(job))
	w := &work{Runner: r, c: &c, began: began, beat: newBeat(c, cmp.Or(r.stall, stallLimit))}
	defer r.claims.add(job, w.beat)()
	w.claimed()
	err = safely(func() error { return w.run(ctx) })()
	err = w.conclude(ctx, err)
	r.Hint()
	return err
}

// unclaimed tells why a task could not claim. That another has its job or had it is daily business; that its customer does not have it is
// not: nothing of ours writes such a task.
func (r *Runner) unclaimed(ctx context.Context, customer, job sweep.ID, epoch int) error {
	foreign, err := r.DB.Foreign(ctx, customer, job)
	if err != nil {
		return err
	}
	ids := []any{"job_id", sweep.JobID.Show(job), "customer_id", sweep.CustomerID.Show(customer), "epoch", epoch}
	if foreign {
		r.tell(Moment{What: Foreign})
		r.Log.ErrorContext(ctx, "task refused: its customer does not have its job", ids...)
		return nil
	}
	r.tell(Moment{What: Stale})
	r.Log.DebugContext(ctx, "stale task", ids...)
	return nil
}

// Nudge lets the claim of a job ask for its orders now instead of at its next heartbeat; the zero id nudges all. It never blocks.
func (r *Runner) Nudge(job sweep.ID) { r.claims.nudge(job) }

func (w *work) run(ctx context.Context) error {
	if w.c.Halted && !w.c.Canceled {
		w.beat.stopWith(errHalted)
		return errHalted
	}
	if err := w.open(ctx); err != nil {
		return err
	}
	w.Log.InfoContext(ctx, "job claimed", "kind", w.c.Kind, "fence", w.c.Fence)
	ctx, hear, stop := w.beat.start(ctx, w)
	defer stop()
	if w.c.Canceled {
		w.beat.stopWith(errCanceled)
	}
	if w.unusable != nil && w.c.Kind != sweep.Execute {
		return w.unusable
	}
	if err := w.putOff(ctx); err != nil {
		return err
	}
	switch w.c.Kind {
	case sweep.Analyze:
		return w.analyze(hear)
	case sweep.DryRun:
		return w.dryRun(hear)
	case sweep.Execute:
		return w.execute(ctx, hear)
	default:
		return w.undo(ctx, hear)
	}
}

// open reads what the job is about and opens the mailbox.
func (w *work) open(ctx context.Context) error {
	var token []byte
	err := w.DB.Tenant(ctx, w.c.CustomerID, func(tx *store.Tx) (err error) {
		if w.standing, err = tx.Standing(); err != nil {
			return err
		}
		if w.keep, err = tx.Keep(); err != nil {
			return err
		}
		token, err = w.reach(tx)
		return err
	})
	if err != nil {
		return err
	}
	if w.box, err = w.Vault.Box(w.standing.DataKey, w.c.CustomerID.String()); err != nil {
		return fmt.Errorf("open data key: %w", err)
	}
	if err := unseal(w.box, w.c.Params, jobPart(w.c.ID, "params"), &w.params); err != nil {
		return err
	}
	if w.unusable != nil {
		return nil
	}
	account := hex.EncodeToString(w.target.Account)
	refresh, err := w.Opener.Open(token, TokenPlace(w.c.CustomerID, w.target.Account))
	if err != nil {
		return fmt.Errorf("open token: %w", err)
	}
	w.mbox = w.Gmail.Open(string(refresh), account)
	w.beat.units = w.mbox.Units
	return nil
}

// reach reads the mailbox and its token, or why it cannot be worked on.
func (w *work) reach(tx *store.Tx) (token []byte, err error) {
	w.target, err = tx.Target(w.c.MailboxID)
	if sweep.CodeOf(err) == sweep.NotFound {
		w.target, w.unusable = store.Target{Mailbox: w.c.MailboxID, Account: w.c.Account}, err
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if w.target.State != "active" {
		w.unusable = sweep.Errorf(sweep.MailboxNeedsReconnect, "this mailbox has to be connected again: its consent at Google is gone")
		return nil, nil
	}
	token, err = tx.RefreshToken(w.c.MailboxID)
	if sweep.CodeOf(err) == sweep.MailboxNeedsReconnect {
		w.unusable, err = err, nil
	}
	return token, err
}

// TokenPlace is where a sealed refresh token belongs.
func TokenPlace(customer sweep.ID, account []byte) secret.Context {
	return secret.Context{Customer: customer.String(), Provider: "google", Account: hex.EncodeToString(account), Field: "refresh_token"}
}
