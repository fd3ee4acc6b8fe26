package google

import (
	"hash/fnv"
	"math"
	"sync"
)

// dice are the Sim's chances. Each is a hash of the seed, of what is decided, and of how often that was decided before: concurrent
// calls cannot take each other's, and the same seed gives the same run.
type dice struct {
	seed   uint64
	mu     sync.Mutex
	thrown map[string]uint64
}

// throw gives the next chance for what is decided, in (0, 1).
func (d *dice) throw(what string) float64 {
	d.mu.Lock()
	if d.thrown == nil {
		d.thrown = map[string]uint64{}
	}
	d.thrown[what]++
	n := d.thrown[what]
	d.mu.Unlock()
	return d.nth(what, n)
}

// nth is the n-th chance for what is decided.
func (d *dice) nth(what string, n uint64) float64 {
	h := fnv.New64a()
	h.Write([]byte(what)) //nolint:errcheck // a hash never fails
	x := h.Sum64() ^ d.seed*0x9E3779B97F4A7C15 ^ n*0xD1B54A32D192ED03
	for range 2 { // splitmix64's finish
		x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
		x = (x ^ x>>27) * 0x94D049BB133111EB
		x ^= x >> 31
	}
	return (float64(x>>11) + 0.5) / (1 << 53)
}

// normal is a standard normal variate from a chance.
func normal(p float64) float64 { return math.Sqrt2 * math.Erfinv(2*p-1) }
