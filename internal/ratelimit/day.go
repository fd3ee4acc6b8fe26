package ratelimit

import (
	"context"
	"time"
	_ "time/tzdata" // Google's day must not depend on the machine's files
)

// Day is what all accounts together have booked of our Google project's units in a day of Google's, and when the next begins.
type Day struct {
	Units int64
	Ends  time.Time
}

// googleDay is the zone in which Google counts days of quota: midnight is Pacific Time's.
var googleDay = func() *time.Location {
	zone, err := time.LoadLocation("America/Los_Angeles")
	if err != nil {
		panic(err) // the zones are part of the program
	}
	return zone
}()

func dayOf(t time.Time) (name string, ends time.Time) {
	y, m, d := t.In(googleDay).Date()
	return t.In(googleDay).Format("20060102"), time.Date(y, m, d+1, 0, 0, 0, 0, googleDay).UTC()
}

// dayBegan is when the day began in which t is.
func dayBegan(t time.Time) time.Time {
	y, m, d := t.In(googleDay).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, googleDay).UTC()
}

// Day is the ledger as of now. Each process remembers what it saw last, so an emptied Redis takes nothing back that a living process knows
// of; what no living one knows is known from Recorded. What was booked while Redis was away is counted by the process that booked it.
func (g *Governor) Day(ctx context.Context) Day {
	name, ends := dayOf(time.Now())
	g.recallDay(ctx, name)
	var told float64
	err := g.link.try(ctx, g.Log, func(ctx context.Context) (err error) {
		told, err = g.Redis.Get(ctx, dayKey(name)).Float64()
		return ignoreNil(err)
	})
	g.mu.Lock()
	defer g.mu.Unlock()
	if err == nil {
		g.known.spend(name, told)
	}
	return Day{Units: int64(g.known.spentOn(name)), Ends: ends}
}

// recallDay learns once what was recorded of the day before this process began. The next booking tells Redis.
func (g *Governor) recallDay(ctx context.Context, name string) {
	g.recalling.Lock()
	defer g.recalling.Unlock()
	if g.Recorded == nil || g.recalled {
		return
	}
	units, err := g.Recorded(ctx, dayBegan(time.Now()))
	if err != nil {
		return // it is asked again at the next look
	}
	g.recalled = true
	g.mu.Lock()
	defer g.mu.Unlock()
	g.known.spend(name, float64(units))
}

// today is the day and what this process knows to be booked of it.
func (g *Governor) today() (name string, spent float64) {
	name, _ = dayOf(time.Now())
	g.mu.Lock()
	defer g.mu.Unlock()
	return name, g.known.spentOn(name)
}

// spend remembers the most that was told of a day; a new day takes the place of the old.
func (m *memory) spend(day string, spent float64) {
	if day > m.day {
		m.day, m.spent = day, 0
	}
	if day == m.day {
		m.spent = max(m.spent, spent)
	}
}

func (m *memory) spentOn(day string) float64 {
	if day != m.day {
		return 0
	}
	return m.spent
}
