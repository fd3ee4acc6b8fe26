package mailindex

import (
	"math"

	"github.com/RoaringBitmap/roaring/v2"

	"mailsweep/internal/sweep"
)

const (
	// bigMail is what a person calls a big mail: 10 MB, counted as Gmail's plain byte numbers.
	bigMail = 10 << 20
	// maxMail bounds what one message can weigh: Gmail's insert takes up to 150 MB (discovery document, maxSize).
	maxMail = 150 << 20
	// plainMail stands for a size that nothing is known of.
	plainMail = 40 << 10
	// fewSamples is how many read messages of a size class make their mean better than the class's middle.
	fewSamples = 8
)

// sizing is what is known of sizes: each row's class on the ladder, each class's bounds and estimate. The last class is "unknown".
type sizing struct {
	ix        *Index
	steps     []int64
	class     []uint8
	edge      *roaring.Bitmap // rows that may be a byte above their class
	low, high []int64
	estimate  []float64
}

func (ix *Index) sizing() sizing {
	s := sizing{ix: ix, steps: ix.ladder(), class: make([]uint8, len(ix.ids))}
	if len(s.steps) > math.MaxUint8-2 {
		s.steps = s.steps[:math.MaxUint8-2]
	}
	edge, _ := ix.evaluator(nil).dim(EdgeDimension)
	s.edge = edge.possible()
	s.place()
	low := int64(0)
	for _, step := range append(s.steps[:len(s.steps):len(s.steps)], maxMail) {
		s.low, s.high = append(s.low, low), append(s.high, max(step, low))
		s.estimate = append(s.estimate, middle(low, step))
		low = step + 1
	}
	s.low, s.high, s.estimate = append(s.low, 0), append(s.high, maxMail), append(s.estimate, plainMail)
	if len(s.steps) == 0 {
		s.estimate[0] = plainMail
	}
	s.sample()
	return s
}

// middle is the geometric one, as sizes spread over orders of magnitude; above the ladder most mail lies near its last step.
func middle(low, high int64) float64 {
	if high == maxMail {
		return 1.25 * float64(low)
	}
	return math.Sqrt(float64(max(low, min(1<<10, high/2))) * float64(high))
}

// place puts each row in its class.
func (s sizing) place() {
	unknown := uint8(len(s.steps) + 1)
	for k, step := range s.steps {
		d := s.ix.dims[LargerDimension(step)]
		for it := d.yes.Iterator(); it.HasNext(); {
			s.class[it.Next()] = uint8(k + 1)
		}
		for it := d.unknown.Iterator(); it.HasNext(); {
			s.class[it.Next()] = unknown
		}
	}
	for row, size := range s.ix.sizes.all() {
		k := 0
		for k < len(s.steps) && int64(size) > s.steps[k] {
			k++
		}
		s.class[row] = uint8(k)
	}
}

// sample narrows the estimates by the means of what was read.
func (s sizing) sample() {
	sums, counts := make([]float64, len(s.estimate)), make([]int, len(s.estimate))
	last := len(s.estimate) - 1
	for row, size := range s.ix.sizes.all() {
		for _, k := range []int{int(s.class[row]), last} {
			sums[k] += float64(size)
			counts[k]++
		}
	}
	for k, n := range counts {
		if n >= fewSamples {
			s.estimate[k] = sums[k] / float64(n)
		}
	}
}

// of is the best estimate for one row, exact when it was read.
func (s sizing) of(row uint32) int64 {
	if size := s.ix.sizes.at(row); size != 0 {
		return int64(size)
	}
	return int64(s.estimate[s.class[row]])
}

// bounds are those between which one row's size must lie.
func (s sizing) bounds(row uint32) (low, high int64) {
	if size := int64(s.ix.sizes.at(row)); size != 0 {
		return size, size
	}
	k := s.class[row]
	low, high = s.low[k], s.high[k]
	if s.edge.Contains(row) {
		high++
	}
	return low, high
}

// sum is the size of a set with the bounds between which it must lie.
func (s sizing) sum(rows *roaring.Bitmap) (b sweep.Bytes) {
	for it := rows.Iterator(); it.HasNext(); {
		row := it.Next()
		low, high := s.bounds(row)
		b.Estimate, b.Low, b.High = b.Estimate+s.of(row), b.Low+low, b.High+high
	}
	b.Exact = b.Low == b.High
	return b
}

// blocks counts a set by size class. exact is false when a message's class is not known, be it by a byte.
func (s sizing) blocks(rows *roaring.Bitmap) (out []sweep.SizeBlock, exact bool) {
	for k := 0; k <= len(s.steps); k++ {
		b := sweep.SizeBlock{From: s.low[k]}
		if k < len(s.steps) {
			b.To = s.steps[k] + 1
		}
		out = append(out, b)
	}
	exact = len(s.steps) > 0
	for it := rows.Iterator(); it.HasNext(); {
		row := it.Next()
		k := int(s.class[row])
		exact = exact && (s.ix.sizes.at(row) != 0 || !s.edge.Contains(row))
		if k > len(s.steps) {
			exact = false
			continue
		}
		out[k].Messages++
	}
	return out, exact
}

// OnEdge is the messages in the edge dimension whose exact size is not known.
func (ix *Index) OnEdge() []sweep.MessageID {
	d := ix.dims[EdgeDimension]
	if d == nil {
		return nil
	}
	rows := roaring.And(d.yes, ix.counted())
	for _, row := range rows.ToArray() {
		if ix.sizes.at(row) != 0 {
			rows.Remove(row)
		}
	}
	return ix.IDs(rows, OldestFirst)
}
