package ops

import (
	"context"
	"slices"
	"strings"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// Stop is what a halt or a pause is about.
type Stop struct {
	Scope string // all, kind, customer or build
	Value string // the kind, the customer as cus_… or the build; empty for all
	Pause bool   // take jobs and start none, in place of refusing them and stopping what runs
}

// stored checks a stop and gives it as the database compares it: a customer by the UUID's text.
func (st Stop) stored() (Stop, error) {
	st.Value = strings.TrimSpace(st.Value)
	bad := func(what string) (Stop, error) {
		return st, sweep.Errorf(sweep.Invalid, "%s", what).At("value", what)
	}
	switch st.Scope {
	case "all":
		if st.Value != "" {
			return bad("everything has no value")
		}
	case "kind":
		if !slices.Contains(sweep.Kinds(), sweep.JobKind(st.Value)) {
			return bad("a kind is analyze, dry_run, execute or undo")
		}
	case "customer":
		id, err := sweep.CustomerID.Parse(st.Value)
		if err != nil {
			return bad("a customer is named as cus_ and 32 hex digits")
		}
		st.Value = id.String()
	case "build":
		if st.Value == "" || len(st.Value) > 200 {
			return bad("the build is missing")
		}
		if st.Pause {
			return bad("a build can be halted, not paused: nothing is asked for by build")
		}
	default:
		return bad("what is stopped is all, a kind, a customer or a build")
	}
	return st, nil
}

// Halt puts a halt or pause in force. A halt reaches running work at its next batch's edge: all heartbeats ask for their orders at once, and
// by themselves within a second or so. Halting the same again changes nothing.
func (s *Service) Halt(ctx context.Context, o Operator, st Stop, reason string) (sweep.ID, error) {
	if err := o.may(reason); err != nil {
		return sweep.ID{}, err
	}
	st, err := st.stored()
	if err != nil {
		return sweep.ID{}, err
	}
	id, err := s.All.Halt(ctx, store.Halt{Scope: st.Scope, Value: st.Value, Pause: st.Pause, Reason: reason, By: o.Name})
	if err != nil {
		return id, err
	}
	s.Order(sweep.ID{})
	return id, s.tell(ctx, o, st.Scope, st.Value, word(st.Pause), reason)
}

func word(pause bool) string {
	if pause {
		return "customer.paused"
	}
	return "customer.halted"
}

// tell writes what stops one customer into that customer's audit log too. The halt stands before it: it must not wait for a lock.
func (s *Service) tell(ctx context.Context, o Operator, scope, value, action, reason string) error {
	if scope != "customer" {
		return nil
	}
	customer, err := sweep.ParseUUID(value)
	if err != nil {
		return err
	}
	return s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		return tx.Audit(store.AuditEntry{Actor: o.actor(customer), Action: action, Object: sweep.CustomerID.Show(customer), Data: map[string]any{"why": reason}})
	})
}

// Lift ends a halt or pause; what waited goes on within seconds. Conflict if it is not in force.
func (s *Service) Lift(ctx context.Context, o Operator, id sweep.ID, reason string) error {
	n, err := s.lift(ctx, o, reason, func(h store.Halt) bool { return h.ID == id })
	if err == nil && n == 0 {
		err = sweep.Errorf(sweep.Conflict, "this halt is not in force any more")
	}
	return err
}

// LiftAll ends what is in force for just this stop and says how many; Conflict if nothing is.
func (s *Service) LiftAll(ctx context.Context, o Operator, st Stop, reason string) (n int, err error) {
	if st, err = st.stored(); err != nil {
		return 0, err
	}
	n, err = s.lift(ctx, o, reason, func(h store.Halt) bool { return h.Scope == st.Scope && h.Value == st.Value && h.Pause == st.Pause })
	if err == nil && n == 0 {
		err = sweep.Errorf(sweep.Conflict, "nothing like that is in force")
	}
	return n, err
}

// lift ends those in force that are meant, and says how many.
func (s *Service) lift(ctx context.Context, o Operator, reason string, meant func(store.Halt) bool) (n int, err error) {
	if err := o.may(reason); err != nil {
		return 0, err
	}
	halts, err := s.All.Halts(ctx, 0)
	if err != nil {
		return 0, err
	}
	for _, h := range halts {
		if !meant(h) {
			continue
		}
		if err := s.All.Lift(ctx, h.ID, reason, o.Name); err != nil {
			return n, err
		}
		n++
		s.Hint()
		if err := s.tell(ctx, o, h.Scope, h.Value, "customer.released", reason); err != nil {
			return n, err
		}
	}
	return n, nil
}

// Halts lists what is in force and what was lifted last.
func (s *Service) Halts(ctx context.Context) ([]store.Halt, error) {
	return s.All.Halts(ctx, haltsLifted)
}
