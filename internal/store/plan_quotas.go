package store

import (
	"context"
	"fmt"

	"mailsweep/internal/sweep"
)

// Plans is the plan table: the limits and prices stored in the database, the rest as in sweep.DefaultPlans.
func (db *DB) Plans(ctx context.Context) (sweep.Plans, error) {
	var rows []struct {
		Tier                                                     string
		PriceCents, Emails, Mailboxes, People, RequestsPerMinute int
	}
	err := db.System(ctx, func(tx *Tx) error {
		return tx.Raw("SELECT tier, price_cents, emails, mailboxes, people, requests_per_minute FROM plan_quotas").Scan(&rows).Error
	})
	if err != nil {
		return nil, fmt.Errorf("read plan table: %w", err)
	}
	plans := sweep.DefaultPlans()
	for _, r := range rows {
		p := plans[sweep.Tier(r.Tier)]
		p.Tier, p.PriceCents, p.Emails, p.Mailboxes = sweep.Tier(r.Tier), r.PriceCents, r.Emails, r.Mailboxes
		p.People, p.RequestsPerMinute = r.People, r.RequestsPerMinute
		plans[p.Tier] = p
	}
	return plans, nil
}
