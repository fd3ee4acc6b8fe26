package sweep

import "slices"

// Event is what happens to a job. Every change of a job's state is one of these.
type Event string

// The events in a job's life.
const (
	Dispatch Event = "dispatch"  // handed to Redis under a new epoch
	Claim    Event = "claim"     // a worker took it under a new fence; again after a dead lease
	HandBack Event = "hand_back" // its worker stops, or broke, and gives it back
	Wait     Event = "wait"      // Gmail or an operator makes it wait: its worker is free
	Lose     Event = "lose"      // Redis forgot its task, or its worker its lease
	Wake     Event = "wake"      // what waits has to go on now, to be canceled
	Pause    Event = "pause"     // the customer asked
	Resume   Event = "resume"    // and asked again
	Succeed  Event = "succeed"
	Fail     Event = "fail"
	Cancel   Event = "cancel"
	Rerun    Event = "rerun" // an operator lets a failed job go on
)

// move is what an event does: from any of these states to that one.
type move struct {
	from []JobState
	to   JobState
}

// moves is the whole state machine. Package store writes no state that is not here, and the database refuses what is not
// (function job_may_move; a test compares the two).
var moves = map[Event]move{
	Dispatch: {[]JobState{Queued, Waiting}, Dispatched},
	Claim:    {[]JobState{Dispatched, Running}, Running},
	HandBack: {[]JobState{Running}, Queued},
	Wait:     {[]JobState{Running}, Waiting},
	Lose:     {[]JobState{Dispatched, Running}, Queued},
	Wake:     {[]JobState{Waiting, Paused}, Queued},
	Pause:    {[]JobState{Queued, Dispatched, Running, Waiting}, Paused},
	Resume:   {[]JobState{Paused}, Queued},
	Succeed:  {[]JobState{Running}, Succeeded},
	Fail:     {[]JobState{Queued, Dispatched, Running, Waiting, Paused}, Failed},
	Cancel:   {[]JobState{Queued, Dispatched, Running, Waiting, Paused}, Canceled},
	Rerun:    {[]JobState{Failed}, Queued},
}

// Events lists all events, for tables and tests.
func Events() []Event {
	return []Event{Dispatch, Claim, HandBack, Wait, Lose, Wake, Pause, Resume, Succeed, Fail, Cancel, Rerun}
}

// States lists all states as stored, open ones first.
func States() []JobState {
	return []JobState{Queued, Dispatched, Running, Waiting, Paused, Succeeded, Failed, Canceled}
}

// From gives the states in which e can happen.
func (e Event) From() []JobState { return slices.Clone(moves[e].from) }

// To is the state that e leads to; "" for what is no event.
func (e Event) To() JobState { return moves[e].to }

// After is the state of a job in state s once e has happened; Conflict when e cannot happen to it.
func (s JobState) After(e Event) (JobState, error) {
	m, known := moves[e]
	if !known || !slices.Contains(m.from, s) {
		return s, Errorf(Conflict, "a job that is %s cannot %s", s, e)
	}
	return m.to, nil
}

// Ends gives the event that ends a job in state s: Succeed, Fail or Cancel. "" for a state that ends nothing.
func (s JobState) Ends() Event {
	for _, e := range []Event{Succeed, Fail, Cancel} {
		if moves[e].to == s {
			return e
		}
	}
	return ""
}
