package sweep

import (
	"encoding/json"
	"time"
)

// JobKind is what a job does.
type JobKind string

// The kinds of jobs.
const (
	Analyze JobKind = "analyze"
	DryRun  JobKind = "dry_run"
	Execute JobKind = "execute"
	Undo    JobKind = "undo"
)

// Kinds lists all kinds, in the order in which a customer meets them.
func Kinds() []JobKind { return []JobKind{Analyze, DryRun, Execute, Undo} }

// Writes says whether the kind changes the mailbox and so needs the Google account's lane.
func (k JobKind) Writes() bool { return k == Execute || k == Undo }

// Rank orders jobs of one Google account: undo, execute, dry run, analyze. Lower goes first.
func (k JobKind) Rank() int {
	switch k {
	case Undo:
		return 0
	case Execute:
		return 1
	case DryRun:
		return 2
	}
	return 3
}

// JobState is where a job stands, as stored.
type JobState string

// The states of a job.
const (
	Queued     JobState = "queued"
	Dispatched JobState = "dispatched"
	Running    JobState = "running"
	Waiting    JobState = "waiting"
	Paused     JobState = "paused"
	Succeeded  JobState = "succeeded"
	Failed     JobState = "failed"
	Canceled   JobState = "canceled"
)

// Done says whether the state is final. Only operators can move a job out of one: a failed job may be run again.
func (s JobState) Done() bool { return s == Succeeded || s == Failed || s == Canceled }

// Shown is the state as callers see it: dispatched is queued, paused is waiting.
func (s JobState) Shown() JobState {
	switch s {
	case Dispatched:
		return Queued
	case Paused:
		return Waiting
	}
	return s
}

// Progress is how far a job is. Percent is 0..100; the rate is per second of this claim; ETASeconds is -1 when unknown.
type Progress struct {
	Done       int     `json:"done"`
	Total      int     `json:"total"`
	Percent    int     `json:"percent"`
	PerSecond  float64 `json:"per_second"`
	ETASeconds int     `json:"eta_seconds"`
}

// ProgressOf computes the shown figures from counts and the seconds they took.
func ProgressOf(done, total int, took time.Duration) Progress {
	p := Progress{Done: done, Total: total, ETASeconds: -1}
	if total > 0 {
		p.Percent = min(100, done*100/total)
	}
	if s := took.Seconds(); s > 0 && done > 0 {
		p.PerSecond = float64(done) / s
		p.ETASeconds = int(float64(max(0, total-done))/p.PerSecond + 0.5)
	}
	return p
}

// JobError is why a job failed.
type JobError struct {
	Code   Code   `json:"code"`
	Detail string `json:"detail"`
}

// Job is the customer's row as callers see it.
type Job struct {
	ID           ID
	CustomerID   ID
	MailboxID    ID
	Kind         JobKind
	State        JobState
	Phase        string
	Progress     Progress
	WaitingUntil *time.Time
	CreatedAt    time.Time
	StartedAt    *time.Time
	FinishedAt   *time.Time
	Units        int64 // Gmail units spent so far
	Version      int64 // grows with every change that a caller can see
	Result       json.RawMessage
	Error        *JobError
}

// Lease and sweep times: a claim that is silent for Lease is dead (the work may live: its fence is then too old to write).
const (
	Lease       = 15 * time.Second
	SweepEvery  = 2 * time.Second
	PoisonLimit = 5                  // claims in a row that ended by a panic or a dead lease without a new batch
	PauseLimit  = 7 * 24 * time.Hour // a job paused for longer is canceled: it holds quota and the mailbox
	BatchSize   = 1000               // message ids in one Gmail call (Gmail refuses more)
)

// UndoWindow is how long a run can be undone: Gmail empties Trash after 30 days, so a day less there.
func UndoWindow(a Action) time.Duration {
	if a == Trash {
		return 29 * 24 * time.Hour
	}
	return 30 * 24 * time.Hour
}

// PlanLifetime is how long a cleanup plan can be executed.
const PlanLifetime = 7 * 24 * time.Hour
