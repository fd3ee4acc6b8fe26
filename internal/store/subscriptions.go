package store

import (
	"errors"
	"time"

	"gorm.io/gorm"

	"mailsweep/internal/sweep"
)

// Subscription is one subscription of a customer as it was seen at Stripe last. Cents are US cents each period.
type Subscription struct {
	ID          string // Stripe's
	Payment     sweep.Payment
	PriceID     string // Stripe's
	Tier        sweep.Tier
	Every       sweep.Every
	Cents       int64
	PeriodStart time.Time
	PeriodEnd   time.Time
	PastDueAt   time.Time // zero: nothing is open
	EndsAt      time.Time // canceled for that time; zero: goes on
	EndedAt     time.Time // zero: not over
	NextTier    sweep.Tier
	NextEvery   sweep.Every // what it becomes at PeriodEnd; "": what it is
	WaitsForPay bool        // a larger plan was asked for, and its invoice is not paid
	CreatedAt   time.Time
}

// Live says that it is not over.
func (s Subscription) Live() bool { return s.ID != "" && !s.Payment.Final() }

type subscriptionRow struct {
	StripeID, Status, PriceID, Tier, Every, NextTier, NextEvery string
	Cents                                                       int64
	PeriodStart, PeriodEnd, CreatedAt                           time.Time
	PastDueAt, EndsAt, EndedAt                                  *time.Time
	WaitsForPay                                                 bool
}

func (r subscriptionRow) subscription() Subscription {
	return Subscription{ID: r.StripeID, Payment: sweep.Payment(r.Status), PriceID: r.PriceID, Tier: sweep.Tier(r.Tier), Every: sweep.Every(r.Every), Cents: r.Cents,
		PeriodStart: r.PeriodStart.UTC(), PeriodEnd: r.PeriodEnd.UTC(), PastDueAt: instant(r.PastDueAt), EndsAt: instant(r.EndsAt), EndedAt: instant(r.EndedAt),
		NextTier: sweep.Tier(r.NextTier), NextEvery: sweep.Every(r.NextEvery), WaitsForPay: r.WaitsForPay, CreatedAt: r.CreatedAt.UTC()}
}

// Subscriptions lists the customer's, the live one first, then the newest.
func (tx *Tx) Subscriptions() (all []Subscription, err error) {
	var rows []subscriptionRow
	err = tx.Raw(`SELECT stripe_id, status, price_id, tier, every, cents, period_start, period_end, past_due_at, ends_at, ended_at, coalesce(next_tier, '') AS next_tier,
		coalesce(next_every, '') AS next_every, waits_for_pay, created_at FROM subscriptions WHERE customer_id = ?
		ORDER BY status IN ('canceled','incomplete_expired'), created_at DESC, stripe_id`, dbID(tx.Customer)).Scan(&rows).Error
	for _, r := range rows {
		all = append(all, r.subscription())
	}
	return all, doing(err, "list subscriptions")
}

// LiveSubscription is the one that is not over; there is at most one. The zero value has no ID.
func (tx *Tx) LiveSubscription() (Subscription, error) {
	all, err := tx.Subscriptions()
	if err != nil || len(all) == 0 || !all[0].Live() {
		return Subscription{}, err
	}
	return all[0], nil
}

// SaveSubscription writes what was seen. One that is over stays over. second is true when another one is live already: nothing is written then.
func (tx *Tx) SaveSubscription(s Subscription) (second bool, err error) {
	if err := tx.SavePoint("subscription").Error; err != nil {
		return false, doing(err, "save subscription")
	}
	err = tx.Exec(`INSERT INTO subscriptions AS s (customer_id, stripe_id, status, price_id, tier, every, cents, period_start, period_end, past_due_at, ends_at, ended_at, next_tier, next_every,
		  waits_for_pay, created_at, updated_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, nullif(?, ''), nullif(?, ''), ?, ?, ?)
		ON CONFLICT (customer_id, stripe_id) DO UPDATE SET status = excluded.status, price_id = excluded.price_id, tier = excluded.tier, every = excluded.every, cents = excluded.cents,
		  period_start = excluded.period_start, period_end = excluded.period_end, past_due_at = excluded.past_due_at, ends_at = excluded.ends_at, ended_at = excluded.ended_at,
		  next_tier = excluded.next_tier, next_every = excluded.next_every, waits_for_pay = excluded.waits_for_pay, updated_at = excluded.updated_at
		WHERE s.status NOT IN ('canceled','incomplete_expired')`,
		dbID(tx.Customer), s.ID, string(s.Payment), s.PriceID, string(s.Tier), string(s.Every), s.Cents, s.PeriodStart, s.PeriodEnd, orNull(s.PastDueAt), orNull(s.EndsAt), orNull(s.EndedAt),
		string(s.NextTier), string(s.NextEvery), s.WaitsForPay, s.CreatedAt, tx.Now).Error
	if errors.Is(err, gorm.ErrDuplicatedKey) {
		return true, doing(tx.RollbackTo("subscription").Error, "save subscription")
	}
	return false, doing(err, "save subscription")
}
