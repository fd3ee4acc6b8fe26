package ops

import (
	"context"
	"maps"
	"slices"
	"time"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// Customer is how one customer stands: what it pays for, uses and has; no addresses and no mail data.
type Customer struct {
	store.Customer
	Plan  sweep.Plan // in force now
	Quota sweep.Quota
	Has   store.Belongings
	Halts []store.Halt // in force and concerning this customer alone
}

// Suspended says whether it is shut out, by an operator or because its owner deleted it.
func (c Customer) Suspended() bool { return !c.SuspendedAt.IsZero() }

// halted says whether one of the halts stops what runs; a pause does not.
func (c Customer) halted() bool {
	return slices.ContainsFunc(c.Halts, func(h store.Halt) bool { return !h.Pause })
}

// Customer reads how a customer stands; NotFound if there is none of this id.
func (s *Service) Customer(ctx context.Context, id sweep.ID) (c Customer, err error) {
	err = s.DB.Tenant(ctx, id, func(tx *store.Tx) error {
		if c.Customer, err = tx.LoadCustomer(); err != nil {
			return err
		}
		c.Plan = s.Plans.PlanAt(c.Customer.Customer, tx.Now)
		if c.Quota, err = tx.UsageNow(c.Plan.Emails); err != nil {
			return err
		}
		c.Has, err = tx.Belongings()
		return err
	})
	if err != nil {
		return c, err
	}
	halts, err := s.All.Halts(ctx, 0)
	for _, h := range halts {
		if h.Scope == "customer" && h.Value == id.String() {
			c.Halts = append(c.Halts, h)
		}
	}
	return c, err
}

// InviteSomebody makes the link by which an address can sign up in a closed test, for so many days. The log says that there was one, not to whom.
func (s *Service) InviteSomebody(ctx context.Context, o Operator, address string, days int, reason string) (link string, err error) {
	if days < 1 || days > 90 {
		return "", sweep.Errorf(sweep.Invalid, "an invitation is good for 1 to 90 days")
	}
	if link, err = s.Invite(address, time.Now().AddDate(0, 0, days)); err != nil {
		return "", err
	}
	return link, s.note(ctx, o, "invite", "", reason)
}

// Grant gives a customer a plan until a time, or for good when until is zero, in the place of what was granted before; free takes a grant away. What is bought
// stands beside it: the better of the two is in force, so a grant takes nothing away that is paid for.
func (s *Service) Grant(ctx context.Context, o Operator, id sweep.ID, tier sweep.Tier, until time.Time, reason string) error {
	if _, known := s.Plans[tier]; !known {
		return sweep.Errorf(sweep.Invalid, "there is no plan %q", tier)
	}
	data := map[string]any{"plan": tier}
	if !until.IsZero() {
		data["until"] = until.UTC().Format(time.RFC3339)
	}
	return s.change(ctx, o, id, "grant", "plan.granted", reason, data, func(tx *store.Tx, _ store.Customer) error {
		if !until.IsZero() && !until.After(tx.Now) {
			return sweep.Errorf(sweep.Invalid, "a grant ends in the future")
		}
		return tx.SetGrant(tier, until)
	})
}

// longestTrial bounds by how much one act extends a trial.
const longestTrial = 90

// ExtendTrial gives a customer whole days more of its trial, from now on if it is over. Conflict for who never had one: an address or a Google account
// that was here before has none.
func (s *Service) ExtendTrial(ctx context.Context, o Operator, id sweep.ID, days int, reason string) (until time.Time, err error) {
	if days < 1 || days > longestTrial {
		return until, sweep.Errorf(sweep.Invalid, "a trial is extended by 1 to %d days", longestTrial)
	}
	err = s.change(ctx, o, id, "trial", "trial.extended", reason, map[string]any{"days": days}, func(tx *store.Tx, c store.Customer) error {
		if c.TrialEndsAt.IsZero() {
			return sweep.Errorf(sweep.Conflict, "this customer never had a trial")
		}
		from := c.TrialEndsAt
		if from.Before(tx.Now) {
			from = tx.Now
		}
		until = from.Add(time.Duration(days) * 24 * time.Hour)
		return tx.SetTrialEnd(until)
	})
	return until, err
}

// ResetUsage forgives what a customer has used of a period, and says how many messages that were; what is reserved stays so. An undo gives none of it
// back again. Invalid for a period that has not begun, Conflict when nothing is counted or the period's ledger is in the archive.
func (s *Service) ResetUsage(ctx context.Context, o Operator, id sweep.ID, p sweep.Period, reason string) (forgiven int, err error) {
	data := map[string]any{"period": p.Start.Format("2006-01")}
	err = s.change(ctx, o, id, "reset-usage", "usage.reset", reason, data, func(tx *store.Tx, _ store.Customer) error {
		if forgiven, err = tx.ResetUsage(p); err == nil && forgiven == 0 {
			return sweep.Errorf(sweep.Conflict, "nothing is counted in %s", data["period"])
		}
		data["messages"] = forgiven
		return err
	})
	return forgiven, err
}

// Suspend shuts a customer out: what runs stops at its next batch's edge, nobody signs in or is let in, nothing is taken on. Nothing is deleted. It may be
// repeated when it was interrupted; Conflict when there is nothing left to do.
func (s *Service) Suspend(ctx context.Context, o Operator, id sweep.ID, reason string) error {
	c, err := s.Customer(ctx, id)
	if err != nil {
		return err
	}
	switch {
	case !c.DeletedAt.IsZero():
		return sweep.Errorf(sweep.Conflict, "this customer was deleted by its owner")
	case c.Suspended() && c.halted():
		return sweep.Errorf(sweep.Conflict, "this customer is suspended already")
	}
	if _, err := s.Halt(ctx, o, Stop{Scope: "customer", Value: sweep.CustomerID.Show(id)}, reason); err != nil || c.Suspended() {
		return err
	}
	return s.change(ctx, o, id, "suspend", "customer.suspended", reason, nil, func(tx *store.Tx, _ store.Customer) error { return tx.SetSuspended(tx.Now) })
}

// Reactivate ends a suspension and then what halts the customer; what waited goes on. It may be repeated when it was interrupted; Conflict when
// there is nothing left to do.
func (s *Service) Reactivate(ctx context.Context, o Operator, id sweep.ID, reason string) error {
	c, err := s.Customer(ctx, id)
	if err != nil {
		return err
	}
	if c.Suspended() {
		err = s.change(ctx, o, id, "reactivate", "customer.reactivated", reason, nil, func(tx *store.Tx, _ store.Customer) error { return tx.SetSuspended(time.Time{}) })
		if err != nil {
			return err
		}
	}
	_, err = s.LiftAll(ctx, o, Stop{Scope: "customer", Value: sweep.CustomerID.Show(id)}, reason)
	if c.Suspended() && sweep.CodeOf(err) == sweep.Conflict {
		return nil // the halt was lifted before
	}
	return err
}

// change notes an act, locks the customer, does it, and tells its audit log in the same transaction.
func (s *Service) change(ctx context.Context, o Operator, id sweep.ID, act, action, reason string, data map[string]any, do func(*store.Tx, store.Customer) error) error {
	if err := s.note(ctx, o, act, sweep.CustomerID.Show(id), reason); err != nil {
		return err
	}
	return s.DB.Tenant(ctx, id, func(tx *store.Tx) error {
		c, err := tx.LockCustomer()
		if err == nil {
			err = do(tx, c)
		}
		if err != nil {
			return err
		}
		told := map[string]any{"why": reason}
		maps.Copy(told, data)
		return tx.Audit(store.AuditEntry{Actor: o.actor(id), Action: action, Object: sweep.CustomerID.Show(id), Data: told})
	})
}
