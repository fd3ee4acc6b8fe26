package cleanup

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// putOffError ends a claim before its work: our Google project's day is nearly used up.
type putOffError struct{ until time.Time }

func (e *putOffError) Error() string { return "put off to the next day of quota" }

// putOff says whether this job has to wait for the next day of our Google project. One that has begun goes on: what it did is paid for, and
// a run is not torn. A cleanup plan that expires meanwhile stays good for the run that was admitted before: what is reserved is not stopped by
// time.
func (w *work) putOff(ctx context.Context) error {
	if w.Booked == nil || w.c.Canceled || w.c.Checkpoint != nil {
		return nil
	}
	booked, ends := w.Booked(ctx)
	if !w.Budget.PutsOff(w.c.Kind, w.standing.Pays(w.c.Now), booked) {
		return nil
	}
	begun := false
	err := w.DB.Tenant(ctx, w.c.CustomerID, func(tx *store.Tx) error {
		begun = tx.Begun(w.c.ID)
		return nil
	})
	if err != nil || begun {
		return err
	}
	w.Log.WarnContext(ctx, "job put off: the day's units are nearly used up", "kind", w.c.Kind, "booked", booked, "of", w.Budget.Units)
	return &putOffError{ends.Add(rand.N(wakesWithin(w.c.Kind)))}
}

// wakesWithin is how long after the day's beginning the last of the jobs of a kind that were put off goes on: all of them at one instant
// would be a flood, and those for whom somebody waits go before analyses.
func wakesWithin(kind sweep.JobKind) time.Duration {
	if kind == sweep.Analyze {
		return time.Hour
	}
	return 10 * time.Minute
}

// rest puts a job off with its lane given back: an undo of the same account must not wait for it.
func (w *work) rest(ctx context.Context, err error) error {
	return w.park(ctx, store.Parking{Event: sweep.Wait, For: untilNextDay(err), Phase: "put off: what we may ask of Gmail today is nearly used up", Lane: true})
}

func untilNextDay(err error) time.Duration {
	var p *putOffError
	if !errors.As(err, &p) {
		return 0
	}
	return time.Until(p.until)
}
