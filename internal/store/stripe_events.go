package store

import (
	"context"
	"time"
)

// StripeEvent is what Stripe told us. One that waits is the order to look at Stripe.
type StripeEvent struct {
	ID, Kind, Version string
	Customer, Object  string // Stripe's ids; "" where the event has none
	ToldAt            time.Time
	State             string
	Reason            string
	Attempts          int    // of dealing with it, this one counted
	Raw               string // the body of what was odd, without addresses; "": it is not kept
}

// The states of an event.
const (
	EventWaiting     = "waiting"
	EventDone        = "done"
	EventIgnored     = "ignored"     // of a kind that concerns us not
	EventQuarantined = "quarantined" // it wants a person
)

// KeepStripeEvent writes an event down; first is false when it was before: then nothing changes.
func (db *DB) KeepStripeEvent(ctx context.Context, e StripeEvent) (first bool, err error) {
	err = db.System(ctx, func(tx *Tx) error {
		done := tx.Exec(`INSERT INTO stripe_events (id, kind, version, stripe_customer, object, told_at, received_at, state, reason, raw) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, '')) ON CONFLICT (id) DO NOTHING`,
			e.ID, e.Kind, e.Version, e.Customer, e.Object, e.ToldAt, tx.Now, e.State, e.Reason, e.Raw)
		first = done.RowsAffected == 1
		return done.Error
	})
	return first && err == nil, doing(err, "keep event of Stripe's")
}

// TakeStripeEvents hands out at most n events that wait and are due. Each is handed out again after lease, unless it is settled before.
func (db *DB) TakeStripeEvents(ctx context.Context, n int, lease time.Duration) (events []StripeEvent, err error) {
	type row struct {
		ID, Kind, Version, StripeCustomer, Object, Reason string
		ToldAt                                            time.Time
		Attempts                                          int
	}
	var rows []row
	err = db.System(ctx, func(tx *Tx) error {
		return tx.Raw(`WITH c AS MATERIALIZED (SELECT id FROM stripe_events WHERE state = 'waiting' AND run_at <= clock_timestamp() ORDER BY run_at LIMIT ? FOR UPDATE SKIP LOCKED)
			UPDATE stripe_events e SET attempts = e.attempts + 1, run_at = clock_timestamp() + make_interval(secs => ?) FROM c WHERE e.id = c.id
			RETURNING e.id, e.kind, e.version, e.stripe_customer, e.object, e.reason, e.told_at, e.attempts`, n, lease.Seconds()).Scan(&rows).Error
	})
	for _, r := range rows {
		events = append(events, StripeEvent{ID: r.ID, Kind: r.Kind, Version: r.Version, Customer: r.StripeCustomer, Object: r.Object, Reason: r.Reason, ToldAt: r.ToldAt.UTC(),
			State: EventWaiting, Attempts: r.Attempts})
	}
	return events, doing(err, "take events of Stripe's")
}

// SettleStripeEvent ends an event that waits: done, or quarantined with the reason.
func (db *DB) SettleStripeEvent(ctx context.Context, id, state, reason string) error {
	return db.System(ctx, func(tx *Tx) error {
		_, err := tx.SettleStripeEvent(id, state, reason)
		return err
	})
}

// SettleStripeEvent does so together with what the event leads to; first is false when it was settled before: then that is done.
func (tx *Tx) SettleStripeEvent(id, state, reason string) (first bool, err error) {
	done := tx.Exec("UPDATE stripe_events SET state = ?, reason = ? WHERE id = ? AND state = 'waiting'", state, reason, id)
	return done.RowsAffected == 1, doing(done.Error, "settle event of Stripe's")
}

// PutOffStripeEvent lets an event wait longer.
func (db *DB) PutOffStripeEvent(ctx context.Context, id string, by time.Duration) error {
	return doing(db.System(ctx, func(tx *Tx) error {
		return tx.Exec("UPDATE stripe_events SET run_at = clock_timestamp() + make_interval(secs => ?) WHERE id = ? AND state = 'waiting'", by.Seconds(), id).Error
	}), "put off event of Stripe's")
}

// ForgetStripeEvents empties bodies and removes events that nobody needs any more: Stripe repeats none after 30 days. For the scheduler.
func (db *DB) ForgetStripeEvents(ctx context.Context) error {
	return doing(db.System(ctx, func(tx *Tx) error {
		if err := tx.Exec("UPDATE stripe_events SET raw = NULL WHERE reason <> '' AND received_at < ?", tx.Now.AddDate(0, 0, -30)).Error; err != nil {
			return err
		}
		return tx.Exec("DELETE FROM stripe_events WHERE state <> 'waiting' AND received_at < ?", tx.Now.AddDate(0, 0, -90)).Error
	}), "forget events of Stripe's")
}
