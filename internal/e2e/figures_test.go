package e2e

import (
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// scrape reads a process's figures by name and labels as they are written.
func scrape(t *testing.T, base string) map[string]float64 {
	t.Helper()
	resp, err := http.Get(base + "/metrics")
	require.NoError(t, err)
	defer resp.Body.Close()
	page, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s", page)
	all := map[string]float64{}
	for line := range strings.Lines(string(page)) {
		at := strings.LastIndexByte(line, ' ')
		if at < 0 || line[0] == '#' {
			continue
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(line[at:]), 64)
		require.NoError(t, err, line)
		all[line[:at]] = value
	}
	return all
}

var personal = regexp.MustCompile(`@|[0-9a-f]{8}-[0-9a-f]{4}-|[a-z]{3,4}_[0-9a-f]{32}|\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}`)

func TestEachProcessTellsWhatItDidAndOfWhomNothing(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), nil)
	u := r.join(t, "ada", 3000)
	p := u.plan("trash", old())
	j := u.execute(p)
	u.follow(j.ID)
	u.finish(j)
	for base, want := range map[string][]string{
		r.Ops: {`mailsweep_http_seconds_count{method="POST",route="/api/v1/gmail/cleanup/execute",status="202"}`, `mailsweep_ready`,
			`mailsweep_dependency_up{dependency="redis"}`, `mailsweep_db_connections{state="max"}`},
		r.WorkerOps: {`mailsweep_job_start_seconds_count{kind="execute"}`, `mailsweep_claim_seconds_count{kind="dry_run",outcome="done"}`,
			`mailsweep_batch_seconds_count{kind="execute"}`, `mailsweep_jobs_ended_total{code="",kind="execute",state="succeeded"}`,
			`mailsweep_job_run_seconds_count{kind="execute",state="succeeded"}`, `mailsweep_gmail_units_total{method="messages.batchModify"}`},
		r.SchedulerOps: {`mailsweep_sweeper_round_seconds_count`, `mailsweep_queue_tasks{queue="bulk",state="pending"}`, `mailsweep_outbox_age_seconds`,
			`mailsweep_duty_late_seconds{duty="monthly"}`},
	} {
		got := scrape(t, base)
		for _, name := range want {
			require.Eventually(t, func() bool { // a round of the sweeper's is told when it is over
				got = scrape(t, base)
				_, told := got[name]
				return told
			}, patience, 200*time.Millisecond, name)
		}
		for name := range got {
			require.NotRegexp(t, personal, name)
		}
	}
	for _, role := range []string{"dispatcher", "sweeper"} {
		name := "mailsweep_" + role + "_leads"
		require.Equal(t, 1.0, scrape(t, r.Ops)[name]+scrape(t, r.SchedulerOps)[name], "one of them leads")
	}
	require.Equal(t, 1.0, scrape(t, r.WorkerOps)[`mailsweep_job_start_seconds_count{kind="execute"}`])
	require.Zero(t, scrape(t, r.Ops)["mailsweep_streams_open"], "the stream that was read is over")
}
