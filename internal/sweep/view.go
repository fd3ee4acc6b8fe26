package sweep

import (
	"encoding/json"
	"time"
)

// JobView is a job as the API shows it.
type JobView struct {
	ID           string          `json:"id"`
	Kind         JobKind         `json:"kind" enum:"analyze,dry_run,execute,undo"`
	State        JobState        `json:"state" enum:"queued,running,waiting,succeeded,failed,canceled"`
	Phase        string          `json:"phase"`
	Progress     Progress        `json:"progress"`
	WaitingUntil *time.Time      `json:"waiting_until,omitempty"`
	MailboxID    string          `json:"mailbox_id"`
	CreatedAt    time.Time       `json:"created_at"`
	StartedAt    *time.Time      `json:"started_at,omitempty"`
	FinishedAt   *time.Time      `json:"finished_at,omitempty"`
	UnitsSpent   int64           `json:"units_spent"`
	Result       json.RawMessage `json:"result,omitempty"`
	Error        *JobError       `json:"error,omitempty"`
	Replayed     bool            `json:"-"` // the first answer to this Idempotency-Key, again
}

// View is j as the API shows it: internal states are mapped, ids carry their prefixes.
func (j Job) View() JobView {
	return JobView{
		ID: JobID.Show(j.ID), Kind: j.Kind, State: j.State.Shown(), Phase: j.Phase, Progress: j.Progress, WaitingUntil: j.WaitingUntil,
		MailboxID: MailboxID.Show(j.MailboxID), CreatedAt: j.CreatedAt, StartedAt: j.StartedAt, FinishedAt: j.FinishedAt,
		UnitsSpent: j.Units, Result: j.Result, Error: j.Error,
	}
}

// Run is one execute as the customer sees it in the history.
type Run struct {
	JobID         string         `json:"job_id"`
	CleanupPlanID string         `json:"cleanup_plan_id"`
	MailboxID     string         `json:"mailbox_id"`
	Action        Action         `json:"action"`
	State         JobState       `json:"state"`
	Planned       int            `json:"planned"`
	Cleaned       int            `json:"cleaned"`
	Skipped       map[Reason]int `json:"skipped"`
	AlreadyGone   int            `json:"already_gone"`
	Bytes         int64          `json:"bytes"`
	Who           string         `json:"who"`
	Why           string         `json:"why"`
	StartedAt     time.Time      `json:"started_at"`
	FinishedAt    *time.Time     `json:"finished_at,omitempty"`
	UndoUntil     *time.Time     `json:"undo_until,omitempty"`
	Undo          *UndoResult    `json:"undo,omitempty"`
	UndoneBy      string         `json:"undone_by,omitempty"`
	UndoUnderWay  string         `json:"undo_under_way,omitempty"` // the job that is at it
}

// HistoryTotals adds up every run of the customer.
type HistoryTotals struct {
	Runs     int   `json:"runs"`
	Cleaned  int   `json:"cleaned"`
	Restored int   `json:"restored"`
	Bytes    int64 `json:"bytes"`
}

// UsageView is the standing of the current period.
type UsageView struct {
	Plan      Tier      `json:"plan"`
	Period    string    `json:"period"` // the UTC month, 2006-01
	Limit     int       `json:"limit"`
	Used      int       `json:"used"`
	Reserved  int       `json:"reserved"`
	Remaining int       `json:"remaining"`
	ResetsAt  time.Time `json:"resets_at"`
	Warning   string    `json:"warning,omitempty"`
	Trial     *struct {
		EndsAt   time.Time `json:"ends_at"`
		DaysLeft int       `json:"days_left"`
	} `json:"trial,omitempty"`
}

// PlanMessage is one message of a frozen set. Subject is read at Gmail for the shown page only.
type PlanMessage struct {
	ID        string    `json:"id"`
	Sender    string    `json:"sender"`
	Subject   string    `json:"subject,omitempty"`
	Date      time.Time `json:"date"`
	Size      int64     `json:"size"`
	Protected Reason    `json:"protected,omitempty"`
}

// LargeMessage is one of a mailbox's largest messages. Unless it is exact, Size is the least that it can have. Sender may be unknown, then "".
type LargeMessage struct {
	ID     string    `json:"id"`
	Sender string    `json:"sender"`
	Date   time.Time `json:"date"`
	Size   int64     `json:"size"`
	Exact  bool      `json:"exact"`
}

// PlanView is a cleanup plan as the API shows it.
type PlanView struct {
	ID         string       `json:"id"`
	MailboxID  string       `json:"mailbox_id"`
	Spec       CleanupSpec  `json:"spec"`
	Messages   int          `json:"messages"`
	Bytes      int64        `json:"bytes"`
	MadeAt     time.Time    `json:"made_at"`
	ExpiresAt  time.Time    `json:"expires_at"`
	State      string       `json:"state" enum:"open,consumed,expired"`
	ConsumedBy string       `json:"consumed_by,omitempty"`
	Preview    DryRunResult `json:"preview"`
}

// AuditView is an entry of the audit log: who did what to what. Actor is user:, key: or ops: with an id or a name, or system; Data has ids, counts and
// words of ours.
type AuditView struct {
	ID        string          `json:"id"`
	At        time.Time       `json:"at"`
	Actor     string          `json:"actor"`
	Action    string          `json:"action"`
	Object    string          `json:"object"`
	RequestID string          `json:"request_id,omitempty"`
	Data      json.RawMessage `json:"data"`
}
