package cleanup

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mailsweep/internal/gmail"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// outcome is how a claim ends.
type outcome string

const (
	done       outcome = "done"
	failed     outcome = "failed"
	canceled   outcome = "canceled"
	fenced     outcome = "fenced" // another claim has this job
	broke      outcome = "broke"  // a panic, or no progress
	cutOff     outcome = "database_away"
	paused     outcome = "paused"
	halted     outcome = "halted"
	handedBack outcome = "handed_back" // the worker stops
	yielded    outcome = "yielded"     // to a writing job of the same mailbox
	putOff     outcome = "put_off"     // to the next day of quota
	told       outcome = "gmail_asked_to_wait"
	unheard    outcome = "gmail_away"
)

func (o outcome) again() bool { return o != done && o != failed && o != canceled }

// stopped is how a claim ends that the heartbeat stopped for a reason other than the fence; "" where it did not.
func stopped(cause error) outcome {
	switch {
	case errors.Is(cause, errCanceled):
		return canceled
	case errors.Is(cause, errPaused):
		return paused
	case errors.Is(cause, errHalted):
		return halted
	case errors.Is(cause, context.Canceled):
		return handedBack
	}
	return ""
}

// outcome says what the end of the work means. What the heartbeat learned goes before what came of it.
func (w *work) outcome(err error) outcome {
	switch cause := w.beat.reason(); {
	case err == nil:
		return done
	case errors.Is(err, store.ErrFenced) || errors.Is(cause, store.ErrFenced):
		return fenced
	case errors.As(err, new(*broken)) || errors.As(cause, new(*broken)):
		return broke
	case errors.Is(err, store.ErrAway):
		return cutOff
	case w.c.Kind.Writes() && errors.As(err, new(*gmail.Wait)): // also before a cancel: what was changed is settled first
		return told
	case stopped(cause) != "":
		return stopped(cause)
	case errors.Is(err, errYield):
		return yielded
	case errors.As(err, new(*putOffError)):
		return putOff
	case errors.As(err, new(*gmail.Wait)):
		return told
	case w.away(err):
		return unheard
	}
	return failed
}

// conclude turns how the work ended into the job's next state.
func (w *work) conclude(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		w.beat.stopWith(context.Canceled) // the heartbeat may not have begun, or not have come to say it
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	o := w.outcome(err)
	w.left(o)
	switch o {
	case done:
		w.Log.InfoContext(ctx, "job claim ended", "units", w.beat.spent())
		return nil
	case fenced:
		w.Log.WarnContext(ctx, "fenced: another claim has this job")
		return w.unlessFenced(store.ErrFenced)
	case broke:
		return w.stumble(ctx, errors.Join(err, w.beat.reason()))
	case cutOff:
		return w.wait(ctx, time.Second, "going on soon") // or not even that is heard: then the lease ends, with the same effect
	case canceled:
		return w.end(ctx, store.Ending{State: sweep.Canceled})
	case paused:
		return w.park(ctx, store.Parking{Event: sweep.Pause, Phase: "paused"})
	case halted:
		return w.wait(ctx, haltRetry, "halted by an operator")
	case handedBack:
		return w.park(ctx, store.Parking{Event: sweep.HandBack, Phase: "handed back"})
	case yielded:
		return w.wait(ctx, 2*time.Second, "waiting for a cleanup of this mailbox")
	case putOff:
		return w.rest(ctx, err)
	case told:
		return w.wait(ctx, asked(err), "Gmail asked us to wait")
	case unheard:
		return w.park(ctx, store.Parking{Event: sweep.Wait, For: w.awayFor(), Phase: "Gmail does not answer: trying again", Away: true, Anew: w.gotOn.Load()})
	}
	return w.fail(ctx, err)
}

// asked is how long Gmail wants us to wait.
func asked(err error) time.Duration {
	var wait *gmail.Wait
	if !errors.As(err, &wait) {
		return 0
	}
	return time.Until(wait.Until)
}

// An outage of Gmail's is waited for: tried again this often, and given up this long after it began.
const (
	awayRetry = 30 * time.Second
	awayLimit = 24 * time.Hour
)

// away says that Gmail did not answer, also after the adapter's own tries, and that it is worth waiting for.
func (w *work) away(err error) bool {
	return sweep.CodeOf(err) == sweep.Unavailable && (w.c.Away < awayLimit || w.gotOn.Load())
}

func (w *work) awayFor() time.Duration {
	return max(time.Second, time.Duration(float64(awayRetry)/max(1, w.Gmail.TimeScale)))
}

// haltRetry is how long a halted job waits at least: the dispatcher lets it lie until the halt is lifted, unless that is of a build.
const haltRetry = 5 * time.Second

func (w *work) wait(ctx context.Context, d time.Duration, phase string) error {
	return w.park(ctx, store.Parking{Event: sweep.Wait, For: max(d, time.Second), Phase: phase, Canceled: errors.Is(w.beat.reason(), errCanceled)})
}

func (w *work) park(ctx context.Context, p store.Parking) error {
	p.Units = w.beat.spent()
	return w.unlessFenced(w.DB.Park(ctx, w.c, p))
}

// unlessFenced: what another claim has is that claim's business.
func (w *work) unlessFenced(err error) error {
	if errors.Is(err, store.ErrFenced) {
		w.tell(Moment{What: Fenced, Kind: w.c.Kind})
		return nil
	}
	return err
}

// stumble gives back a job over which the work panicked, or gives it up when that happens again and again.
func (w *work) stumble(ctx context.Context, err error) error {
	var b *broken
	if !errors.As(err, &b) {
		return err
	}
	w.Log.ErrorContext(ctx, "the work broke", "trouble", b.trouble, "claim", w.c.Fence)
	poison, err := w.DB.Stumble(ctx, w.c, b.trouble)
	if err != nil || !poison {
		return w.unlessFenced(err)
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
		return w.unlessFenced(w.DB.Finish(ctx, w.c, e))
	}
	err := w.DB.Fenced(ctx, w.c, func(tx *store.Tx) error {
		if err := w.lostConsent(tx); err != nil {
			return err
		}
		return tx.Finish(w.c, e)
	})
	return w.unlessFenced(err)
}

// finish ends the job with its result, which f may still complete, beside what f writes in the same transaction.
func (w *work) finish(ctx context.Context, result any, e store.Ending, f func(*store.Tx) error) error {
	e.Units, e.Done, e.Total = w.beat.spent(), w.beat.done(), w.beat.total()
	return w.beat.end(func() error {
		return w.DB.Fenced(ctx, w.c, func(tx *store.Tx) (err error) {
			if err := f(tx); err != nil {
				return err
			}
			if e.Result, err = seal(w.box, result, jobPart(w.c.ID, "result")); err != nil {
				return err
			}
			return tx.Finish(w.c, e)
		})
	})
}

// audit notes in the customer's log what Gmail says a job has done.
func (w *work) audit(tx *store.Tx, action string, data map[string]any) error {
	who := sweep.Actor{Kind: sweep.BySystem, Customer: w.c.CustomerID, RequestID: w.c.RequestID}
	return tx.Audit(store.AuditEntry{Actor: who, Action: action, Object: sweep.JobID.Show(w.c.ID), Data: data})
}
