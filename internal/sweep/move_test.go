package sweep

import (
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func TestFinishedJobsStayFinishedButForAnOperatorsRerun(t *testing.T) {
	t.Parallel()
	for _, from := range States() {
		for _, e := range Events() {
			to, err := from.After(e)
			if err != nil && (CodeOf(err) != Conflict || to != from) {
				t.Errorf("%s after %s: %s, %v", from, e, to, err)
			}
			if err == nil && from.Done() && e != Rerun {
				t.Errorf("%s moved on by %s", from, e)
			}
			if err == nil && to != e.To() {
				t.Errorf("%s after %s is %s", from, e, to)
			}
		}
	}
	if _, err := Succeeded.After(Rerun); err == nil {
		t.Error("what succeeded runs again")
	}
	if _, err := Queued.After("surprise"); CodeOf(err) != Conflict {
		t.Error("an unknown event moved a job")
	}
}

func TestEveryOpenJobCanBeStoppedAndCanStillSucceed(t *testing.T) {
	t.Parallel()
	for _, from := range States() {
		if from.Done() {
			continue
		}
		for _, e := range []Event{Cancel, Fail} {
			if _, err := from.After(e); err != nil {
				t.Errorf("%s: %v", from, err)
			}
		}
		reached := []JobState{from}
		for i := 0; i < len(reached); i++ {
			for _, e := range Events() {
				if to, err := reached[i].After(e); err == nil && !slices.Contains(reached, to) {
					reached = append(reached, to)
				}
			}
		}
		if !slices.Contains(reached, Succeeded) {
			t.Errorf("%s never succeeds", from)
		}
	}
}

// Whatever happens to a job, it runs only after it was dispatched, succeeds only while it runs, and is over at most once per rerun.
func TestRandomHistoriesKeepTheOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s, ends, reruns := Queued, 0, 0
		for _, e := range rapid.SliceOfN(rapid.SampledFrom(Events()), 1, 60).Draw(t, "events") {
			before := s
			next, err := s.After(e)
			if err != nil {
				continue
			}
			s = next
			if s == Running && before != Dispatched && before != Running {
				t.Fatalf("ran from %s", before)
			}
			if s == Succeeded && before != Running {
				t.Fatalf("succeeded from %s", before)
			}
			if e == Rerun {
				reruns++
			}
			if s.Done() {
				ends++
				if s.Ends() != e {
					t.Fatalf("%s ended as %s, which is what %s does", e, s, s.Ends())
				}
			}
			if ends > reruns+1 {
				t.Fatalf("over %d times with %d reruns", ends, reruns)
			}
		}
	})
}
