package testkit

import (
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	spans "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
)

// Collector takes traces as an OpenTelemetry collector does, and keeps them.
type Collector struct {
	URL string

	mu    sync.Mutex
	spans []CollectedSpan
	heard strings.Builder
}

// CollectedSpan is a span with the name of the process that it came from. Ids are hex; a root's parent is "".
type CollectedSpan struct {
	Process, Name, Trace, ID, Parent string
	Kind                             string
	Failed                           bool
	Facts                            map[string]string
}

// NewCollector listens on loopback until the test ends.
func NewCollector(t testing.TB) *Collector {
	t.Helper()
	c := &Collector{}
	s := httptest.NewServer(c)
	t.Cleanup(s.Close)
	c.URL = s.URL
	return c
}

// Deaf is a server that takes requests and answers none until the test ends.
func Deaf(t testing.TB) (url string) {
	t.Helper()
	release := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(s.Close)
	t.Cleanup(func() { close(release) })
	return s.URL
}

// ServeHTTP implements http.Handler.
func (c *Collector) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var told collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &told)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, "not traces", http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, from := range told.ResourceSpans {
		process := ""
		for _, a := range from.Resource.Attributes {
			if a.Key == "service.name" {
				process = a.Value.GetStringValue()
			}
		}
		for _, scope := range from.ScopeSpans {
			for _, s := range scope.Spans {
				c.spans = append(c.spans, collected(process, s))
				s.TraceId, s.SpanId, s.ParentSpanId = nil, nil, nil // random bytes look like anything
			}
		}
	}
	c.heard.WriteString(prototext.Format(&told))
}

func collected(process string, s *spans.Span) CollectedSpan {
	facts := map[string]string{}
	for _, a := range s.Attributes {
		facts[a.Key] = textOf(a.Value)
	}
	return CollectedSpan{Process: process, Name: s.Name, Trace: hex.EncodeToString(s.TraceId), ID: hex.EncodeToString(s.SpanId),
		Parent: hex.EncodeToString(s.ParentSpanId), Kind: s.Kind.String(), Failed: s.Status.GetCode() == spans.Status_STATUS_CODE_ERROR,
		Facts: facts}
}

func textOf(v *common.AnyValue) string {
	switch v := v.Value.(type) {
	case *common.AnyValue_StringValue:
		return v.StringValue
	case *common.AnyValue_IntValue:
		return fmt.Sprint(v.IntValue)
	case *common.AnyValue_DoubleValue:
		return fmt.Sprint(v.DoubleValue)
	}
	return "neither text nor number"
}

// Spans are those that came so far, in no order.
func (c *Collector) Spans() []CollectedSpan {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.spans)
}

// Heard is everything that came but the ids of spans and traces, as text.
func (c *Collector) Heard() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.heard.String()
}
