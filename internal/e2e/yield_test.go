package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/dev/customer"
	"mailsweep/internal/sim/google"
)

func TestAnAnalysisGivesWayToACleanupAndGoesOnAfterIt(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), nil)
	u := r.join(t, "ada", 6_000)
	p := u.plan("archive", old())
	r.Sim.Inject(google.Fault{Method: "messages.get", Delay: 100 * time.Millisecond})
	r.slowly(3 * time.Second)
	analysis := u.post("/api/v1/gmail/analyze", object{})
	now := func() (j customer.Job) { u.get("/api/v1/jobs/"+analysis.ID, &j); return j }
	until(t, patience, "the search for senders", func() bool { return now().Phase == "finding senders" })
	cleanup := u.execute(p)
	until(t, patience, "the analysis giving way", func() bool {
		j := now()
		return j.State == "waiting" && strings.Contains(j.Phase, "cleanup of this mailbox")
	})
	require.Equal(t, "succeeded", u.finish(cleanup).State)
	r.Sim.ClearFaults()
	require.Equal(t, "succeeded", u.finish(analysis).State)
}
