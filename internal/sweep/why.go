package sweep

import "time"

// Why is what one cleanup plan says of one message, for operators and support: how it was chosen or kept back, and what became of it.
type Why struct {
	Plan        string         `json:"plan"`
	Action      Action         `json:"action"`
	FrozenAt    time.Time      `json:"frozen_at"`
	Criteria    Criteria       `json:"criteria"`
	Chosen      bool           `json:"chosen"` // in the frozen set: the criteria matched it then
	KeptBack    Reason         `json:"kept_back,omitempty"`
	Leaves      []WhyLeaf      `json:"leaves"`
	Protections []WhyProtected `json:"protections"`
	Run         *WhyRun        `json:"run,omitempty"` // nil: the plan was not executed
}

// WhyLeaf is one leaf of the criteria and whether it holds for the message, as the index knows it before the run's own change.
type WhyLeaf struct {
	Under string  `json:"under"` // the connectives above it, from the top, each with the place below it: any[2] › all[0]
	Leaf  string  `json:"leaf"`
	Holds Holding `json:"holds"`
}

// Holding is a three-valued answer.
type Holding string

// The answers.
const (
	Yes     Holding = "yes"
	No      Holding = "no"
	Unknown Holding = "unknown"
)

// WhyProtected is one protection and what testing it said when the plan was frozen.
type WhyProtected struct {
	Name   Reason `json:"name"`
	Result string `json:"result"` // switched off, did not apply, kept it back, or not reached: an earlier one kept it back
}

// WhyRun is what the execute of the plan did with the message.
type WhyRun struct {
	Job       string     `json:"job"`
	State     JobState   `json:"state"`
	Builds    []string   `json:"builds,omitempty"` // of the workers that did it
	Batch     int        `json:"batch"`            // the n-th thousand of the frozen set, from 0
	BatchSize int        `json:"batch_size"`
	Did       string     `json:"did"` // a sentence
	Added     []string   `json:"added,omitempty"`
	Removed   []string   `json:"removed,omitempty"`
	Proof     *Proof     `json:"proof,omitempty"` // nil: the run has not been settled
	Confirmed bool       `json:"confirmed"`       // Gmail's own history shows the change of this message
	UndoneBy  string     `json:"undone_by,omitempty"`
	UndoUntil *time.Time `json:"undo_until,omitempty"`
}
