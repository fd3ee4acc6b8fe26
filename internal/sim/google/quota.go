package google

import (
	"maps"
	"sync"
	"time"
)

// Tariff is what Gmail's methods cost in quota units, and how many units a minute has.
type Tariff struct {
	PerUserMinute    int
	PerProjectMinute int
	PerProjectDay    int            // Google's threshold for billing; 0 means none
	Units            map[string]int // by method: "messages.list"
	Metric, Limit    string         // names in the bodies of refusals
}

// TariffNew is the tariff of projects created since 2026-05-01 (developers.google.com/workspace/gmail/api/reference/quota).
func TariffNew() Tariff {
	return Tariff{
		PerUserMinute: 6000, PerProjectMinute: 1_200_000, PerProjectDay: 80_000_000,
		Metric: "gmail.googleapis.com/total_query_cost", Limit: "TotalQueryCostPerMinutePerUser",
		Units: map[string]int{
			"getProfile": 1, "labels.list": 1, "labels.get": 1, "labels.create": 5, "labels.update": 5, "labels.patch": 5, "labels.delete": 5,
			"history.list": 2, "messages.list": 5, "messages.get": 20, "messages.modify": 5, "messages.batchModify": 50,
			"messages.batchDelete": 50, "messages.delete": 10, "messages.trash": 20, "messages.untrash": 5,
			"threads.list": 10, "threads.get": 40, "threads.modify": 10, "threads.trash": 20, "threads.untrash": 10, "threads.delete": 20,
			"messages.attachments.get": 20, "messages.insert": 25, "messages.import": 25, "messages.send": 100,
			"drafts.list": 5, "drafts.get": 20, "drafts.send": 100, "watch": 100, "stop": 50,
			"settings.filters.list": 1, "settings.filters.get": 1, "settings.filters.create": 5, "settings.filters.delete": 5,
		},
	}
}

// TariffOld is the tariff of projects that used the API between 2025-11 and 2026-04.
func TariffOld() Tariff {
	t := TariffNew()
	t.PerUserMinute, t.PerProjectDay = 15_000, 0
	t.Metric, t.Limit = "gmail.googleapis.com/default", "defaultPerMinutePerUser"
	maps.Copy(t.Units, map[string]int{"messages.get": 5, "messages.trash": 5, "threads.get": 10, "threads.trash": 10,
		"messages.attachments.get": 5, "drafts.get": 5})
	return t
}

// quota counts units per user and per project, over the last minute or in whole ones, and the project's over the day.
type quota struct {
	tariff Tariff
	span   time.Duration
	fixed  bool

	mu      *sync.Mutex
	users   map[string]*window
	project *window
	day     Day
}

// Day is what the project has spent in a day of Gmail's time.
type Day struct {
	Began    time.Time `json:"began"`
	Units    int       `json:"units"`
	Limit    int       `json:"limit"`
	Exceeded time.Time `json:"exceeded,omitzero"` // when Units first passed Limit
}

type spent struct {
	from, at time.Time // of the first and of the last of the calls in it
	units    int
}

// window is what was spent during the last span, oldest first. Calls that follow each other closely share an entry, which leaves with the
// last of them, so that no span is ever told to hold less than it does.
type window struct {
	log  []spent
	gone int // entries at the front that have left
	sum  int
}

// grains is how many entries a span has at most.
const grains = 4096

func newQuota(t Tariff, span time.Duration, fixed bool) quota {
	return quota{tariff: t, span: span, fixed: fixed, day: Day{Limit: t.PerProjectDay}, mu: &sync.Mutex{}, users: map[string]*window{}, project: &window{}}
}

// take spends units if both windows have room; else it says which has none and when it will have.
// With charge set, what is refused is spent all the same.
func (q *quota) take(user string, units int, now time.Time, charge bool) (ok bool, perUser bool, retry time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	w := q.users[user]
	if w == nil {
		w = &window{}
		q.users[user] = w
	}
	from := now.Add(-q.span)
	w.forget(from)
	q.project.forget(from)
	fitsUser := w.sum+units <= q.tariff.PerUserMinute
	fits := fitsUser && q.project.sum+units <= q.tariff.PerProjectMinute
	if !fits {
		retry = q.project.room(units, q.tariff.PerProjectMinute, now).Add(q.span)
	}
	if !fitsUser {
		retry = w.room(units, q.tariff.PerUserMinute, now).Add(q.span)
	}
	if fits || charge {
		at := now
		if q.fixed { // as if all were spent when the minute began
			at = now.Truncate(q.span)
		}
		w.spend(at, units, q.span/grains)
		q.project.spend(at, units, q.span/grains)
		q.spendDay(now, units)
	}
	return fits, !fitsUser, retry
}

const minutesOfDay = 24 * 60

func (q *quota) spendDay(now time.Time, units int) {
	if began := now.Truncate(minutesOfDay * q.span); began.After(q.day.Began) {
		q.day = Day{Began: began, Limit: q.day.Limit}
	}
	q.day.Units += units
	if q.day.Limit > 0 && q.day.Units > q.day.Limit && q.day.Exceeded.IsZero() {
		q.day.Exceeded = now
	}
}

// today tells the day's ledger, and whether it is over its limit.
func (q *quota) today(now time.Time) (d Day, over bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.spendDay(now, 0)
	return q.day, q.day.Limit > 0 && q.day.Units >= q.day.Limit
}

func (w *window) spend(now time.Time, units int, grain time.Duration) {
	w.sum += units
	if n := len(w.log) - 1; n >= w.gone && now.Sub(w.log[n].from) < grain {
		w.log[n].at = now
		w.log[n].units += units
		return
	}
	w.log = append(w.log, spent{now, now, units})
}

func (w *window) forget(from time.Time) {
	for w.gone < len(w.log) && !w.log[w.gone].at.After(from) {
		w.sum -= w.log[w.gone].units
		w.gone++
	}
	if w.gone > len(w.log)/2 {
		w.log = w.log[:copy(w.log, w.log[w.gone:])]
		w.gone = 0
	}
}

// room is the time of the newest entry that must leave before the units fit.
func (w *window) room(units, limit int, now time.Time) time.Time {
	sum := w.sum
	for _, s := range w.log[w.gone:] {
		sum -= s.units
		if sum+units <= limit {
			return s.at
		}
	}
	return now
}
