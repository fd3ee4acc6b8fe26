package store

import (
	"fmt"
	"time"

	"mailsweep/internal/sweep"
)

// PlanRow is a cleanup plan: immutable but for who consumed it. Head, IDs and Kept are sealed.
type PlanRow struct {
	ID, Mailbox sweep.ID
	Account     []byte
	Generation  int
	Action      sweep.Action
	Head        []byte // what was asked and what the preview said
	IDs         []byte // the frozen set, oldest first
	Kept        []byte // what was kept back, by reason
	Messages    int
	Bytes       int64
	HistoryID   uint64
	MadeBy      sweep.ID
	MadeAt      time.Time
	ExpiresAt   time.Time
	ConsumedBy  sweep.ID
}

// InsertPlan freezes a plan.
func (tx *Tx) InsertPlan(p PlanRow) error {
	err := tx.Exec(`INSERT INTO cleanup_plans (customer_id, id, mailbox_id, account, generation, action, head, ids, kept, messages, bytes, history_id, made_by, made_at, expires_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?::text::numeric, ?, ?, ?)`,
		dbID(tx.Customer), dbID(p.ID), dbID(p.Mailbox), p.Account, p.Generation, string(p.Action), p.Head, p.IDs, p.Kept, p.Messages, p.Bytes,
		fmt.Sprint(p.HistoryID), dbID(p.MadeBy), p.MadeAt, p.ExpiresAt).Error
	if err != nil {
		return fmt.Errorf("insert cleanup plan: %w", err)
	}
	return nil
}

// Plan reads a plan; NotFound if the customer has none of this id.
func (tx *Tx) Plan(id sweep.ID) (PlanRow, error) {
	var rows []struct {
		ID, MailboxID      dbID
		Account            []byte
		Generation         int
		Action             string
		HeadB              []byte
		IdsB               []byte
		KeptB              []byte
		Messages           int
		Bytes              int64
		History            string
		MadeBy, ConsumedBy dbID
		MadeAt, ExpiresAt  time.Time
	}
	err := tx.Raw(`SELECT id, mailbox_id, account, generation, action, head AS head_b, ids AS ids_b, kept AS kept_b, messages, bytes, history_id::text AS history,
		made_by, made_at, expires_at, consumed_by FROM cleanup_plans WHERE customer_id = ? AND id = ?`, dbID(tx.Customer), dbID(id)).Scan(&rows).Error
	if err != nil {
		return PlanRow{}, fmt.Errorf("read cleanup plan: %w", err)
	}
	if len(rows) == 0 {
		return PlanRow{}, sweep.Errorf(sweep.NotFound, "there is no such cleanup plan")
	}
	r := rows[0]
	p := PlanRow{ID: sweep.ID(r.ID), Mailbox: sweep.ID(r.MailboxID), Account: r.Account, Generation: r.Generation, Action: sweep.Action(r.Action),
		Head: r.HeadB, IDs: r.IdsB, Kept: r.KeptB, Messages: r.Messages, Bytes: r.Bytes, MadeBy: sweep.ID(r.MadeBy), MadeAt: r.MadeAt.UTC(),
		ExpiresAt: r.ExpiresAt.UTC(), ConsumedBy: sweep.ID(r.ConsumedBy)}
	_, err = fmt.Sscan(r.History, &p.HistoryID)
	return p, err
}

// Unconsume makes a plan usable again: its run ended before any change.
func (tx *Tx) Unconsume(plan, job sweep.ID) error {
	err := tx.Exec("UPDATE cleanup_plans SET consumed_by = NULL, consumed_at = NULL WHERE customer_id = ? AND id = ? AND consumed_by = ?",
		dbID(tx.Customer), dbID(plan), dbID(job)).Error
	if err != nil {
		return fmt.Errorf("free cleanup plan: %w", err)
	}
	return nil
}

// AttachPlan gives an execute that planned for itself its cleanup plan.
func (tx *Tx) AttachPlan(job, plan sweep.ID) error {
	if err := tx.Exec("UPDATE jobs SET plan_id = ? WHERE customer_id = ? AND id = ?", dbID(plan), dbID(tx.Customer), dbID(job)).Error; err != nil {
		return fmt.Errorf("attach plan: %w", err)
	}
	return nil
}

// PlanIDs lists the customer's newest n plans.
func (tx *Tx) PlanIDs(n int) (list []sweep.ID, err error) {
	var ids []dbID
	if err := tx.Raw("SELECT id FROM cleanup_plans WHERE customer_id = ? ORDER BY id DESC LIMIT ?", dbID(tx.Customer), n).Scan(&ids).Error; err != nil {
		return nil, fmt.Errorf("list cleanup plans: %w", err)
	}
	for _, id := range ids {
		list = append(list, sweep.ID(id))
	}
	return list, nil
}

// Builds lists the builds of the workers that claimed a job.
func (tx *Tx) Builds(job sweep.ID) ([]string, error) {
	var row struct{ Builds string }
	err := tx.Raw("SELECT array_to_string(builds, E'\n') AS builds FROM jobs WHERE customer_id = ? AND id = ?", dbID(tx.Customer), dbID(job)).Scan(&row).Error
	if err != nil {
		return nil, fmt.Errorf("read builds: %w", err)
	}
	return lines(row.Builds), nil
}
