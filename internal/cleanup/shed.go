package cleanup

import (
	"context"
	"errors"
	"time"
)

// putOffError ends a claim before its work: our Google project's day is nearly used up.
type putOffError struct{ until time.Time }

func (e *putOffError) Error() string { return "put off to the next day of quota" }

// putOff says whether this job has to wait for the next day of our Google project. A job that was claimed before has begun, and goes on:
// what it did is paid for.
func (w *work) putOff(ctx context.Context) error {
	if w.Booked == nil || w.c.Fence > 1 || w.c.Canceled {
		return nil
	}
	booked, ends := w.Booked(ctx)
	if !w.Budget.PutsOff(w.c.Kind, w.standing.Pays(w.c.Now), booked) {
		return nil
	}
	w.Log.WarnContext(ctx, "job put off: the day's units are nearly used up", "kind", w.c.Kind, "booked", booked, "of", w.Budget.Units)
	return &putOffError{ends}
}

func untilNextDay(err error) time.Duration {
	var p *putOffError
	if !errors.As(err, &p) {
		return 0
	}
	return time.Until(p.until)
}
