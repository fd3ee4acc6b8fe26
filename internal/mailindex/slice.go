package mailindex

import (
	"fmt"
	"slices"
	"time"

	"mailsweep/internal/sweep"
)

// Extend adds the listing of the time from the last bound to until: messages not seen before join, fresh ones get their date
// slice. Their labels stay as history told them. It says how many were not known before.
func (ix *Index) Extend(until time.Time, refs []Ref) (added int, err error) {
	ix.learned = true
	until = until.UTC()
	older := make([]sweep.MessageID, len(refs))
	for i, r := range refs {
		older[i] = r.ID
		if _, known := ix.anyRow(r.ID); !known {
			ix.add(r.ID, r.Thread)
			added++
		}
	}
	if n := len(ix.bounds); n == 0 || until.After(ix.bounds[n-1]) {
		if n > maxSlice {
			return added, fmt.Errorf("mailindex: too many date slices")
		}
		ix.bounds = append(ix.bounds, until)
		ix.place(n-1, older)
		return added, nil
	}
	return added, ix.Split(until, older)
}

// place gives fresh rows among ids the date slice.
func (ix *Index) place(slice int, ids []sweep.MessageID) {
	for _, id := range ids {
		if row, ok := ix.anyRow(id); ok && slice >= 0 && ix.slices[row] == noSlice && ix.dates.at(row) == 0 {
			ix.slices[row] = uint16(slice)
			ix.fresh.Remove(row)
		}
	}
}

// Split makes at a bound; older is the listing from the start of the slice that holds it up to at. Messages of the slice that are
// not in it lie in [at, end). Fresh messages in it get their slice.
func (ix *Index) Split(at time.Time, older []sweep.MessageID) error {
	at = at.UTC()
	i, ok := ix.sliceOf(at)
	if !ok {
		return fmt.Errorf("mailindex: %s lies outside the listed dates", at.Format(time.RFC3339))
	}
	if len(ix.bounds) > maxSlice {
		return fmt.Errorf("mailindex: too many date slices")
	}
	if ix.bounds[i].Equal(at) {
		return nil
	}
	ix.learned = true
	ix.bounds = slices.Insert(ix.bounds, i+1, at)
	before := flat(ix.Rows(older))
	for row, s := range ix.slices {
		moved := int(s) > i || int(s) == i && !ix.isBefore(uint32(row), at, before)
		if s != noSlice && moved {
			ix.slices[row]++
		}
	}
	ix.place(i, older)
	return nil
}

func (ix *Index) isBefore(row uint32, at time.Time, older words) bool {
	if d := ix.dates.at(row); d != 0 {
		return int64(d) < at.Unix()
	}
	return older.has(row)
}

// Merge makes one of neighbouring slices wherever the bound between them is not among keep; the first and the last bound stay. Each listing
// cuts time at its own ages: without this the slices would grow without end.
func (ix *Index) Merge(keep []time.Time) {
	kept, to := ix.bounds[:0:0], make([]uint16, len(ix.bounds))
	for i, b := range ix.bounds {
		if i == 0 || i == len(ix.bounds)-1 || slices.ContainsFunc(keep, b.Equal) {
			kept = append(kept, b)
		}
		to[i] = uint16(max(0, len(kept)-1))
	}
	if len(kept) == len(ix.bounds) {
		return
	}
	for row, s := range ix.slices {
		if s != noSlice {
			ix.slices[row] = to[s]
		}
	}
	ix.bounds, ix.learned = kept, true
}
