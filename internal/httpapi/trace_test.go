package httpapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/telemetry"
	"mailsweep/internal/testkit"
)

const strangersTrace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"

// traced is a rig that sends traces to a collector.
func traced(t *testing.T, collector string) *rig {
	return newRig(t, func(r *rig) {
		tracer, err := telemetry.StartTracer(t.Context(), collector, "api", telemetry.Build{}, r.Log)
		require.NoError(t, err)
		r.Trace = tracer
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			_ = tracer.Stop(ctx)
		})
	})
}

func TestARequestBeginsATraceOfItsOwnInOurWords(t *testing.T) {
	t.Parallel()
	sink := testkit.NewCollector(t)
	r := traced(t, sink.URL)
	token := r.member(t, "ada@example.com")
	r.call(t, "GET", "/api/v1/auth/me?secret=hush-hush", token, "", "X-Request-ID", "mine", "Traceparent", strangersTrace, "Tracestate", "hush=hush", "Baggage", "hush=hush")
	r.call(t, "GET", "/api/v1/jobs/job_hush?wait=1", token, "")
	r.call(t, "BREW", "/hush/hush", "", "")
	r.call(t, "GET", "/health", "", "")
	r.call(t, "GET", "/health/ready", "", "")
	testkit.Eventually(t, 5*time.Second, func() bool { return len(r.log.With(`"route":"/health/ready"`)) == 1 }, "the last line")
	require.NoError(t, r.Trace.Stop(t.Context()))

	status := map[string]string{}
	for _, s := range sink.Spans() {
		require.Empty(t, s.Parent, "%s has no parent", s.Name)
		status[s.Name] = s.Facts["http.response.status_code"]
		require.Len(t, s.Facts, 1, s.Name)
		if s.Name == "GET /api/v1/auth/me" {
			require.NotContains(t, strangersTrace, s.Trace)
			require.Contains(t, r.log.With(`"request_id":"mine"`, `"msg":"request"`)[0], `"trace_id":"`+s.Trace+`","span_id":"`+s.ID+`"`, "from the trace to the log")
		}
	}
	require.Equal(t, map[string]string{"POST /api/v1/auth/signup": "202", "POST /api/v1/auth/verify-email": "200", "GET /api/v1/auth/me": "200",
		"GET /api/v1/jobs/:id": "404", "OTHER unmatched": "404"}, status)
	for _, secret := range []string{"hush", "BREW", "example.com", token} {
		require.False(t, strings.Contains(sink.Heard(), secret), "%s in a trace", secret)
	}
}

func TestACollectorThatIsAwayHoldsNoRequestUp(t *testing.T) {
	t.Parallel()
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	for _, collector := range []string{testkit.Deaf(t), gone.URL} {
		r := traced(t, collector)
		token := r.member(t, "ada@example.com")
		for range 20 {
			require.Equal(t, 200, r.call(t, "GET", "/api/v1/auth/me", token, "").StatusCode)
		}
	}
}
