package mailindex

import (
	"cmp"
	"encoding/json"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"mailsweep/internal/sweep"
)

func anyRefs(t *rapid.T) (refs []Ref) {
	for range rapid.IntRange(0, 50).Draw(t, "results") {
		id := sweep.MessageID(rapid.OneOf(rapid.Uint64(), rapid.Uint64Range(0, 9)).Draw(t, "id"))
		refs = append(refs, Ref{id, sweep.ThreadID(rapid.Uint64().Draw(t, "thread"))})
	}
	return refs
}

// again is the value as it comes back from a checkpoint.
func again[T any](t *rapid.T, v T) (back T) {
	raw, err := json.Marshal(v)
	if err == nil {
		err = json.Unmarshal(raw, &back)
	}
	if err != nil {
		t.Fatal(err)
	}
	return back
}

func TestPackedResultsAreWhatWasListed(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		refs, more := anyRefs(t), anyRefs(t)
		var p Packed
		p.Append(refs...)
		p = again(t, p)
		p.Append(more...)
		want := slices.Concat(refs, more)
		if got := slices.Collect(p.All()); !slices.Equal(got, want) || p.Len() != len(want) {
			t.Fatalf("%d: %v, not %v", p.Len(), got, want)
		}
		first := map[sweep.MessageID]Ref{}
		for _, r := range slices.Backward(want) {
			first[r.ID] = r
		}
		sorted := slices.Collect(p.Sorted().All())
		if len(sorted) != len(first) || !slices.IsSortedFunc(sorted, func(a, b Ref) int { return cmp.Compare(a.ID, b.ID) }) {
			t.Fatalf("sorted: %v of %v", sorted, want)
		}
		for _, r := range sorted {
			if first[r.ID] != r {
				t.Fatalf("%v, not the first of its id, %v", r, first[r.ID])
			}
		}
	})
}

func TestHalfAPackedResultIsRefused(t *testing.T) {
	t.Parallel()
	var p Packed
	p.Append(Ref{1 << 60, 5})
	raw, err := json.Marshal(p.b[:len(p.b)-1])
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &p); err == nil {
		t.Error("half a result was read")
	}
}

func TestWhatIsFoundIsTheSetThatItsIDsMake(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := drawBox(t)
		byIDs, byRows := b.index(t), b.index(t)
		name := LabelDimension(sweep.LabelStarred)
		f, page, ids := NewFound(), []Ref{{ID: 1 << 62}}, []sweep.MessageID{1 << 62}
		for _, l := range b.letters {
			if rapid.Bool().Draw(t, "found") {
				page, ids = append(page, Ref{ID: l.id}), append(ids, l.id)
			}
		}
		f.Add(byRows, page)
		f.Add(byRows, page)
		f = again(t, f)
		if len(b.letters) > 0 {
			gone := []Change{{Kind: Deleted, ID: b.letters[0].id, Thread: b.letters[0].thread}}
			byIDs.Apply(gone)
			byRows.Apply(gone)
		}
		byIDs.SetDimension(name, ids)
		byRows.SetFound(name, f)
		if want := byIDs.dims[name]; !byRows.dims[name].yes.Equals(want.yes) || !byRows.dims[name].unknown.Equals(want.unknown) {
			t.Fatalf("%v, not %v", byRows.dims[name].yes, want.yes)
		}
		if f.Listed() != 2*len(page) || byIDs.RowsID() != byRows.RowsID() {
			t.Fatal("not all is counted, or the same rows are called others")
		}
		for _, ix := range []*Index{byIDs, byRows} {
			ix.add(1<<62, 1)
		}
		same := byIDs.RowsID()
		byIDs.ids[len(byIDs.ids)-1]++
		if byRows.RowsID() != same || byIDs.RowsID() == same {
			t.Fatal("other rows are called the same")
		}
		byRows.add(1<<63, 1)
		if byRows.RowsID() == same {
			t.Fatal("more rows are called the same")
		}
	})
}
