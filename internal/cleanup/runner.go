package cleanup

import (
	"cmp"
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
	Worker store.Worker                                                            // this process, in the job row
	Hint   func()                                                                  // tells the dispatcher that a lane may be free; never awaited
	Post   func(tx *store.Tx, kind mail.Kind, user sweep.ID, data mail.Data) error // a mail to the customer's owner, with the transaction
	Log    *slog.Logger

	claims claims
	stall  time.Duration // 0: stallLimit
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
	w := &work{Runner: r, c: &c, beat: newBeat(c, cmp.Or(r.stall, stallLimit))}
	defer r.claims.add(job, w.beat)()
	err = safely(func() error { return w.run(ctx) })()
	err = w.conclude(ctx, err)
	r.Hint()
	return err
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
	if ctx.Err() != nil {
		w.beat.stopWith(context.Canceled) // the heartbeat may not have begun, or not have come to say it
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	var wait *gmail.Wait
	var broke *broken
	switch cause := w.beat.reason(); {
	case err == nil:
		w.Log.InfoContext(ctx, "job claim ended", "units", w.beat.spent())
		return nil
	case errors.Is(err, store.ErrFenced) || errors.Is(cause, store.ErrFenced):
		w.Log.WarnContext(ctx, "fenced: another claim has this job")
		return nil
	case errors.As(err, &broke) || errors.As(cause, &broke):
		return w.stumble(ctx, broke)
	case errors.Is(err, store.ErrAway):
		return w.wait(ctx, time.Second, "going on soon") // or not even that is heard: then the lease ends, with the same effect
	case w.c.Kind.Writes() && errors.As(err, &wait): // also before a cancel: what was changed is settled first
		return w.wait(ctx, time.Until(wait.Until), "Gmail asked us to wait")
	case errors.Is(cause, errCanceled):
		return w.end(ctx, store.Ending{State: sweep.Canceled})
	case errors.Is(cause, errPaused):
		return w.park(ctx, store.Parking{Event: sweep.Pause, Phase: "paused"})
	case errors.Is(cause, errHalted):
		return w.wait(ctx, haltRetry, "halted by an operator")
	case errors.Is(cause, context.Canceled):
		return w.park(ctx, store.Parking{Event: sweep.HandBack, Phase: "handed back"})
	case errors.Is(err, errYield):
		return w.wait(ctx, 2*time.Second, "waiting for a cleanup of this mailbox")
	case errors.As(err, &wait):
		return w.wait(ctx, time.Until(wait.Until), "Gmail asked us to wait")
	case w.away(err):
		return w.wait(ctx, w.awayFor(), "Gmail does not answer: trying again")
	}
	return w.fail(ctx, err)
}

// An outage of Gmail's is waited for: tried again this often, and given up this long after the job was asked for.
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

// haltRetry is how long a halted job waits at least: the dispatcher lets it lie until the halt is lifted, unless that is of a build.
const haltRetry = 5 * time.Second

func (w *work) wait(ctx context.Context, d time.Duration, phase string) error {
	return w.park(ctx, store.Parking{Event: sweep.Wait, For: max(d, time.Second), Phase: phase, Canceled: errors.Is(w.beat.reason(), errCanceled)})
}

func (w *work) park(ctx context.Context, p store.Parking) error {
	return fencedIsFine(w.DB.Park(ctx, w.c, p))
}

// fencedIsFine: what another claim has is that claim's business.
func fencedIsFine(err error) error {
	if errors.Is(err, store.ErrFenced) {
		return nil
	}
	return err
}

// stumble gives back a job over which the work panicked, or gives it up when that happens again and again.
func (w *work) stumble(ctx context.Context, b *broken) error {
	w.Log.ErrorContext(ctx, "the work broke", "trouble", b.trouble, "claim", w.c.Fence)
	poison, err := w.DB.Stumble(ctx, w.c, b.trouble)
	if err != nil || !poison {
		return fencedIsFine(err)
	}
	return w.end(ctx, store.Ending{State: sweep.Failed, Code: sweep.Internal, Detail: fmt.Sprintf("given up after the work on it broke %d times in a row", sweep.PoisonLimit)})
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
	if e.Code != sweep.MailboxNeedsReconnect {
		return fencedIsFine(w.DB.Finish(ctx, w.c, e))
	}
	err := w.DB.Fenced(ctx, w.c, func(tx *store.Tx) error {
		if err := w.lostConsent(tx); err != nil {
			return err
		}
		return tx.Finish(w.c, e)
	})
	return fencedIsFine(err)
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
