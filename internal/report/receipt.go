package report

import (
	"context"
	"io"
	"slices"
	"time"

	"mailsweep/internal/sheet"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// Run gives one run as the history has it; NotFound when the job has changed nothing yet, or is no execute.
func (s *Service) Run(ctx context.Context, customer, job sweep.ID) (run sweep.Run, err error) {
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		run, err = tx.RunShown(job)
		return err
	})
	return run, err
}

// Receipt writes what a run did as CSV: a name and a value a line.
func Receipt(w io.Writer, run sweep.Run) error {
	rows := [][2]any{{"what", "value"}, {"job", run.JobID}, {"cleanup plan", run.CleanupPlanID}, {"mailbox", run.MailboxID}, {"action", string(run.Action)}, {"state", string(run.State)},
		{"begun by", run.Who}, {"why", run.Why}, {"started", run.StartedAt}, {"finished", orNone(run.FinishedAt)}, {"planned", run.Planned}, {"changed", run.Cleaned}, {"already gone", run.AlreadyGone}}
	for _, reason := range sorted(run.Skipped) {
		rows = append(rows, [2]any{"left alone: " + string(reason), run.Skipped[reason]})
	}
	rows = append(rows, [2]any{"bytes", run.Bytes}, [2]any{"undo until", orNone(run.UndoUntil)}, [2]any{"undone by", run.UndoneBy})
	if run.Undo != nil {
		rows = append(rows, [2]any{"restored", run.Undo.Restored}, [2]any{"changed since", run.Undo.ChangedSince}, [2]any{"gone at the undo", run.Undo.AlreadyGone})
	}
	out := sheet.NewWriter(w)
	for _, row := range rows {
		if err := out.Write(row[0], row[1]); err != nil {
			return err
		}
	}
	return out.Flush()
}

func sorted(m map[sweep.Reason]int) (reasons []sweep.Reason) {
	for r := range m {
		reasons = append(reasons, r)
	}
	slices.Sort(reasons)
	return reasons
}

// orNone is a time, or an empty cell.
func orNone(t *time.Time) any {
	if t == nil {
		return nil
	}
	return *t
}
