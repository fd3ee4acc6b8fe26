package app

import (
	"context"

	"github.com/prometheus/client_golang/prometheus"

	"mailsweep/internal/queue"
	"mailsweep/internal/ratelimit"
)

// mostCounted is where counts of jobs and posts stop: a look costs the same whatever has piled up.
const mostCounted = 10_000

// own tells of the process itself: whether it is ready, on what it depends, and its pools.
func (p *parts) own() prometheus.Collector {
	l := &looks{}
	ready := l.desc("mailsweep_ready", "1 while the process is ready for work.")
	up := l.desc("mailsweep_dependency_up", "1 while what the process depends on is in order.", "dependency")
	db, redis := l.database(p), l.redis(p)
	l.look = func(ctx context.Context, c chan<- prometheus.Metric) {
		checks, ok := p.ready(ctx)
		gauge(c, ready, number(ok))
		for name, state := range checks {
			gauge(c, up, number(state == "ok"), name)
		}
		db(c)
		redis(c)
	}
	return l
}

func (l *looks) database(p *parts) func(chan<- prometheus.Metric) {
	conns := l.desc("mailsweep_db_connections", "Connections of this process's pool.", "state")
	waits := l.desc("mailsweep_db_waits_total", "Times that a caller found no free connection.")
	waited := l.desc("mailsweep_db_wait_seconds_total", "Time that callers waited for a connection.")
	return func(c chan<- prometheus.Metric) {
		s := p.db.Stat()
		gauge(c, conns, float64(s.AcquiredConns()), "acquired")
		gauge(c, conns, float64(s.IdleConns()), "idle")
		gauge(c, conns, float64(s.MaxConns()), "max")
		total(c, waits, float64(s.EmptyAcquireCount()))
		total(c, waited, s.EmptyAcquireWaitTime().Seconds())
	}
}

func (l *looks) redis(p *parts) func(chan<- prometheus.Metric) {
	conns := l.desc("mailsweep_redis_connections", "Connections of this process's pool.", "state")
	waits := l.desc("mailsweep_redis_waits_total", "Times that a caller waited for a free connection.")
	timeouts := l.desc("mailsweep_redis_timeouts_total", "Times that a caller got no connection in time.")
	return func(c chan<- prometheus.Metric) {
		s := p.redis.PoolStats()
		gauge(c, conns, float64(s.TotalConns-s.IdleConns), "acquired")
		gauge(c, conns, float64(s.IdleConns), "idle")
		total(c, waits, float64(s.WaitCount))
		total(c, timeouts, float64(s.Timeouts))
	}
}

// day tells what is booked of our Google project's day. Every worker tells the same of all together.
func (p *parts) day(governor *ratelimit.Governor) prometheus.Collector {
	l := &looks{}
	booked := l.desc("mailsweep_gmail_day_units", "Gmail units that all workers have booked since midnight Pacific Time.")
	bound := l.desc("mailsweep_gmail_day_budget", "GMAIL_DAY_UNITS; 0 means no bound.")
	first := l.desc("mailsweep_gmail_day_sheds", "Booked units from which on the first kind of new work waits for the next day, by GMAIL_DAY_SHARES; 0 means none does.")
	l.look = func(ctx context.Context, c chan<- prometheus.Metric) {
		gauge(c, booked, float64(governor.Day(ctx).Units))
		gauge(c, bound, float64(p.cfg.Gmail.DayUnits))
		gauge(c, first, float64(dayBudget(p.cfg.Gmail).First()))
	}
	return l
}

// whole tells of the service as a whole, from PostgreSQL and Redis. Only the scheduler does, so that the figures stand once; where the
// database does not answer they are missing, and its absence shows in mailsweep_dependency_up.
func (p *parts) whole() prometheus.Collector {
	l := &looks{}
	parts := []func(context.Context, chan<- prometheus.Metric){l.jobs(p), l.posts(p), l.duties(p), l.tasks(p)}
	l.look = func(ctx context.Context, c chan<- prometheus.Metric) {
		for _, look := range parts {
			look(ctx, c)
		}
	}
	return l
}

func (l *looks) jobs(p *parts) func(context.Context, chan<- prometheus.Metric) {
	n := l.desc("mailsweep_jobs_open", "Jobs that are not over, counted up to 10,000 of a kind.", "kind", "state")
	late := l.desc("mailsweep_jobs_late_seconds",
		"Wait of the job that has waited longest: queued since it may run, dispatched since it was sent, running since its lease ended.", "kind", "state")
	return func(ctx context.Context, c chan<- prometheus.Metric) {
		open, err := p.db.OpenJobs(ctx, mostCounted)
		if err != nil {
			return
		}
		for _, o := range open {
			gauge(c, n, float64(o.N), string(o.Kind), string(o.State))
			gauge(c, late, o.Late.Seconds(), string(o.Kind), string(o.State))
		}
	}
}

func (l *looks) posts(p *parts) func(context.Context, chan<- prometheus.Metric) {
	n := l.desc("mailsweep_outbox_unsent", "Posts that are not sent yet, counted up to 10,000.")
	age := l.desc("mailsweep_outbox_age_seconds", "Age of the oldest post that is not sent yet.")
	return func(ctx context.Context, c chan<- prometheus.Metric) {
		unsent, oldest, err := p.db.UnsentPosts(ctx, mostCounted)
		if err != nil {
			return
		}
		gauge(c, n, float64(unsent))
		gauge(c, age, oldest.Seconds())
	}
}

func (l *looks) duties(p *parts) func(context.Context, chan<- prometheus.Metric) {
	late := l.desc("mailsweep_duty_late_seconds", "For how long a duty has been due and not done.", "duty")
	return func(ctx context.Context, c chan<- prometheus.Metric) {
		all, err := p.db.DutiesLate(ctx)
		if err != nil {
			return
		}
		for name, d := range all {
			gauge(c, late, d.Seconds(), name)
		}
	}
}

func (l *looks) tasks(p *parts) func(context.Context, chan<- prometheus.Metric) {
	tasks := l.desc("mailsweep_queue_tasks", "Tasks in Redis.", "queue", "state")
	return func(ctx context.Context, c chan<- prometheus.Metric) {
		sizes, err := queue.Sizes(ctx, p.redis)
		if err != nil {
			return
		}
		for _, s := range sizes {
			gauge(c, tasks, float64(s.N), s.Queue, s.State)
		}
	}
}

func number(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
