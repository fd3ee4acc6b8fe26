package mailindex

import (
	"cmp"
	"encoding/binary"
	"encoding/json"
	"io"
	"iter"
	"slices"

	"mailsweep/internal/sweep"
)

// Packed is results of a listing in about seven bytes each, where a Ref takes sixteen: a listing of a large mailbox is kept whole. The zero
// value is empty. In JSON it is one text.
type Packed struct {
	b    []byte // of each its step from the one before, and from its id to its thread
	n    int
	last Ref
}

// Len is how many results there are.
func (p Packed) Len() int { return p.n }

// Append adds results behind the others, in any order.
func (p *Packed) Append(refs ...Ref) {
	for _, r := range refs {
		p.b = binary.AppendVarint(p.b, int64(r.ID-p.last.ID))
		p.b = binary.AppendVarint(p.b, int64(uint64(r.Thread)-uint64(r.ID)))
		p.n, p.last = p.n+1, r
	}
}

// All are the results in their order.
func (p Packed) All() iter.Seq[Ref] {
	return func(yield func(Ref) bool) {
		u := unpacker{b: p.b}
		for u.next() && yield(u.head) {
		}
	}
}

// Sorted is the results in the order of ids, each once.
func (p Packed) Sorted() (sorted Packed) {
	refs := make([]Ref, 0, p.n)
	for r := range p.All() {
		refs = append(refs, r)
	}
	slices.SortStableFunc(refs, func(a, b Ref) int { return cmp.Compare(a.ID, b.ID) })
	sorted.b = make([]byte, 0, len(p.b))
	sorted.Append(slices.CompactFunc(refs, func(a, b Ref) bool { return a.ID == b.ID })...)
	sorted.b = slices.Clip(slices.Clone(sorted.b))
	return sorted
}

// MarshalJSON implements json.Marshaler.
func (p Packed) MarshalJSON() ([]byte, error) { return json.Marshal(p.b) }

// UnmarshalJSON implements json.Unmarshaler. What no Packed was is an error.
func (p *Packed) UnmarshalJSON(raw []byte) error {
	*p = Packed{}
	if err := json.Unmarshal(raw, &p.b); err != nil {
		return err
	}
	u := unpacker{b: p.b}
	for u.next() {
		p.n++
	}
	p.last = u.head
	if len(u.b) > 0 {
		return io.ErrUnexpectedEOF
	}
	return nil
}

// unpacker takes results off, one by one: head is the last one taken.
type unpacker struct {
	b    []byte
	head Ref
}

// next is false at the end, and where the rest is none that was packed.
func (u *unpacker) next() bool {
	id, n := binary.Varint(u.b)
	if n <= 0 {
		return false
	}
	thread, m := binary.Varint(u.b[n:])
	if m <= 0 {
		return false
	}
	u.b = u.b[n+m:]
	u.head.ID += sweep.MessageID(id)
	u.head.Thread = sweep.ThreadID(uint64(u.head.ID) + uint64(thread))
	return true
}
