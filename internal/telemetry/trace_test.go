package telemetry_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"mailsweep/internal/telemetry"
	"mailsweep/internal/testkit"
)

const cause = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func startTracer(t *testing.T, collector string, log *slog.Logger) *telemetry.Tracer {
	t.Helper()
	tracer, err := telemetry.StartTracer(t.Context(), collector, "api", telemetry.Build{Version: "v1"}, log)
	if err != nil {
		t.Fatal(err)
	}
	return tracer
}

func TestSpansStandUnderTheirCauseAcrossProcesses(t *testing.T) {
	t.Parallel()
	sink := testkit.NewCollector(t)
	tracer := startTracer(t, sink.URL, slog.New(slog.DiscardHandler))
	request, server := tracer.Begin(t.Context(), cause, telemetry.Server, "POST", "/things/{id}")
	tracer.Told(request, "sql SELECT", time.Now(), time.Millisecond, true, slog.Int("n", 1), slog.String("s", "x"), slog.Float64("f", 0.5))
	handed := telemetry.Traceparent(request) // what a row or a task's header carries
	_, claim := tracer.Begin(t.Context(), handed, telemetry.Consumer, "claim", "job:execute")
	claim.End(false)
	server.End(true)
	_, alone := tracer.Begin(telemetry.WithTraceparent(t.Context(), cause), "", telemetry.Server, "GET", "/")
	alone.End(false)
	tracer.Told(t.Context(), "sql nobody", time.Now(), 0, false)
	if err := tracer.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}

	got := map[string]testkit.CollectedSpan{}
	for _, s := range sink.Spans() {
		got[s.Name] = s
	}
	root := got["POST /things/{id}"]
	if len(got) != 4 || root.Parent != "b7ad6b7169203331" || !root.Failed || root.Process != "mailsweep-api" {
		t.Fatalf("got %+v", got)
	}
	for _, name := range []string{"sql SELECT", "claim job:execute"} {
		if s := got[name]; s.Parent != root.ID || s.Trace != "0af7651916cd43dd8448eb211c80319c" {
			t.Errorf("%s is not under the request: %+v", name, s)
		}
	}
	if facts := got["sql SELECT"].Facts; len(facts) != 3 || facts["n"] != "1" || facts["s"] != "x" || facts["f"] != "0.5" {
		t.Errorf("facts %v", facts)
	}
	if s := got["GET /"]; s.Parent != "" || s.Trace == root.Trace {
		t.Errorf("without a cause a span begins a trace: %+v", s)
	}
}

func TestATraceThatItsCauseDoesNotRecordIsNotSent(t *testing.T) {
	t.Parallel()
	sink := testkit.NewCollector(t)
	tracer := startTracer(t, sink.URL, slog.New(slog.DiscardHandler))
	_, span := tracer.Begin(t.Context(), cause[:len(cause)-1]+"0", telemetry.Server, "GET", "/")
	span.End(false)
	if err := tracer.Stop(t.Context()); err != nil || len(sink.Spans()) != 0 {
		t.Fatalf("%v, got %+v", err, sink.Spans())
	}
}

func TestTracingThatIsOffAllocatesNothing(t *testing.T) { //nolint:paralleltest // counts allocations of the whole process
	var off *telemetry.Tracer
	ctx := telemetry.WithTraceparent(context.Background(), cause)
	began := time.Now()
	allocations := testing.AllocsPerRun(100, func() {
		spanned, span := off.Begin(ctx, cause, telemetry.Consumer, "claim", "job:execute")
		off.Told(spanned, "sql SELECT", began, time.Second, false, slog.String("db.response.status_code", "23505"))
		span.End(false, slog.Int("http.response.status_code", 200))
	})
	if allocations != 0 {
		t.Errorf("%v allocations", allocations)
	}
}

// A span costs a place in a queue that drops what does not fit; its collector is no part of that.
func TestACollectorThatDoesNotAnswerHoldsNobodyUp(t *testing.T) {
	t.Parallel()
	tracer := startTracer(t, testkit.Deaf(t), slog.New(slog.DiscardHandler))

	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 20_000 { // of which the queue holds 2,048
			ctx, span := tracer.Begin(context.Background(), "", telemetry.Server, "GET", "/")
			tracer.Told(ctx, "sql SELECT", time.Now(), 0, false)
			span.End(false)
		}
		ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
		defer cancel()
		if tracer.Stop(ctx) == nil {
			t.Error("nothing was sent, and Stop does not say so")
		}
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatal("the collector is waited for")
	}
}

// The log here redacts nothing: what is not handed to it cannot slip through.
func TestComplaintsOfTheExporterAreLoggedWithoutTheLogin(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=hush-hush,a-login-hush-hush-without-a-name")
	echoes := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Error(w, "no such login: "+r.Header.Get("Authorization"), http.StatusUnauthorized)
	}))
	t.Cleanup(echoes.Close)
	log := &testkit.Log{}
	tracer := startTracer(t, echoes.URL, slog.New(slog.NewTextHandler(log, nil)))
	_, span := tracer.Begin(t.Context(), "", telemetry.Server, "GET", "/")
	span.End(false)
	if err := tracer.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	told := log.String()
	for _, part := range []string{`msg="traces not sent"`, "401 Unauthorized", `msg="a setting of traces cannot be read" what="parse headers"`} {
		if !strings.Contains(told, part) {
			t.Errorf("%s is not in %s", part, told)
		}
	}
	if strings.Contains(told, "hush") {
		t.Errorf("the login is in %s", told)
	}
}
