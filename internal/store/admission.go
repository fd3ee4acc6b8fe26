package store

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"mailsweep/internal/sweep"
)

// Admission is what admitting a customer's jobs depends on, as it stood at Now. It may be kept for a while: Submit compares it with
// what stands then, and admits nothing on facts that have changed.
type Admission struct {
	Standing
	Now       time.Time
	mailboxes []Target // connected, the oldest first
	print     string   // of the mailboxes
}

// Admission reads it in one round trip. NotFound: there is no such customer.
func (db *DB) Admission(ctx context.Context, customer sweep.ID) (a Admission, err error) {
	found := false
	err = db.batch(ctx, customer, func(b *pgx.Batch) {
		a, found = Admission{}, false
		b.Queue("SELECT now(), c.data_key, "+standingColumns+" FROM customers c WHERE c.id = $1", dbID(customer)).QueryRow(func(row pgx.Row) error {
			var r standingRow
			err := row.Scan(append([]any{&a.Now, &a.DataKey}, r.fields()...)...)
			a.Customer, found = r.customer(customer), err == nil
			return ignoreNoRows(err)
		})
		b.Queue("SELECT id, account, state FROM mailboxes WHERE customer_id = $1 AND state <> 'disconnected' ORDER BY connected_at, id", dbID(customer)).
			Query(a.scanMailboxes)
	})
	if err != nil {
		return a, fmt.Errorf("read customer: %w", err)
	}
	if !found {
		return a, noCustomer()
	}
	a.Now = a.Now.UTC().Add(db.offset)
	return a, nil
}

func (a *Admission) scanMailboxes(rows pgx.Rows) error {
	for rows.Next() {
		var id dbID
		t := Target{Oldest: len(a.mailboxes)}
		if err := rows.Scan(&id, &t.Account, &t.State); err != nil {
			return err
		}
		t.Mailbox = sweep.ID(id)
		if a.print != "" {
			a.print += ","
		}
		a.print += t.Mailbox.String() + t.State
		a.mailboxes = append(a.mailboxes, t)
	}
	return rows.Err()
}

// Target is a connected mailbox, with a zero id the only one, without its analysis. NotFound: none; Invalid: several and none named.
func (a *Admission) Target(mailbox sweep.ID) (Target, error) {
	if mailbox.IsZero() && len(a.mailboxes) > 1 {
		return Target{}, severalMailboxes()
	}
	for _, t := range a.mailboxes {
		if mailbox.IsZero() || t.Mailbox == mailbox {
			return t, nil
		}
	}
	return Target{}, noMailbox()
}

func noMailbox() error { return sweep.Errorf(sweep.NotFound, "there is no such mailbox") }

func severalMailboxes() error {
	return sweep.Errorf(sweep.Invalid, "several mailboxes are connected: say which").At("body.mailbox_id", "is needed when several mailboxes are connected")
}

// PlanToExecute is a cleanup plan without its content.
type PlanToExecute struct {
	Mailbox    sweep.ID
	Messages   int
	ExpiresAt  time.Time
	ConsumedBy sweep.ID
}

// PlanToExecute reads one in one round trip; NotFound if the customer has none of this id.
func (db *DB) PlanToExecute(ctx context.Context, customer, plan sweep.ID) (p PlanToExecute, err error) {
	found := false
	err = db.batch(ctx, customer, func(b *pgx.Batch) {
		b.Queue("SELECT mailbox_id, messages, expires_at, consumed_by FROM cleanup_plans WHERE customer_id = $1 AND id = $2", dbID(customer), dbID(plan)).
			Query(func(rows pgx.Rows) error {
				var mailbox, by dbID
				if found = rows.Next(); found {
					if err := rows.Scan(&mailbox, &p.Messages, &p.ExpiresAt, &by); err != nil {
						return err
					}
				}
				p.Mailbox, p.ConsumedBy, p.ExpiresAt = sweep.ID(mailbox), sweep.ID(by), p.ExpiresAt.UTC()
				return rows.Err()
			})
	})
	if err != nil {
		return p, fmt.Errorf("read cleanup plan: %w", err)
	}
	if !found {
		return p, sweep.Errorf(sweep.NotFound, "there is no such cleanup plan")
	}
	return p, nil
}
