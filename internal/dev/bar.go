package main

import (
	"fmt"
	"strings"
	"time"

	"mailsweep/internal/dev/customer"
)

// bar shows a job's progress: one moving line on a terminal, plain lines elsewhere.
type bar struct {
	title string
	since time.Time
	last  string
	said  time.Time
}

func newBar(title string) *bar { return &bar{title: title, since: time.Now()} }

func (b *bar) show(j customer.Job) {
	const width = 28
	done := min(width, j.Progress.Percent*width/100)
	if terminal {
		fmt.Printf("\r  %-9s %s%s %3d %%  %-28.28s %d/%d\033[K", b.title, strings.Repeat("█", done), strings.Repeat("░", width-done), j.Progress.Percent, j.Phase, j.Progress.Done, j.Progress.Total)
		return
	}
	if j.Phase != b.last || time.Since(b.said) > 5*time.Second {
		b.last, b.said = j.Phase, time.Now()
		fmt.Printf("  %-9s %5.1f s  %3d %%  %s  %d of %d\n", b.title, time.Since(b.since).Seconds(), j.Progress.Percent, j.Phase, j.Progress.Done, j.Progress.Total)
	}
}

func (b *bar) end(j customer.Job) {
	if terminal {
		fmt.Print("\r\033[K")
	}
	fmt.Printf("  %-9s %s in %.1f s for %d Gmail units\n", b.title, j.State, time.Since(b.since).Seconds(), j.UnitsSpent)
}
