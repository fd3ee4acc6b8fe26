package secret

import (
	"time"

	"golang.org/x/sys/unix"
)

// longSlice is how long a thread that hashes may go on while nobody with a shorter slice wants its core. A thread that wakes up takes the core
// at once from one whose slice is longer than its own; lower priority alone lets it wait for the end of a slice (Linux 6.12 and later; before, a
// slice is not a thread's to choose, and this is passed over).
const longSlice = 20 * time.Millisecond

// nicer lowers the calling thread's priority, and its right to end what it has begun. Where that is not allowed it stays as it is.
func nicer(by int) {
	const threadItself = 0
	attr, err := unix.SchedGetAttr(threadItself, 0)
	if err != nil {
		return
	}
	attr.Nice, attr.Runtime = min(19, attr.Nice+int32(by)), uint64(longSlice.Nanoseconds())
	if err := unix.SchedSetAttr(threadItself, attr, 0); err != nil {
		return
	}
}
