package telemetry

import (
	"io"
	"sync/atomic"
	"time"
)

// lossyRoom is how many lines may wait for a slow reader.
const lossyRoom = 4096

// Lossy writes lines in the background and never makes anybody wait: a reader that stopped, or a full disk, costs lines and not requests.
// Lines that were lost are counted, and Tell's function hears of them when writing works again.
type Lossy struct {
	w     io.Writer
	lines chan []byte
	lost  atomic.Int64
	tell  atomic.Pointer[func(lost int64)]
	ended chan struct{}
}

// NewLossy begins to write to w, until Close.
func NewLossy(w io.Writer) *Lossy {
	l := &Lossy{w: w, lines: make(chan []byte, lossyRoom), ended: make(chan struct{})}
	go l.run()
	return l
}

// Tell sets who is told, from the writing goroutine, that so many lines were lost. It may write.
func (l *Lossy) Tell(f func(lost int64)) { l.tell.Store(&f) }

// Lost counts the lines that were lost and not yet told.
func (l *Lossy) Lost() int64 { return l.lost.Load() }

// Write takes a line; it never fails and never blocks.
func (l *Lossy) Write(line []byte) (int, error) {
	select {
	case l.lines <- append([]byte(nil), line...): // the caller uses its buffer again
	default:
		l.lost.Add(1)
	}
	return len(line), nil
}

func (l *Lossy) run() {
	defer close(l.ended)
	for line := range l.lines {
		if line == nil {
			return
		}
		if _, err := l.w.Write(line); err != nil {
			l.lost.Add(1)
			continue
		}
		if tell := l.tell.Load(); tell != nil && l.lost.Load() > 0 {
			(*tell)(l.lost.Swap(0))
		}
	}
}

// Close writes what waits, for as long as limit. What is written afterwards is lost.
func (l *Lossy) Close(limit time.Duration) {
	over := time.After(limit)
	select {
	case l.lines <- nil:
	case <-over:
		return
	}
	select {
	case <-l.ended:
	case <-over:
	}
}
