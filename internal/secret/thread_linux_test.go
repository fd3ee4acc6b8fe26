package secret

import (
	"errors"
	"runtime"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// niceness of the calling thread.
func niceness(t *testing.T) int {
	t.Helper()
	n, err := syscall.Getpriority(syscall.PRIO_PROCESS, 0)
	if err != nil {
		t.Fatal(err)
	}
	return 20 - n
}

// PWD-8: a hash gives way to whoever else wants the core, and leaves the priority of other threads as it was.
func TestAHashIsMadeByAThreadOfLowerPriority(t *testing.T) {
	t.Parallel()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	usual := niceness(t)
	p := passwords()
	p.Nice = 5
	during, slice := 0, uint64(0)
	p.aside(func() {
		during = niceness(t)
		if attr, err := unix.SchedGetAttr(0, 0); err == nil {
			slice = attr.Runtime
		}
	})
	if slice != 0 && slice != uint64(longSlice) { // 0: this kernel knows no slices
		t.Errorf("a hash is made in slices of %d ns", slice)
	}
	if want := min(19, usual+5); during != want {
		t.Errorf("a hash is made at %d, want %d", during, want)
	}
	for range 50 { // each may come upon a thread that hashed
		seen := make(chan int)
		go func() { seen <- niceness(t) }()
		if n := <-seen; n != usual {
			t.Fatalf("a thread is left at %d instead of %d", n, usual)
		}
	}
	stored, err := p.Hash(t.Context(), "a pass phrase")
	if err != nil {
		t.Fatal(err)
	}
	if ok, _, err := p.Verify(t.Context(), stored, "a pass phrase"); err != nil || !ok {
		t.Errorf("%v, %v", ok, err)
	}
}

// THR-5: what nobody's password costs is what a person's does. It is the thread's own time: others who want the core are not counted.
func TestUnknownUsersTakeAsLong(t *testing.T) {
	t.Parallel()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p := passwords()
	p.Cost = 6
	stored := hashed(t, p, "pw")
	slot, err := p.Enter(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer slot.Leave()
	known, unknown := time.Hour, time.Hour
	for range 7 {
		known = min(known, worked(t, func() { _, _, _ = slot.Verify(stored, "wrong") }))
		unknown = min(unknown, worked(t, func() { _ = slot.VerifyNothing("wrong") }))
	}
	if ratio := float64(unknown) / float64(known); ratio < 0.67 || ratio > 1.5 {
		t.Errorf("known %v, unknown %v", known, unknown)
	}
}

// worked is how long the calling thread works on f.
func worked(t *testing.T, f func()) time.Duration {
	t.Helper()
	var before, after unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &before)
	f()
	if err = errors.Join(err, unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &after)); err != nil {
		t.Fatal(err)
	}
	return time.Duration(after.Nano() - before.Nano())
}
