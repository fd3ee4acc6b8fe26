package app

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/cleanup"
	"mailsweep/internal/config"
	"mailsweep/internal/queue"
	"mailsweep/internal/ratelimit"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/telemetry"
)

// registries are what the three processes tell, made by the parts that tell it.
func registries() map[string]*prometheus.Registry {
	all := map[string]*prometheus.Registry{}
	of := func(process string) *parts {
		p := &parts{cfg: config.Config{Process: process}, figures: figures{telemetry.NewRegistry(process, telemetry.ReadBuild())}}
		p.figures.ended()
		p.ops(nil)
		all[process] = p.figures.Registry
		return p
	}
	api := of(config.API)
	api.figures.http()
	api.figures.streams()
	api.figures.billing()
	api.figures.stripe()
	api.dispatcher()
	api.sweeper()
	worker := of(config.Worker)
	worker.figures.gmail()
	worker.figures.offTariff(nil)
	worker.figures.MustRegister(worker.day(&ratelimit.Governor{}))
	worker.figures.claims()
	worker.figures.resealed()
	worker.keysets(nil)
	scheduler := of(config.Scheduler)
	scheduler.dispatcher()
	scheduler.sweeper()
	scheduler.figures.MustRegister(scheduler.whole(), scheduler.business())
	scheduler.figures.billing()
	scheduler.figures.stripe()
	return all
}

var described = regexp.MustCompile(`^Desc\{fqName: "(\w+)", help: ".*", constLabels: \{(.*)\}, variableLabels: \{(.*)\}\}$`)

// figure is one name in a registry with its labels.
type figure struct {
	name   string
	labels []string
}

// told lists the figures of a registry, those without a sample too.
func told(t *testing.T, r *prometheus.Registry) (all []figure) {
	t.Helper()
	descs := make(chan *prometheus.Desc, 1000)
	r.Describe(descs)
	close(descs)
	for d := range descs {
		parts := described.FindStringSubmatch(d.String())
		require.NotNil(t, parts, "%s", d)
		f := figure{name: parts[1]}
		for _, pair := range strings.Split(parts[2], ",") {
			if name, _, ok := strings.Cut(pair, "="); ok {
				f.labels = append(f.labels, name)
			}
		}
		if parts[3] != "" {
			f.labels = append(f.labels, strings.Split(parts[3], ",")...)
		}
		all = append(all, f)
	}
	return all
}

// What a label can say is one of a few words of ours: neither an id nor anything that a stranger could choose.
func TestFiguresHaveNoOtherLabelsThanThese(t *testing.T) {
	t.Parallel()
	allowed := []string{"kind", "state", "code", "outcome", "cause", "reason", "at", "what", "method", "route", "status", "queue", "duty", "dependency", "keyset", "place", "plan",
		"process", "version", "commit", "go"}
	for process, r := range registries() {
		figures := told(t, r)
		require.Greater(t, len(figures), 20, process)
		for _, f := range figures {
			for _, label := range f.labels {
				require.Contains(t, allowed, label, "%s: %s", process, f.name)
			}
		}
	}
}

// The list of the job platform, with the process that tells each.
func TestEachProcessTellsWhatOperatorsNeed(t *testing.T) {
	t.Parallel()
	everywhere := []string{"ready", "dependency_up", "db_connections", "db_waits_total", "redis_connections", "jobs_ended_total", "job_run_seconds"}
	rounds := []string{"dispatcher_leads", "dispatcher_round_seconds", "dispatched_total", "sweeper_leads", "sweeper_round_seconds", "repairs_total"}
	want := map[string][]string{
		config.API:       slices.Concat(everywhere, rounds, []string{"http_seconds", "streams_open", "stripe_events_total", "billing_alarms_total", "billing_drift_total", "stripe_call_seconds"}),
		config.Worker:    slices.Concat(everywhere, []string{"job_start_seconds", "claim_seconds", "claims_running", "batch_seconds", "job_retries_total", "fences_total", "gmail_units_total", "gmail_call_seconds", "gmail_day_units", "gmail_day_budget", "gmail_day_sheds", "gmail_off_tariff_total"}),
		config.Scheduler: slices.Concat(everywhere, rounds, []string{"jobs_open", "jobs_late_seconds", "outbox_unsent", "outbox_age_seconds", "duty_late_seconds", "queue_tasks", "month_sign_ups", "month_churned", "customers", "mrr_dollars", "month_gmail_units", "month_refused_customers"}),
	}
	for process, r := range registries() {
		var names []string
		for _, f := range told(t, r) {
			names = append(names, strings.TrimPrefix(f.name, "mailsweep_"))
		}
		require.Subset(t, names, want[process], process)
	}
}

// samples are the values of a registry by name and labels, a histogram's count for its value.
func samples(t *testing.T, r *prometheus.Registry) map[string]float64 {
	t.Helper()
	families, err := r.Gather()
	require.NoError(t, err)
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			key := strings.TrimPrefix(f.GetName(), "mailsweep_")
			for _, l := range m.GetLabel() {
				key += " " + l.GetValue()
			}
			all[key] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return all
}

func TestWhatHappensIsCountedOnce(t *testing.T) {
	t.Parallel()
	f := figures{prometheus.NewRegistry()}
	claim, ended, round, repaired, streams := f.claims(), f.ended(), f.dispatched(), f.repairs(), f.streams()
	claim(cleanup.Moment{What: cleanup.Claimed, Kind: sweep.Execute, First: true, Took: time.Second})
	claim(cleanup.Moment{What: cleanup.Batched, Kind: sweep.Execute})
	claim(cleanup.Moment{What: cleanup.Left, Kind: sweep.Execute, Cause: "halted", Again: true})
	claim(cleanup.Moment{What: cleanup.Claimed, Kind: sweep.Execute})
	claim(cleanup.Moment{What: cleanup.Fenced, Kind: sweep.Execute})
	claim(cleanup.Moment{What: cleanup.Stale})
	ended(store.Ended{Kind: sweep.Execute, State: sweep.Succeeded, Ran: time.Minute})
	ended(store.Ended{Kind: sweep.Execute, State: sweep.Canceled})
	round(queue.Round{Leads: true, Jobs: 3, Posts: 2})
	round(queue.Round{Leads: false})
	repaired(queue.TaskLost, 4)
	streams(+1)
	streams(+1)
	streams(-1)
	got := samples(t, f.Registry)
	for key, want := range map[string]float64{
		"job_start_seconds execute": 1, "batch_seconds execute": 1, "claim_seconds execute halted": 1, "job_retries_total halted execute": 1,
		"claims_running execute": 1, "fences_total claim": 1, "fences_total write": 1, "jobs_ended_total  execute succeeded": 1,
		"jobs_ended_total  execute canceled": 1, "jobs_ended_total internal execute failed": 0, "job_retries_total broke undo": 0, "job_run_seconds execute succeeded": 1,
		"dispatcher_leads": 0, "dispatcher_round_seconds": 1, "dispatched_total job": 3, "dispatched_total post": 2, "repairs_total task_lost": 4,
		"repairs_total lease_lent": 0, "streams_open": 1,
	} {
		value, there := got[key]
		require.True(t, there, "%s in %v", key, got)
		require.Equal(t, want, value, key)
	}
	require.NotContains(t, got, "job_run_seconds execute canceled", "it never ran")
}
