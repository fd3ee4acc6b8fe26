package cleanup

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
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
	Worker string                                                                  // this process, in the job row
	Hint   func()                                                                  // tells the dispatcher that a lane may be free; never awaited
	Post   func(tx *store.Tx, kind mail.Kind, user sweep.ID, data mail.Data) error // a mail to the customer's owner, with the transaction
	Log    *slog.Logger
}

// Why a claim ends early. The first two come from the heartbeat.
var (
	errCanceled = errors.New("the customer canceled the job")
	errHalted   = errors.New("an operator halted this kind of job")
)

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
	unusable error // why the mailbox cannot be worked on; an execute that began settles its account all the same
	beat     *beat
}

// Run does what the task asks, or nothing if the task is stale. It returns nil whenever PostgreSQL knows what comes next: the
// queue never decides about a retry.
func (r *Runner) Run(ctx context.Context, customer, job sweep.ID, epoch int) error {
	c, ok, err := r.DB.Claim(ctx, customer, job, epoch, r.Worker)
	if err != nil {
		return err
	}
	if !ok {
		r.Log.DebugContext(ctx, "stale task", "job_id", sweep.JobID.Show(job), "epoch", epoch)
		return nil
	}
	ctx = telemetry.WithJobID(telemetry.WithRequestID(ctx, c.RequestID), sweep.JobID.Show(job))
	w := &work{Runner: r, c: &c, beat: newBeat(c)}
	err = w.run(ctx)
	r.Hint()
	return w.conclude(ctx, err)
}

func (w *work) run(ctx context.Context) error {
	if err := w.open(ctx); err != nil {
		return err
	}
	w.Log.InfoContext(ctx, "job claimed", "kind", w.c.Kind, "fence", w.c.Fence)
	ctx, stop := w.beat.start(ctx, w)
	defer stop()
	if w.c.Canceled {
		w.beat.stopWith(errCanceled)
	}
	if w.unusable != nil && w.c.Kind != sweep.Execute {
		return w.unusable
	}
	switch w.c.Kind {
	case sweep.Analyze:
		return w.analyze(ctx)
	case sweep.DryRun:
		return w.dryRun(ctx)
	case sweep.Execute:
		return w.execute(ctx)
	default:
		return w.undo(ctx)
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

// conclude turns how the work ended into the job's next state.
func (w *work) conclude(ctx context.Context, err error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	var wait *gmail.Wait
	switch cause := w.beat.reason(); {
	case err == nil:
		w.Log.InfoContext(ctx, "job claim ended", "units", w.beat.spent())
		return nil
	case errors.Is(err, store.ErrFenced) || errors.Is(cause, store.ErrFenced):
		w.Log.WarnContext(ctx, "fenced: another claim has this job")
		return nil
	case errors.Is(cause, errCanceled):
		return w.end(ctx, store.Ending{State: sweep.Canceled})
	case errors.Is(cause, errHalted):
		return w.park(ctx, 5*time.Second, "halted by an operator")
	case errors.Is(cause, context.Canceled):
		return w.park(ctx, 0, "handed back")
	case errors.Is(err, errYield):
		return w.park(ctx, 2*time.Second, "waiting for a cleanup of this mailbox")
	case errors.As(err, &wait):
		return w.park(ctx, time.Until(wait.Until), "Gmail asked us to wait")
	case w.away(err):
		return w.park(ctx, w.awayFor(), "Gmail does not answer: trying again")
	}
	return w.fail(ctx, err)
}

// An outage at Gmail is waited for: tried again this often, and given up this long after the job was asked for.
const (
	awayRetry = 30 * time.Second
	awayLimit = 24 * time.Hour
)

// away says that Gmail did not answer, also after the adapter's own tries, and that it is worth waiting for.
func (w *work) away(err error) bool {
	return sweep.CodeOf(err) == sweep.Unavailable && w.c.Now.Sub(w.c.CreatedAt) < awayLimit
}

func (w *work) awayFor() time.Duration {
	return time.Duration(float64(awayRetry) / max(1, w.Gmail.TimeScale))
}

func (w *work) park(ctx context.Context, d time.Duration, phase string) error {
	if d > 0 {
		d = max(d, time.Second)
	}
	err := w.DB.Park(ctx, w.c, d, phase, nil)
	if errors.Is(err, store.ErrFenced) {
		return nil
	}
	return err
}

// fail ends the job with a code and a sentence; what has no code is internal, logged and not shown.
func (w *work) fail(ctx context.Context, err error) error {
	e := failure(err)
	w.Log.ErrorContext(ctx, "job failed", "reason", string(e.Code), "error", err.Error())
	return w.end(ctx, e)
}

// failure is how a job ends of an error.
func failure(err error) store.Ending {
	var known *sweep.Error
	e := store.Ending{State: sweep.Failed, Code: sweep.Internal, Detail: "something went wrong on our side"}
	if errors.As(err, &known) {
		e.Code, e.Detail = known.Code, known.Detail
	}
	return e
}

// end finishes the job without a result; a mailbox that lost its consent is marked, its owner told once.
func (w *work) end(ctx context.Context, e store.Ending) error {
	e.Units, e.Done, e.Total = w.beat.spent(), w.beat.done(), w.beat.total()
	err := w.DB.Fenced(ctx, w.c, func(tx *store.Tx) error {
		if e.Code == sweep.MailboxNeedsReconnect {
			if err := w.lostConsent(tx); err != nil {
				return err
			}
		}
		return tx.Finish(w.c, e)
	})
	if errors.Is(err, store.ErrFenced) {
		return nil
	}
	return err
}

// finish ends the job with its result, which f may still complete, beside what f writes in the same transaction.
func (w *work) finish(ctx context.Context, result any, e store.Ending, f func(*store.Tx) error) error {
	e.Units, e.Done, e.Total = w.beat.spent(), w.beat.done(), w.beat.total()
	return w.DB.Fenced(ctx, w.c, func(tx *store.Tx) (err error) {
		if err := f(tx); err != nil {
			return err
		}
		if e.Result, err = seal(w.box, result, jobPart(w.c.ID, "result")); err != nil {
			return err
		}
		return tx.Finish(w.c, e)
	})
}
