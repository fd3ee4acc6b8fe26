package sweep

import (
	"bytes"
	"crypto/rand"
	"errors"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestShownStatesAreTheSixOfTheAPI(t *testing.T) {
	t.Parallel()
	public := []JobState{Queued, Running, Waiting, Succeeded, Failed, Canceled}
	for _, s := range States() {
		if !slices.Contains(public, s.Shown()) {
			t.Errorf("%s is shown as %s", s, s.Shown())
		}
	}
	if Undo.Rank() >= Execute.Rank() || Execute.Rank() >= DryRun.Rank() || DryRun.Rank() >= Analyze.Rank() {
		t.Error("jobs are not ranked undo, execute, dry run, analyze")
	}
	if !Undo.Writes() || !Execute.Writes() || DryRun.Writes() || Analyze.Writes() {
		t.Error("the wrong kinds write")
	}
}

func TestProgressStaysWithinItsBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		done, total := rapid.IntRange(0, 2_000_000).Draw(t, "done"), rapid.IntRange(0, 1_000_000).Draw(t, "total")
		p := ProgressOf(done, total, time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "took")))
		if p.Percent < 0 || p.Percent > 100 || p.ETASeconds < -1 || p.PerSecond < 0 {
			t.Fatalf("%+v", p)
		}
		if done < total && p.Percent == 100 {
			t.Fatalf("100 %% with %d of %d", done, total)
		}
	})
	if p := ProgressOf(250, 1_000, 5*time.Second); p.Percent != 25 || p.PerSecond != 50 || p.ETASeconds != 15 {
		t.Errorf("%+v", p)
	}
	if p := ProgressOf(0, 10, time.Second); p.ETASeconds != -1 {
		t.Errorf("nothing done, yet %+v", p)
	}
}

func TestUndoEndsBeforeGmailEmptiesTrash(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	if UndoWindow(Trash) != 29*day || UndoWindow(Archive) != 30*day || UndoWindow(AddLabel) != 30*day {
		t.Error("undo windows are 29 days for trash and 30 for the rest")
	}
}

func TestIDsKeepTheirTimeAndBothForms(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		at := time.UnixMicro(rapid.Int64Range(0, 1000<<42).Draw(t, "µs"))
		id, err := NewID(at, bytes.NewReader(rapid.SliceOfN(rapid.Byte(), 8, 8).Draw(t, "chance")))
		if err != nil || !id.Time().Equal(at.Truncate(time.Millisecond)) || id[6]>>4 != 7 || id[8]>>6 != 2 {
			t.Fatalf("%s at %s: %v", id, at, err)
		}
		later, err := NewID(at.Add(time.Microsecond), rand.Reader)
		if err != nil || bytes.Compare(id[:], later[:]) >= 0 {
			t.Fatalf("%s does not sort before %s", id, later)
		}
		shown, err := JobID.Parse(JobID.Show(id))
		uuid, uuidErr := ParseUUID(id.String())
		if err != nil || uuidErr != nil || shown != id || uuid != id {
			t.Fatalf("%s: %v, %v", id, err, uuidErr)
		}
		if _, err := PlanID.Parse(JobID.Show(id)); CodeOf(err) != NotFound {
			t.Fatalf("a job's id is a plan's: %v", err)
		}
	})
	if _, err := NewID(noon, bytes.NewReader(nil)); err == nil {
		t.Error("an id was made without chance")
	}
	for _, s := range []string{"", "job_", "job_zz", "job_" + "0123456789abcdef0123456789abcdeg", "0123456789abcdef0123456789abcdef"} {
		if _, err := JobID.Parse(s); CodeOf(err) != NotFound {
			t.Errorf("%q: %v", s, err)
		}
	}
	if _, err := ParseUUID("01234567x89ab-cdef-0123-456789abcdef"); err == nil {
		t.Error("a UUID without its hyphens was taken")
	}
}

func TestMessageIDsAreThoseOfGmail(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := MessageID(rapid.Uint64().Draw(t, "id"))
		if back, err := ParseMessageID(m.String()); err != nil || back != m {
			t.Fatalf("%s: %v", m, err)
		}
	})
	for _, bad := range []string{"", "xyz", "-1", "12345678901234567", "0x1"} {
		if _, err := ParseMessageID(bad); err == nil {
			t.Errorf("%q is a message id", bad)
		}
	}
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	if got := MessageID(uint64(at.UnixMilli()) << 20).Time(); !got.Equal(at) {
		t.Errorf("the id of %s says %s", at, got)
	}
}

func TestCodesAreFoundThroughWrapping(t *testing.T) {
	t.Parallel()
	if got := CodeOf(errors.Join(errors.New("x"), Errorf(QuotaExceeded, "no"))); got != QuotaExceeded {
		t.Error(got)
	}
	if CodeOf(nil) != "" || CodeOf(errors.New("x")) != Internal {
		t.Error("nil or unknown errors have the wrong code")
	}
}

func TestHealthIsBounded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(0, 1_000).Draw(t, "messages")
		part := rapid.IntRange(0, n)
		if h := HealthOf(n, part.Draw(t, "unread"), part.Draw(t, "old"), part.Draw(t, "promotions")); h.Score < 0 || h.Score > 100 {
			t.Fatalf("%+v", h)
		}
	})
	if HealthOf(100, 50, 50, 40).Score != 39 || HealthOf(0, 0, 0, 0).Score != 100 {
		t.Error("the score is not 100 − 60 × unread − 40 × old − 55 × (promotions − 0.2)")
	}
}
