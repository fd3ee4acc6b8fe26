package telemetry

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// Tracer sends spans to an OpenTelemetry collector. The nil Tracer is tracing switched off: it does nothing and costs nothing. What a
// span tells is handed in piece by piece: no address, query, parameter or token belongs into one, and no error's text, which may
// repeat them.
type Tracer struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
}

// StartTracer begins to send to the collector at a base URL, in the background; what else there is to set comes from the standard OTEL_
// variables. A collector that is away costs spans and a line in the log a minute, never a request. Stop it in the end.
func StartTracer(ctx context.Context, collector, process string, b Build, log *slog.Logger) (*Tracer, error) {
	to, err := url.JoinPath(collector, "v1/traces")
	if err != nil {
		return nil, fmt.Errorf("read the address of the collector of traces: %w", err)
	}
	listen(log)
	out, err := otlptracehttp.New(ctx, otlptracehttp.WithEndpointURL(to))
	if err != nil {
		return nil, fmt.Errorf("make the exporter of traces: %w", err)
	}
	self, err := resource.New(ctx, resource.WithTelemetrySDK(), resource.WithAttributes(
		attribute.String("service.name", "mailsweep-"+process), attribute.String("service.version", b.Version)), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("describe this process to the collector of traces: %w", err)
	}
	p := sdk.NewTracerProvider(sdk.WithBatcher(out), sdk.WithResource(self))
	return &Tracer{provider: p, tracer: p.Tracer("mailsweep")}, nil
}

// Stop sends what is left until ctx ends.
func (t *Tracer) Stop(ctx context.Context) error {
	if t == nil {
		return nil
	}
	return t.provider.Shutdown(ctx)
}

// Span is something that takes time. The nil Span does nothing.
type Span struct{ span trace.Span }

// The kinds of spans, as collectors know them.
const (
	Server   = trace.SpanKindServer
	Producer = trace.SpanKindProducer
	Consumer = trace.SpanKindConsumer
)

// Begin begins a span, named by a verb and what it is done to: under the span that ctx belongs to, else under cause, the traceparent of
// what led here ("": unknown), else as a trace of its own. Log lines, tasks and spans under the new ctx carry the new span's ids. End it.
func (t *Tracer) Begin(ctx context.Context, cause string, kind trace.SpanKind, verb, what string) (context.Context, *Span) {
	if t == nil {
		return ctx, nil
	}
	ctx, span := t.tracer.Start(under(ctx, cause), verb+" "+what, trace.WithSpanKind(kind))
	at := span.SpanContext()
	return WithTraceparent(ctx, fmt.Sprintf("00-%s-%s-%s", at.TraceID(), at.SpanID(), at.TraceFlags())), &Span{span}
}

// End ends the span with what is known by then. failed marks it as an error.
func (s *Span) End(failed bool, facts ...slog.Attr) {
	if s == nil {
		return
	}
	finish(s.span, failed, facts)
	s.span.End()
}

// Told adds a call that is over to the trace that ctx belongs to; a call that belongs to none is nobody's concern.
func (t *Tracer) Told(ctx context.Context, name string, began time.Time, took time.Duration, failed bool, facts ...slog.Attr) {
	if t == nil || !trace.SpanContextFromContext(ctx).IsValid() {
		return
	}
	_, span := t.tracer.Start(ctx, name, trace.WithSpanKind(trace.SpanKindClient), trace.WithTimestamp(began))
	finish(span, failed, facts)
	span.End(trace.WithTimestamp(began.Add(took)))
}

func finish(span trace.Span, failed bool, facts []slog.Attr) {
	for _, f := range facts {
		switch v := f.Value; v.Kind() {
		case slog.KindInt64:
			span.SetAttributes(attribute.Int64(f.Key, v.Int64()))
		case slog.KindFloat64:
			span.SetAttributes(attribute.Float64(f.Key, v.Float64()))
		default:
			span.SetAttributes(attribute.String(f.Key, v.String()))
		}
	}
	if failed {
		span.SetStatus(codes.Error, "")
	}
}

// under makes the cause the parent of the next span, unless ctx has one.
func under(ctx context.Context, cause string) context.Context {
	parts := traceparentPattern.FindStringSubmatch(cause)
	if parts == nil || trace.SpanContextFromContext(ctx).IsValid() {
		return ctx
	}
	id, err1 := trace.TraceIDFromHex(parts[1])
	span, err2 := trace.SpanIDFromHex(parts[2])
	if err1 != nil || err2 != nil {
		return ctx
	}
	return trace.ContextWithRemoteSpanContext(ctx, trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: span, TraceFlags: flags(parts[3]), Remote: true}))
}

// flags are a traceparent's last byte, of which one bit is known: sampled.
func flags(digits string) trace.TraceFlags {
	b, err := hex.DecodeString(digits)
	return trace.TraceFlags(0).WithSampled(err == nil && b[0]&1 == 1)
}
