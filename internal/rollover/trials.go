package rollover

import (
	"context"
	"errors"
	"fmt"
	"time"

	"mailsweep/internal/mail"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// overlap covers transactions that were open, and clocks that differed, when trials were last looked at.
const overlap = time.Hour

// trials tells customers that their trial ends in three days, in one, and that it has ended. The plan itself ends by the clock, not by
// this duty. Whoever was due for several since the last doing hears the latest only.
func (s *Service) trials(ctx context.Context, turn store.Duty) error {
	since := turn.Now.Add(-day)
	if turn.Last != nil {
		since = turn.Last.Add(-overlap)
	}
	var failed error
	told := map[sweep.ID]bool{}
	for _, ahead := range []time.Duration{0, day, 3 * day} {
		ids, err := s.DB.TrialsEnding(ctx, since.Add(ahead), turn.Now.Add(ahead))
		if err != nil {
			return err
		}
		for _, id := range ids {
			if told[id] {
				continue
			}
			told[id] = true
			if err := s.DB.Tenant(ctx, id, s.trial); err != nil {
				failed = fmt.Errorf("customer %s: %w", sweep.CustomerID.Show(id), err)
			}
		}
		if ours, err := s.DB.RenewDuty(ctx, turn, lease); err != nil || !ours {
			return errors.Join(errTaken, err)
		}
	}
	return failed
}

func (s *Service) trial(tx *store.Tx) error {
	c, err := tx.LoadCustomer()
	if err != nil || !c.SuspendedAt.IsZero() || s.paying(c.Customer, tx.Now) {
		return gone(err)
	}
	kind, days := stage(c.TrialEndsAt, tx.Now)
	if kind == "" {
		return nil
	}
	first, err := tx.Notice(string(kind), fmt.Sprintf("%d %s", days, c.TrialEndsAt.Format(time.DateOnly)))
	if err != nil || !first {
		return err
	}
	return s.Post(tx, kind, sweep.ID{}, mail.Data{Name: c.Name, DaysLeft: days, EndsAt: c.TrialEndsAt})
}

// paying says that the trial's end changes nothing that was not chosen.
func (s *Service) paying(c sweep.Customer, now time.Time) bool {
	c.TrialEndsAt = time.Time{}
	return s.Plans.PlanAt(c, now).Tier != sweep.Free
}

// stage is what there is to say about a trial that ends at end; "" when there is nothing.
func stage(end, now time.Time) (kind mail.Kind, days int) {
	switch left := end.Sub(now); {
	case end.IsZero() || left > 3*day:
		return "", 0
	case left <= 0:
		return mail.TrialEnded, 0
	case left <= day:
		return mail.TrialEnding, 1
	case left <= 2*day:
		return mail.TrialEnding, 2
	default:
		return mail.TrialEnding, 3
	}
}
