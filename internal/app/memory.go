package app

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// A worker's heap is the indexes that it works on, megabytes without a pointer each: to look through them costs the collector next to nothing,
// to leave room for their double costs that much memory. So the heap may grow by spare bytes, or where it is large by leastGrowth percent.
const (
	spare       = 12 << 20
	leastGrowth = 20
)

// collectSparingly sets the collector so after each of its cycles. GOGC, where it is set, stands in its place.
func collectSparingly() {
	if os.Getenv("GOGC") != "" {
		return
	}
	live, set := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}, 0
	var cycle func(*[16]byte)
	cycle = func(*[16]byte) {
		metrics.Read(live)
		if percent := growth(live[0].Value.Uint64()); percent != set { // setting it stops the world
			debug.SetGCPercent(percent)
			set = percent
		}
		runtime.SetFinalizer(new([16]byte), cycle)
	}
	cycle(nil)
}

// growth is by how many percent a heap may grow of which so much is in use.
func growth(live uint64) int {
	return int(min(100, max(leastGrowth, spare*100/max(1, live))))
}
