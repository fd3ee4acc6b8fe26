package store

import (
	"encoding/json"
	"fmt"
	"time"

	"mailsweep/internal/sweep"
)

// RunRow is one execute with what its undo needs.
type RunRow struct {
	Job, Plan, Mailbox     sweep.ID
	Action                 sweep.Action
	State                  sweep.JobState
	Planned, Cleaned       int
	Skipped                map[sweep.Reason]int
	AlreadyGone            int
	Bytes                  int64
	HistoryFrom, HistoryTo uint64
	Confirmed              int
	LabelID                string
	LabelMade              bool
	Remainder              sweep.ID
	Actor, Why             string
	UndoUntil              time.Time
	UndoneBy               sweep.ID
}

// StartRun writes the run's first row; a later claim of the same job finds it there and leaves it.
func (tx *Tx) StartRun(r RunRow) error {
	err := tx.Exec(`INSERT INTO cleanup_runs (customer_id, job_id, plan_id, mailbox_id, action, state, planned, history_from, label_id, label_made, actor, why, started_at, undo_until)
		VALUES (?, ?, ?, ?, ?, 'running', ?, ?::text::numeric, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		dbID(tx.Customer), dbID(r.Job), dbID(r.Plan), dbID(r.Mailbox), string(r.Action), r.Planned, fmt.Sprint(r.HistoryFrom), r.LabelID, r.LabelMade,
		r.Actor, r.Why, tx.Now, r.UndoUntil).Error
	if err != nil {
		return fmt.Errorf("start run: %w", err)
	}
	return nil
}

// Run reads a run; NotFound if the job is no execute that began.
func (tx *Tx) Run(job sweep.ID) (RunRow, error) {
	var rows []struct {
		JobID, PlanID, MailboxID, RemainderID, UndoneBy dbID
		Action, State, LabelID, Actor, Why              string
		Planned, Cleaned, AlreadyGone, Confirmed        int
		Skipped                                         []byte
		Bytes                                           int64
		HFrom, HTo                                      string
		LabelMade                                       bool
		UndoUntil                                       *time.Time
	}
	err := tx.Raw(`SELECT job_id, plan_id, mailbox_id, remainder_id, undone_by, action, state, label_id, actor, why, planned, cleaned, already_gone, confirmed, skipped, bytes,
		coalesce(history_from, 0)::text AS h_from, coalesce(history_to, 0)::text AS h_to, label_made, undo_until
		FROM cleanup_runs WHERE customer_id = ? AND job_id = ?`, dbID(tx.Customer), dbID(job)).Scan(&rows).Error
	if err != nil {
		return RunRow{}, fmt.Errorf("read run: %w", err)
	}
	if len(rows) == 0 {
		return RunRow{}, sweep.Errorf(sweep.NotFound, "there is no such run")
	}
	r := rows[0]
	run := RunRow{Job: sweep.ID(r.JobID), Plan: sweep.ID(r.PlanID), Mailbox: sweep.ID(r.MailboxID), Action: sweep.Action(r.Action), State: sweep.JobState(r.State),
		Planned: r.Planned, Cleaned: r.Cleaned, AlreadyGone: r.AlreadyGone, Bytes: r.Bytes, Confirmed: r.Confirmed, LabelID: r.LabelID, LabelMade: r.LabelMade,
		Remainder: sweep.ID(r.RemainderID), Actor: r.Actor, Why: r.Why, UndoneBy: sweep.ID(r.UndoneBy)}
	if r.UndoUntil != nil {
		run.UndoUntil = r.UndoUntil.UTC()
	}
	_, err = fmt.Sscan(r.HFrom+" "+r.HTo, &run.HistoryFrom, &run.HistoryTo)
	if err == nil {
		err = json.Unmarshal(r.Skipped, &run.Skipped)
	}
	return run, err
}

// EndRun writes what a run did.
func (tx *Tx) EndRun(r RunRow) error {
	skipped, err := json.Marshal(r.Skipped)
	if err != nil {
		return fmt.Errorf("encode skipped: %w", err)
	}
	err = tx.Exec(`UPDATE cleanup_runs SET state = ?, cleaned = ?, skipped = ?, already_gone = ?, bytes = ?, history_to = ?::text::numeric, confirmed = ?, remainder_id = ?,
		finished_at = ?, undo_until = ? WHERE customer_id = ? AND job_id = ?`,
		string(r.State), r.Cleaned, string(skipped), r.AlreadyGone, r.Bytes, fmt.Sprint(r.HistoryTo), r.Confirmed, dbID(r.Remainder), tx.Now, r.UndoUntil,
		dbID(tx.Customer), dbID(r.Job)).Error
	if err != nil {
		return fmt.Errorf("end run: %w", err)
	}
	return nil
}

// Undone notes on a run what its undo restored.
func (tx *Tx) Undone(run, by sweep.ID, r sweep.UndoResult) error {
	data, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode undo: %w", err)
	}
	err = tx.Exec("UPDATE cleanup_runs SET undone_by = ?, undo = ? WHERE customer_id = ? AND job_id = ?", dbID(by), string(data), dbID(tx.Customer), dbID(run)).Error
	if err != nil {
		return fmt.Errorf("note undo: %w", err)
	}
	return nil
}

// OverlapsNewer says whether a newer run on the same mailbox that is neither undone nor being undone began after run: runs are undone newest
// first, and undos of one mailbox go in the order in which they were asked for.
func (tx *Tx) OverlapsNewer(run, mailbox sweep.ID) (sweep.ID, error) {
	var ids []dbID
	err := tx.Raw(`SELECT job_id FROM cleanup_runs r WHERE customer_id = ? AND mailbox_id = ? AND job_id > ? AND undone_by IS NULL AND cleaned > 0
		AND NOT EXISTS (SELECT FROM jobs u WHERE u.customer_id = r.customer_id AND u.undo_of = r.job_id AND u.state NOT IN ('succeeded','failed','canceled'))
		ORDER BY job_id DESC LIMIT 1`,
		dbID(tx.Customer), dbID(mailbox), dbID(run)).Scan(&ids).Error
	if err != nil || len(ids) == 0 {
		return sweep.ID{}, err
	}
	return sweep.ID(ids[0]), nil
}
