package cleanup

import (
	"time"

	"mailsweep/internal/sweep"
)

// Moment is something in the life of a claim that is worth counting.
type Moment struct {
	What  Happening
	Kind  sweep.JobKind
	First bool          // Claimed: no claim of this job was before
	Took  time.Duration // Claimed, if First: since the job was submitted; Left: that the claim had its worker; Batched: from intent to ledger
	Cause string        // Left: one of a dozen words
	Again bool          // Left: the job goes on later, by another claim
}

// Happening names a moment.
type Happening string

// The moments. Each Claimed is followed by one Left.
const (
	Claimed Happening = "claimed"
	Left    Happening = "left"
	Batched Happening = "batched" // one Gmail call that changes, with what is written before and after it
	Fenced  Happening = "fenced"  // what the claim wanted to write was refused: another claim has its job
	Stale   Happening = "stale"   // a task came too late for its job to be claimed; of an unknown kind
	Foreign Happening = "foreign" // a task names a customer that does not have its job; of an unknown kind
)

func (r *Runner) tell(m Moment) {
	if r.Watch != nil {
		r.Watch(m)
	}
}

// batched is for defer: the claim's batch, unless it failed.
func (w *work) batched(began time.Time, err *error) {
	if *err == nil {
		w.gotOn.Store(true)
		w.tell(Moment{What: Batched, Kind: w.c.Kind, Took: time.Since(began)})
	}
}

func (w *work) claimed() {
	m := Moment{What: Claimed, Kind: w.c.Kind, First: w.c.Fence == 1}
	if m.First {
		m.Took = max(0, w.c.Now.Sub(w.c.CreatedAt))
	}
	w.tell(m)
}

func (w *work) left(o outcome) {
	w.tell(Moment{What: Left, Kind: w.c.Kind, Took: time.Since(w.began), Cause: string(o), Again: o.again()})
}
