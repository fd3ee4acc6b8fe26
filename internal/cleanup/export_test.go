package cleanup

import (
	"context"
	"time"

	"mailsweep/internal/mailindex"
	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// The places that sealed values are bound to.
var (
	JobPlace     = jobPart
	PlanPlace    = planPart
	MailboxPlace = mailboxPart
	BatchPlace   = batchPart
)

// MembersOf opens the frozen set of a plan.
func MembersOf(box *secret.Box, row store.PlanRow) (set []string, err error) {
	members, err := planMembers(box, row, false)
	for _, m := range members {
		set = append(set, m.id.String())
	}
	return set, err
}

// Heard says whether the claim of a job that r works on has been told to stop.
func Heard(r *Runner, job sweep.ID) bool {
	r.claims.mu.Lock()
	defer r.claims.mu.Unlock()
	b := r.claims.beats[job]
	return b != nil && b.reason() != nil
}

// DeafFor is how long a claim goes on at most after it has begun to ask for the last renewal of its lease that was heard.
const DeafFor = giveUpAfter + beatEvery + renewLimit

// KeepEvery is how many units r spends between two saves of what it has found; 0: as many as ever.
func KeepEvery(r *Runner, units int64) { r.keepEvery = units }

// ShowEvery is how often r shows what an analysis has found so far; 0: as seldom as ever.
func ShowEvery(r *Runner, d time.Duration) { r.showEvery = d }

// StallAfter is how long the work of r may show no progress; 0: as long as ever.
func StallAfter(r *Runner, d time.Duration) { r.stall = d }

// IndexOf is a mailbox's index as it is stored.
func IndexOf(ctx context.Context, s *Service, customer, mailbox sweep.ID) (ix *mailindex.Index, err error) {
	err = s.withIndex(ctx, customer, mailbox, func(_ *store.Tx, _ store.Target, found *mailindex.Index) error {
		ix = found
		return nil
	})
	return ix, err
}

// FreshLook says whether a batch may leave on a look of that age, after that many messages.
func FreshLook(age time.Duration, sent int) bool {
	l := look{began: time.Now().Add(-age), sent: sent}
	return l.fresh()
}

// SaveForeign stores a mailbox's index as a later program might write it: in a form that this one does not know.
func SaveForeign(ctx context.Context, s *Service, r *Runner, customer, mailbox sweep.ID) error {
	return r.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		box, err := s.box(tx)
		if err != nil {
			return err
		}
		var sealed []store.SealedSegment
		for segment, err := range tx.Index(mailbox) {
			if err != nil {
				return err
			}
			part := mailboxPart(mailbox, "index|"+segment.Name)
			plain, err := box.Open(segment.Sealed, part)
			if err != nil {
				return err
			}
			plain[0] = 99
			if segment.Sealed, err = box.Seal(plain, part); err != nil {
				return err
			}
			sealed = append(sealed, segment)
		}
		_, err = tx.SaveIndex(mailbox, func(yield func(store.SealedSegment, error) bool) {
			for _, s := range sealed {
				if !yield(s, nil) {
					return
				}
			}
		}, sealed[0].Version, sealed[0].Version+1, tx.Now)
		return err
	})
}

// InFlight is how many batches a run has on their way at most.
const InFlight = inFlight
