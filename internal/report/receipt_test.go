package report_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/report"
	"mailsweep/internal/sweep"
)

func TestAReceiptTellsARun(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	var b bytes.Buffer
	require.NoError(t, report.Receipt(&b, sweep.Run{JobID: "job_1", Action: sweep.Trash, State: sweep.Succeeded, Planned: 12, Cleaned: 9, AlreadyGone: 1, Skipped: map[sweep.Reason]int{sweep.ProtectedSince: 1, sweep.NoChange: 1},
		Bytes: 4000, Who: "=cmd()", StartedAt: at, UndoUntil: &at, UndoneBy: "job_2", Undo: &sweep.UndoResult{Restored: 8, ChangedSince: 1}}))
	text := b.String()
	require.Contains(t, text, "\"planned\",\"12\"\r\n\"changed\",\"9\"\r\n\"already gone\",\"1\"\r\n\"left alone: no_change\",\"1\"\r\n\"left alone: protected_since\",\"1\"\r\n\"bytes\",\"4000\"\r\n\"undo until\",\"2026-03-01T12:00:00Z\"")
	require.Contains(t, text, `"begun by","'=cmd()"`, "what a spreadsheet would compute is text")
	require.Contains(t, text, `"finished",""`)
	require.Contains(t, text, "\"restored\",\"8\"\r\n\"changed since\",\"1\"")
}

// A run is read by its job, with the undo that is under way; what ran for others is not there.
func TestARunTellsTheUndoThatIsUnderWay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	mine, other := r.customer(t, 0), r.customer(t, 0)
	mailbox, plan := r.mailbox(t, mine)
	shown := r.run(t, mine, mailbox, plan, 5, false)
	job, err := sweep.JobID.Parse(shown)
	require.NoError(t, err)
	run, err := r.Run(t.Context(), mine, job)
	require.NoError(t, err)
	require.Equal(t, []any{shown, 5, ""}, []any{run.JobID, run.Cleaned, run.UndoUnderWay})
	undo := newID(t)
	r.exec(t, "INSERT INTO open_jobs (customer_id, job_id, mailbox_id, kind, undo_of) VALUES ($1, $2, $3, 'undo', $4)", mine[:], undo[:], mailbox[:], job[:])
	run, err = r.Run(t.Context(), mine, job)
	require.NoError(t, err)
	require.Equal(t, sweep.JobID.Show(undo), run.UndoUnderWay)
	runs, _, _, err := r.History(t.Context(), mine, 0, "")
	require.NoError(t, err)
	require.Equal(t, sweep.JobID.Show(undo), runs[0].UndoUnderWay)
	_, err = r.Run(t.Context(), other, job)
	require.Equal(t, sweep.NotFound, sweep.CodeOf(err))
}
