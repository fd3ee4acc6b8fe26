// Package ops is what operators see and do across customers: jobs, halts, reruns, bulk undo, and why a message was changed. Every act
// carries the operator's name into the operators' log and, where it concerns one customer, into that customer's audit log.
package ops

import (
	"context"
	"strings"
	"time"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// Service is the operators' side. It holds two logins: one sees states of all customers and no mail data, the other one customer at a time.
type Service struct {
	All    *store.DB // role ops
	DB     *store.DB // role app
	Plans  sweep.Plans
	Cancel func(ctx context.Context, a sweep.Actor, job sweep.ID) error // as the customer's own
	Undo   func(ctx context.Context, a sweep.Actor, run sweep.ID) error // as the customer's own
	Tell   func(tx *store.Tx, message sweep.MessageID) ([]sweep.Why, error)
	Invite func(address string, until time.Time) (link string, err error)
	Order  func(job sweep.ID) // workers ask for their orders at once; the zero id: all of them; never awaited
	Hint   func()             // the dispatcher looks; never awaited
}

// Operator is who acts, by the name that the operations listener or the shell knows them under.
type Operator struct {
	Name      string
	RequestID string
}

// actor is the operator in a customer's audit log.
func (o Operator) actor(customer sweep.ID) sweep.Actor {
	return sweep.Actor{Kind: sweep.ByOps, Name: o.Name, Customer: customer, RequestID: o.RequestID}
}

// named refuses who has no name, or one that could be taken for something else in a log.
func (o Operator) named() error {
	if o.Name == "" || len(o.Name) > 64 || strings.ContainsFunc(o.Name, func(r rune) bool { return r <= ' ' || r == '|' || r == 0x7f }) {
		return sweep.Errorf(sweep.Forbidden, "acting needs an operator's name")
	}
	return nil
}

// may refuses an act without a name or a reason.
func (o Operator) may(reason string) error {
	if err := o.named(); err != nil {
		return err
	}
	if strings.TrimSpace(reason) == "" {
		return sweep.Errorf(sweep.Invalid, "say why: the reason is kept in the log").At("reason", "is needed")
	}
	return nil
}

// note writes an act into the operators' log before it is done: it says what was asked for.
func (s *Service) note(ctx context.Context, o Operator, act, object, reason string) error {
	if err := o.may(reason); err != nil {
		return err
	}
	return s.All.NoteOps(ctx, store.OpsEntry{Operator: o.Name, Act: act, Object: object, Reason: reason})
}

// Log lists what operators asked for, newest first, before an entry; a before of 0 begins at the newest.
func (s *Service) Log(ctx context.Context, before int64, n int) ([]store.OpsEntry, error) {
	return s.All.OpsLog(ctx, before, n)
}
