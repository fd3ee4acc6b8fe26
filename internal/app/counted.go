package app

import (
	"mailsweep/internal/cleanup"
	"mailsweep/internal/queue"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// Bounds in seconds: of what takes milliseconds in health, and of what takes from a second to hours.
func quick() []float64 {
	return []float64{.001, .002, .004, .008, .016, .032, .064, .125, .25, .5, 1, 2, 5, 15, 60, 300, 1800}
}

func long() []float64 { return []float64{.05, .1, .25, .5, 1, 2.5, 5, 15, 60, 300, 900, 3600, 14400} }

// ended counts the jobs that this process ended.
func (f figures) ended() func(store.Ended) {
	n := f.counter("mailsweep_jobs_ended_total", "Jobs that are over. The code says why one failed.", "kind", "state", "code")
	ran := f.seconds("mailsweep_job_run_seconds", "Time of jobs from their first claim to their end, with all they waited for.", long(), "kind", "state")
	for _, k := range sweep.Kinds() {
		n.WithLabelValues(string(k), string(sweep.Failed), string(sweep.Internal)) // an increase shows only from a figure that was there
	}
	return func(e store.Ended) {
		n.WithLabelValues(string(e.Kind), string(e.State), string(e.Code)).Inc()
		if e.Ran > 0 {
			ran.WithLabelValues(string(e.Kind), string(e.State)).Observe(e.Ran.Seconds())
		}
	}
}

// claims counts what a worker does.
func (f figures) claims() func(cleanup.Moment) {
	running := f.gauge("mailsweep_claims_running", "Jobs that this process is at work on.", "kind")
	start := f.seconds("mailsweep_job_start_seconds", "Time from a job's submission to its first claim.", quick(), "kind")
	claims := f.seconds("mailsweep_claim_seconds", "Time that a claim had its worker, by how it ended.", long(), "kind", "outcome")
	retries := f.counter("mailsweep_job_retries_total", "Claims that ended before their job, by cause.", "kind", "cause")
	batches := f.seconds("mailsweep_batch_seconds", "Time of a batch from its intent to its row in the ledger, the Gmail call between.", long(), "kind")
	fences := f.counter("mailsweep_fences_total", "Times that the fence refused somebody who came late: a task that wanted to claim, a claim that wanted to write; and of tasks whose customer does not have their job.", "at")
	for _, k := range sweep.Kinds() {
		retries.WithLabelValues(string(k), "broke") // as for jobs that failed
	}
	fences.WithLabelValues("claim")
	fences.WithLabelValues("write")
	fences.WithLabelValues("customer")
	return func(m cleanup.Moment) {
		kind := string(m.Kind)
		switch m.What {
		case cleanup.Claimed:
			running.WithLabelValues(kind).Inc()
			if m.First {
				start.WithLabelValues(kind).Observe(m.Took.Seconds())
			}
		case cleanup.Left:
			running.WithLabelValues(kind).Dec()
			claims.WithLabelValues(kind, m.Cause).Observe(m.Took.Seconds())
			if m.Again {
				retries.WithLabelValues(kind, m.Cause).Inc()
			}
		case cleanup.Batched:
			batches.WithLabelValues(kind).Observe(m.Took.Seconds())
		case cleanup.Fenced:
			fences.WithLabelValues("write").Inc()
		case cleanup.Stale:
			fences.WithLabelValues("claim").Inc()
		case cleanup.Foreign:
			fences.WithLabelValues("customer").Inc()
		}
	}
}

// rounds counts the looks of a dispatcher or a sweeper while it leads.
func (f figures) rounds(of string) func(queue.Round) {
	leads := f.gauge("mailsweep_"+of+"_leads", "1 while this process's "+of+" leads; of all processes one does.").WithLabelValues()
	took := f.seconds("mailsweep_"+of+"_round_seconds", "Time of a look of the "+of+" that leads.", quick()).WithLabelValues()
	return func(r queue.Round) {
		leads.Set(number(r.Leads))
		if r.Leads {
			took.Observe(r.Took.Seconds())
		}
	}
}

// dispatched counts what a dispatcher sends, beside its rounds.
func (f figures) dispatched() func(queue.Round) {
	rounds := f.rounds("dispatcher")
	sent := f.counter("mailsweep_dispatched_total", "Tasks sent to Redis.", "what")
	jobs, posts := sent.WithLabelValues("job"), sent.WithLabelValues("post")
	return func(r queue.Round) {
		rounds(r)
		jobs.Add(float64(r.Jobs))
		posts.Add(float64(r.Posts))
	}
}

// repairs counts what a sweeper put right.
func (f figures) repairs() func(queue.Reason, int) {
	n := f.counter("mailsweep_repairs_total", "What the sweeper put right, by reason.", "reason")
	for _, r := range queue.Reasons() {
		n.WithLabelValues(string(r))
	}
	return func(r queue.Reason, by int) { n.WithLabelValues(string(r)).Add(float64(by)) }
}

// streams tells how many streams of progress are open.
func (f figures) streams() func(by int) {
	open := f.gauge("mailsweep_streams_open", "Open streams of jobs' progress.").WithLabelValues()
	return func(by int) { open.Add(float64(by)) }
}
