// Package cleanup admits jobs, analyzes mailboxes, freezes cleanup plans, executes and undoes them, and tells their state.
package cleanup

import (
	"crypto/sha256"
	"log/slog"
	"time"

	"mailsweep/internal/mailindex"
	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// Service admits jobs and tells their state: what the API and the pages call. It needs no Gmail.
type Service struct {
	DB             *store.DB
	Vault          *secret.Vault
	Plans          sweep.Plans
	Changes        *store.Listener // wakes those who wait for a job
	Hint           func()          // tells the dispatcher that something is queued; never awaited
	Order          func(sweep.ID)  // tells the worker of a running job to ask for its orders; never awaited
	UpgradeURL     string
	ExecutesPerDay int
	OpenJobs       int
	Log            *slog.Logger

	facts facts
}

// Idempotency is the caller's key for one POST: the same key and body give the first answer again for 24 hours.
// Another body is IdempotencyMismatch.
type Idempotency struct {
	Route string // the operation's name
	Key   string // "" : none
	Body  []byte // hashed, not stored
}

func (i Idempotency) hash() []byte {
	sum := sha256.Sum256(i.Body)
	return sum[:]
}

// Target names the mailbox; a zero Mailbox means the customer's only one (Invalid if there are several).
type Target struct{ Mailbox sweep.ID }

// DryRunRequest asks for a preview.
type DryRunRequest struct {
	Target
	Spec       sweep.CleanupSpec
	ConfirmAll bool
}

// ExecuteRequest executes a cleanup plan, or plans and executes at once when Plan is zero; MaxMessages then bounds the plan. With a
// plan and Partial it bounds how much of the plan is taken: a person who was shown a number gets no larger one.
type ExecuteRequest struct {
	Plan        sweep.ID
	Partial     bool
	Direct      *DryRunRequest
	MaxMessages int
}

// JobFilter narrows a list of jobs; zero values do not.
type JobFilter struct {
	Kind   sweep.JobKind
	State  sweep.JobState // as shown
	Limit  int            // 1..100
	Cursor string
}

// SenderQuery pages through all senders of a mailbox.
type SenderQuery = mailindex.SenderQuery

// CountResult is a live count. Undetermined messages would need a listing at Gmail.
type CountResult struct {
	Matched      int       `json:"matched"`
	Undetermined int       `json:"undetermined"`
	Exact        bool      `json:"exact"`
	AsOf         time.Time `json:"as_of"`
}
