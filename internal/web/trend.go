package web

import (
	"fmt"
	"strings"

	"mailsweep/internal/sweep"
)

// The size of a trend's picture in units of its own; it is stretched to the room that there is.
const (
	trendWide = 300
	trendHigh = 60
)

// trendPicture is how a mailbox became what it is: two surfaces over time, of all messages and of the unread ones.
type trendPicture struct {
	Points      []sweep.TrendPoint
	First, Last sweep.TrendPoint
	All, Unread string // corners of the surfaces
}

// Grown is by how many messages the mailbox grew, Shrunk by how many it became smaller.
func (t trendPicture) Grown() int { return t.Last.Messages - t.First.Messages }

// Shrunk is the other way round.
func (t trendPicture) Shrunk() int { return -t.Grown() }

// trendOf draws a trend; nil while there is nothing to compare.
func trendOf(points []sweep.TrendPoint) *trendPicture {
	if len(points) < 2 {
		return nil
	}
	return &trendPicture{
		Points: points, First: points[0], Last: points[len(points)-1],
		All:    surface(points, func(p sweep.TrendPoint) int { return p.Messages }),
		Unread: surface(points, func(p sweep.TrendPoint) int { return p.Unread }),
	}
}

// surface is the corners of what lies under a line: the height is that of the most messages there ever were, the width the whole time.
func surface(points []sweep.TrendPoint, of func(sweep.TrendPoint) int) string {
	first, most := points[0].At, 1
	for _, p := range points {
		most = max(most, p.Messages)
	}
	span := max(1, points[len(points)-1].At.Sub(first))
	var b strings.Builder
	fmt.Fprintf(&b, "0,%d", trendHigh)
	for _, p := range points {
		fmt.Fprintf(&b, " %.1f,%.1f", trendWide*float64(p.At.Sub(first))/float64(span), trendHigh*(1-float64(of(p))/float64(most)))
	}
	fmt.Fprintf(&b, " %d,%d", trendWide, trendHigh)
	return b.String()
}
