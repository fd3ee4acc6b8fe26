package mailindex

import (
	"encoding/json"
	"hash/crc64"
	"io"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// Found is what a listing found, as rows of an index: a bit or two for each message. It holds for as long as the rows do; RowsID tells.
type Found struct {
	rows   *roaring.Bitmap
	listed int
}

// NewFound is what a listing has found before its first page.
func NewFound() *Found { return &Found{rows: roaring.New()} }

// Listed is how many results were taken in, those that came twice or that the index does not hold included.
func (f *Found) Listed() int { return f.listed }

// Add takes in a page. Messages that the index does not hold are left out.
func (f *Found) Add(ix *Index, page []Ref) {
	rows := make([]uint32, 0, len(page))
	for _, r := range page {
		if row, ok := ix.Row(r.ID); ok {
			rows = append(rows, row)
		}
	}
	slices.Sort(rows)
	f.rows.AddMany(rows)
	f.listed += len(page)
}

// Join adds what another listing found.
func (f *Found) Join(other *Found) {
	f.rows.Or(other.rows)
	f.listed += other.listed
}

// SetFound is SetDimension with what was found. Messages that were deleted since are in no set.
func (ix *Index) SetFound(name string, f *Found) { ix.setRows(name, roaring.And(f.rows, ix.live)) }

// RefineFound is RefineDimension with what was found; a dimension that does not exist is left so.
func (ix *Index) RefineFound(name string, among *roaring.Bitmap, f *Found) {
	if ix.dims[name] != nil {
		ix.refine(name, among, roaring.And(f.rows, ix.live))
	}
}

// RowsID tells the index's rows from those of another: sets of rows are not to be taken for sets of other messages.
func (ix *Index) RowsID() uint64 {
	table, sum, step := crc64.MakeTable(crc64.ECMA), uint64(len(ix.ids)), [8]byte{}
	for _, id := range ix.ids {
		for i := range step {
			step[i] = byte(id >> (8 * i))
		}
		sum = crc64.Update(sum, table, step[:])
	}
	return sum
}

// storedFound is the form of what was found in JSON.
type storedFound struct {
	Rows   []byte `json:"rows"`
	Listed int    `json:"listed"`
}

// MarshalJSON implements json.Marshaler.
func (f *Found) MarshalJSON() ([]byte, error) {
	rows := f.rows.Clone()
	rows.RunOptimize()
	b, err := rows.ToBytes()
	if err != nil {
		return nil, err
	}
	return json.Marshal(storedFound{b, f.listed})
}

// UnmarshalJSON implements json.Unmarshaler. What no Found was is an error.
func (f *Found) UnmarshalJSON(raw []byte) error {
	var s storedFound
	if err := json.Unmarshal(raw, &s); err != nil {
		return err
	}
	f.rows, f.listed = roaring.New(), s.Listed
	if err := f.rows.UnmarshalBinary(s.Rows); err != nil {
		return err
	}
	if f.rows.Validate() != nil {
		return io.ErrUnexpectedEOF
	}
	return nil
}
