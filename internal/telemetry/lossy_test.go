package telemetry_test

import (
	"bytes"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/telemetry"
)

// gate is a writer that hangs or fails until it is opened.
type gate struct {
	open chan struct{}
	mu   sync.Mutex
	full bool
	got  bytes.Buffer
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.full {
		return 0, errors.New("no space left on device")
	}
	return g.got.Write(p)
}

func TestALogThatNobodyReadsMakesNobodyWait(t *testing.T) {
	t.Parallel()
	g := &gate{open: make(chan struct{})}
	l := telemetry.NewLossy(g)
	told := make(chan int64, 10)
	l.Tell(func(lost int64) { told <- lost })
	const lines = 10_000
	for n := range lines {
		fmt.Fprintf(l, "line %d\n", n)
	}
	lost := l.Lost()
	require.Positive(t, lost)
	close(g.open)
	require.Equal(t, lost, <-told, "counted, and told when there is a reader again")
	l.Close(10 * time.Second)
	require.EqualValues(t, lines, int64(bytes.Count(g.got.Bytes(), []byte("\n")))+lost)
	require.Contains(t, g.got.String(), "line 0\nline 1\n")
}

func TestAFullDiskCostsLinesOnly(t *testing.T) {
	t.Parallel()
	g := &gate{open: make(chan struct{}), full: true}
	close(g.open)
	l := telemetry.NewLossy(g)
	fmt.Fprintln(l, "lost")
	l.Close(10 * time.Second)
	require.EqualValues(t, 1, l.Lost())
}

func TestClosingWaitsNoLongerThanItsLimit(t *testing.T) {
	t.Parallel()
	g := &gate{open: make(chan struct{})}
	t.Cleanup(func() { close(g.open) })
	l := telemetry.NewLossy(g)
	for range 5000 {
		fmt.Fprintln(l, "a line")
	}
	begun := time.Now()
	l.Close(50 * time.Millisecond)
	require.Less(t, time.Since(begun), 5*time.Second)
}
