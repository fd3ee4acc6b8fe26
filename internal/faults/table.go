package main

import (
	"context"
	"time"
)

// fault is one row of the list: what is done, how often, and how fast everything must be back.
type fault struct {
	id, title   string
	short, full int           // how often: in a short run, in a full one
	bound       time.Duration // of each recovery; zero: none is measured
	takes       time.Duration // about, in a short run
	core        bool          // in every short run
	settings    map[string]string
	run         func(context.Context, *drill) error
}

// drill is one fault at work.
type drill struct {
	*rig
	v    *verdict
	n    int
	full bool
}

func faults() []fault {
	return []fault{
		{id: "F-01", title: "kill -9 worker mid-batch, random points", short: 2, full: 200, bound: 25 * time.Second, takes: 50 * time.Second, core: true, run: killedWorkers},
		{id: "F-02", title: "kill -9 at a step of a cleanup, on the wire", short: 6, full: 68, bound: 60 * time.Second, takes: 75 * time.Second, run: killedAtPoints},
		{id: "F-03", title: "SIGTERM of all workers in turn, under load", short: 2, full: 20, bound: 30 * time.Second, takes: 25 * time.Second, run: rolled},
		{id: "F-04", title: "kill -9 API during submits", short: 2, full: 20, bound: 10 * time.Second, takes: 30 * time.Second, core: true, run: killedAPIs},
		{id: "F-05", title: "three schedulers at the turn of a month, one killed", short: 1, full: 50, bound: 150 * time.Second, takes: 25 * time.Second, settings: own(), run: schedulers},
		{id: "F-06", title: "PostgreSQL stops at once and restarts, under load", short: 2, full: 10, bound: 5 * time.Second, takes: 50 * time.Second, run: crashedPostgres},
		{id: "F-07", title: "PostgreSQL frozen, slow, reset, silent", short: 4, full: 8, bound: 10 * time.Second, takes: 110 * time.Second, run: frozenPostgres},
		{id: "F-08", title: "Redis killed, restarts empty", short: 2, full: 10, bound: 20 * time.Second, takes: 30 * time.Second, run: forgetful},
		{id: "F-09", title: "FLUSHALL mid-run", short: 2, full: 10, bound: 20 * time.Second, takes: 30 * time.Second, core: true, run: flushed},
		{id: "F-10", title: "Redis away while jobs are submitted", short: 1, full: 1, bound: 60 * time.Second, takes: 50 * time.Second, run: without},
		{id: "F-11", title: "Redis full; a Redis that would evict", short: 1, full: 5, bound: 20 * time.Second, takes: 15 * time.Second, run: crammed},
		{id: "F-12", title: "network: 5 % resets, 300 ms, silence", short: 3, full: 12, bound: 10 * time.Second, takes: 120 * time.Second, run: badNetwork},
		{id: "F-13", title: "Gmail refuses: 429, 403, 5xx, Retry-After", short: 2, full: 7, bound: 90 * time.Second, takes: 65 * time.Second, run: stormed},
		{id: "F-14", title: "Gmail's answers are lost after the effect, or cut", short: 2, full: 20, takes: 75 * time.Second, run: halfHeard},
		{id: "F-15", title: "consent taken back mid-job", short: 2, full: 100, bound: 10 * time.Second, takes: 70 * time.Second, run: revoked},
		{id: "F-16", title: "clocks jump and differ between programs", short: 2, full: 10, bound: 60 * time.Second, takes: 45 * time.Second, settings: own(), run: jumped},
		{id: "F-17", title: "a month turns while jobs run", short: 1, full: 5, takes: 45 * time.Second, settings: own(), run: monthTurns},
		{id: "F-18", title: "Stripe's events: 50 times, in any order, again, never", short: 1, full: 20, bound: 60 * time.Second, takes: 40 * time.Second, run: told,
			settings: map[string]string{"TRUSTED_PROXIES": "127.0.0.0/8"}}, // each sign-up from an address of its own
		{id: "F-19", title: "Stripe: 429, 500, too late, answers lost after the effect", short: 8, full: 125, takes: 80 * time.Second, run: crossed},
		{id: "F-20", title: "deploy under load: a migration down and up, all restarted", short: 1, full: 10, bound: 30 * time.Second, takes: 60 * time.Second, run: deployed},
		{id: "F-21", title: "every kind of key changed under load: sealing, signing, pepper, webhooks, API keys", short: 1, full: 10, bound: 60 * time.Second, takes: 75 * time.Second, run: rotated, // each from an address of their own
			settings: map[string]string{"TRUSTED_PROXIES": "127.0.0.0/8"}},
		{id: "F-22", title: "a tenant deleted, downgraded, its key revoked, while jobs run", short: 1, full: 10, takes: 75 * time.Second, run: forsaken},
		{id: "F-23", title: "a job that kills whoever takes it", short: 1, full: 5, bound: 150 * time.Second, takes: 95 * time.Second, run: poisoned},
		{id: "F-24", title: "a big mailbox, a worker with GOMEMLIMIT=256MiB", short: 1, full: 3, takes: 110 * time.Second, settings: map[string]string{"GOMEMLIMIT": "256MiB"}, run: bigMailbox},
		{id: "F-25", title: "logs that nobody reads; a full disk for logs", short: 2, full: 10, takes: 70 * time.Second, run: blocked},
		{id: "F-26", title: "the database restored from a backup made mid-run", short: 1, full: 5, bound: 90 * time.Second, takes: 65 * time.Second, settings: own(), run: restored},
		{id: "F-27", title: "soak: a mix of all, by the minute", short: 1, full: 30, takes: 110 * time.Second, run: soaked},
		{id: "J-01", title: "a worker sleeps past its lease (SIGSTOP) and wakes", short: 1, full: 10, bound: 25 * time.Second, takes: 45 * time.Second, run: asleep},
		{id: "J-02", title: "a deaf handler at shutdown", short: 1, full: 10, bound: 35 * time.Second, takes: 110 * time.Second, run: deaf,
			settings: map[string]string{"SHUTDOWN_TIMEOUT": shutdownTime.String()}},
		{id: "J-03", title: "asynq's leases deleted, its tasks orphaned", short: 2, full: 20, bound: 40 * time.Second, takes: 60 * time.Second, run: gnawed},
		{id: "J-04", title: "two dispatchers: the leader's lock taken away", short: 2, full: 20, takes: 45 * time.Second, run: rivals},
		{id: "J-05", title: "a task sent, the answer lost, sent again", short: 5, full: 50, bound: 20 * time.Second, takes: 15 * time.Second, run: deafened},
		{id: "J-07", title: "kill -9 at a step of a purchase, on the wire", short: 4, full: 48, bound: 60 * time.Second, takes: 60 * time.Second, run: killedBuying},
		{id: "J-06", title: "cancel before, during and after", short: 1, full: 20, bound: 5 * time.Second, takes: 65 * time.Second, run: called},
	}
}
