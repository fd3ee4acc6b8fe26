package store

import (
	"encoding/json"
	"fmt"
	"time"

	"mailsweep/internal/sweep"
)

type historyRow struct {
	JobID, PlanID, MailboxID, UndoneBy, UndoUnderWay dbID
	Action, State, Actor, Why                        string
	Planned, Cleaned, AlreadyGone                    int
	Skipped, Undo                                    []byte
	Bytes                                            int64
	StartedAt                                        time.Time
	FinishedAt, UndoUntil                            *time.Time
}

const selectRuns = `SELECT job_id, plan_id, mailbox_id, undone_by, action, state, actor, why, planned, cleaned, already_gone, skipped, undo, bytes, started_at, finished_at, undo_until,
	(SELECT u.job_id FROM open_jobs u WHERE u.customer_id = r.customer_id AND u.undo_of = r.job_id LIMIT 1) AS undo_under_way FROM cleanup_runs r `

// History lists the runs before a job, newest first; a zero before begins at the newest.
func (tx *Tx) History(before sweep.ID, limit int) ([]sweep.Run, error) {
	var rows []historyRow
	err := tx.Raw(selectRuns+"WHERE customer_id = ? AND job_id < ? ORDER BY job_id DESC LIMIT ?", dbID(tx.Customer), pageBefore(before), limit).Scan(&rows).Error
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", err)
	}
	runs := make([]sweep.Run, len(rows))
	for i, r := range rows {
		if runs[i], err = r.run(); err != nil {
			return nil, err
		}
	}
	return runs, nil
}

// RunShown gives one run as the history has it; NotFound when the job has changed nothing, or is no execute.
func (tx *Tx) RunShown(job sweep.ID) (sweep.Run, error) {
	var row historyRow
	found := tx.Raw(selectRuns+"WHERE customer_id = ? AND job_id = ?", dbID(tx.Customer), dbID(job)).Scan(&row)
	if found.Error != nil {
		return sweep.Run{}, fmt.Errorf("read run: %w", found.Error)
	}
	if found.RowsAffected == 0 {
		return sweep.Run{}, sweep.Errorf(sweep.NotFound, "there is no such run")
	}
	return row.run()
}

func (r historyRow) run() (sweep.Run, error) {
	run := sweep.Run{
		JobID: sweep.JobID.Show(sweep.ID(r.JobID)), CleanupPlanID: sweep.PlanID.Show(sweep.ID(r.PlanID)), MailboxID: sweep.MailboxID.Show(sweep.ID(r.MailboxID)),
		Action: sweep.Action(r.Action), State: sweep.JobState(r.State).Shown(), Planned: r.Planned, Cleaned: r.Cleaned, AlreadyGone: r.AlreadyGone,
		Bytes: r.Bytes, Who: r.Actor, Why: r.Why, StartedAt: r.StartedAt.UTC(), FinishedAt: utc(r.FinishedAt), UndoUntil: utc(r.UndoUntil),
	}
	if id := sweep.ID(r.UndoneBy); !id.IsZero() {
		run.UndoneBy = sweep.JobID.Show(id)
	}
	if id := sweep.ID(r.UndoUnderWay); !id.IsZero() {
		run.UndoUnderWay = sweep.JobID.Show(id)
	}
	if err := json.Unmarshal(r.Skipped, &run.Skipped); err != nil {
		return run, fmt.Errorf("decode skipped of %s: %w", run.JobID, err)
	}
	if len(r.Undo) == 0 {
		return run, nil
	}
	if err := json.Unmarshal(r.Undo, &run.Undo); err != nil {
		return run, fmt.Errorf("decode undo of %s: %w", run.JobID, err)
	}
	return run, nil
}

// HistoryTotals is what all runs of the customer add up to, as counted when each ended or was undone.
func (tx *Tx) HistoryTotals() (sweep.HistoryTotals, error) {
	var t sweep.HistoryTotals
	err := tx.Raw("SELECT runs, cleaned, restored, bytes FROM run_totals WHERE customer_id = ?", dbID(tx.Customer)).Scan(&t).Error
	if err != nil {
		return t, fmt.Errorf("read totals of runs: %w", err)
	}
	return t, nil
}
