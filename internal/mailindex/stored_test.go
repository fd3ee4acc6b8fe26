package mailindex

import (
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"mailsweep/internal/sweep"
)

// What was stored by a program of before is still worth its units.
func TestAnIndexOfVersion2IsRead(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/version2.json")
	if err != nil {
		t.Fatal(err)
	}
	var old struct {
		Segments []Segment `json:"segments"`
		Messages []Message `json:"messages"`
	}
	if err := json.Unmarshal(raw, &old); err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(old.Segments, func(a, b Segment) int { return slices.Index(partNames(), a.Name) - slices.Index(partNames(), b.Name) })
	ix, err := decode(old.Segments)
	if err != nil {
		t.Fatal(err)
	}
	if got := ix.Messages(ix.Live(), OldestFirst); len(got) != 60 || !reflect.DeepEqual(got, old.Messages) {
		t.Fatalf("%d messages, not those that were stored", len(got))
	}
	if again, _ := restored(t, ix); len(differences(ix, again)) > 0 {
		t.Fatalf("stored anew it differs in %v", differences(ix, again))
	}
}

func partNames() (names []string) {
	for _, p := range parts {
		names = append(names, p.name)
	}
	return names
}

// Of a large index a segment is small, and none of them can be missing, twice or in another's place: what each holds its seal ties to its name.
func TestALargeIndexIsManySmallSegments(t *testing.T) {
	t.Parallel()
	ix := bigIndex(300_000, 5_000)
	back, segments := restored(t, ix)
	names := []string{}
	for _, s := range segments {
		names = append(names, s.Name)
		if len(s.Data) > 2*fullSegment {
			t.Errorf("%s has %d bytes", s.Name, len(s.Data))
		}
	}
	if !slices.IsSorted(names) || len(names) < 12 {
		t.Fatalf("%v", names)
	}
	if d := differences(ix, back); len(d) > 0 {
		t.Fatalf("differs in %v", d)
	}
	for i := range segments {
		missing := slices.Delete(slices.Clone(segments), i, i+1)
		twice := slices.Insert(slices.Clone(segments), i, segments[i])
		swapped := slices.Clone(segments)
		j := (i + 1) % len(segments)
		swapped[i], swapped[j] = swapped[j], swapped[i]
		for what, bad := range map[string][]Segment{"missing": missing, "twice": twice, "swapped": swapped} {
			if _, err := decode(bad); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s %s: %v", segments[i].Name, what, err)
			}
		}
	}
}

func TestDecodeEndsWithTheSegmentsOwnError(t *testing.T) {
	t.Parallel()
	own := errors.New("the line is cut")
	if _, err := Decode(func(yield func(Segment, error) bool) { yield(Segment{}, own) }); !errors.Is(err, own) || errors.Is(err, ErrCorrupt) {
		t.Fatal(err)
	}
}

// A column is a map from rows to values other than 0.
func TestAColumnIsAMap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var c column
		model := map[uint32]uint32{}
		for range rapid.IntRange(0, 50).Draw(t, "n") {
			row, value := rapid.Uint32Range(0, 400).Draw(t, "row"), rapid.Uint32Range(0, 3).Draw(t, "value")
			c.set(row, value)
			if delete(model, row); value != 0 {
				model[row] = value
			}
		}
		from, to, last := rapid.IntRange(0, 400).Draw(t, "from"), rapid.IntRange(0, 500).Draw(t, "to"), -1
		for row, value := range c.within(from, to) {
			if row <= last || row < from || row >= to || model[uint32(row)] != value {
				t.Fatalf("%d: %d", row, value)
			}
			last = row
			delete(model, uint32(row))
		}
		for row, value := range model {
			if int(row) >= from && int(row) < to || c.at(row) != value {
				t.Fatalf("%d is missing, or %d is not %d", row, c.at(row), value)
			}
		}
	})
}

// A thread's messages find each other also when its first one is listed, or comes back from the trash, after the others.
func TestThreadsWhoseFirstMessageComesLater(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ix := NewBuilder([]time.Time{{}, day(0)}).Finish(modelNow, 1)
		order := rapid.Permutation([]sweep.MessageID{1 << 24, 2 << 24, 3 << 24, 4 << 24, 5 << 24}).Draw(t, "order")
		thread := map[sweep.MessageID]sweep.ThreadID{1 << 24: 1 << 24, 2 << 24: 1 << 24, 3 << 24: 3 << 24, 4 << 24: 1 << 24, 5 << 24: 9 << 24}
		n := rapid.IntRange(1, len(order)).Draw(t, "n")
		for _, id := range order[:n] {
			ix.Apply([]Change{{Kind: Added, ID: id, Thread: thread[id], Labels: []string{}}})
			if rapid.Bool().Draw(t, "stored") {
				ix, _ = restored(t, ix)
			}
		}
		for _, id := range order[:n] {
			want := 0
			for _, other := range order[:n] {
				if thread[other] == thread[id] {
					want++
				}
			}
			rows := ix.threadsOf(ix.Rows([]sweep.MessageID{id}))
			s := ix.threadSet()
			s.add(thread[id])
			m, _ := ix.Message(id)
			if int(rows.GetCardinality()) != want || !s.rows().Equals(rows) || m.Thread != thread[id] {
				t.Fatalf("%v of thread %v: %d messages, not %d", id, m.Thread, rows.GetCardinality(), want)
			}
		}
	})
}
