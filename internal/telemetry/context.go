// Package telemetry is what a process tells about itself: log lines that can be followed from request to job, and figures.
package telemetry

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"log/slog"
	"regexp"
	"slices"
	"strings"
)

type contextKey int

const (
	requestKey contextKey = iota
	jobKey
	traceKey
	attrsKey
)

var requestIDPattern = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// WithRequestID puts a request's id on every log line under ctx. An id that a stranger sent is taken only if it is short and
// plain; otherwise ctx gets a new one.
func WithRequestID(ctx context.Context, id string) context.Context {
	if !requestIDPattern.MatchString(id) {
		id = NewRequestID()
	}
	return context.WithValue(ctx, requestKey, id)
}

// RequestID is the id of the request that ctx belongs to, or "".
func RequestID(ctx context.Context) string { return text(ctx, requestKey) }

// NewRequestID makes an id of 32 hex digits.
func NewRequestID() string { return randomHex(16) }

// WithJobID puts a job's id on every log line under ctx.
func WithJobID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, jobKey, id)
}

// JobID is the id of the job that ctx belongs to, or "".
func JobID(ctx context.Context) string { return text(ctx, jobKey) }

var traceparentPattern = regexp.MustCompile(`^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$`)

// WithTraceparent puts trace_id and span_id of a W3C traceparent header on every log line under ctx. A header that is
// malformed or all zeros is dropped.
func WithTraceparent(ctx context.Context, header string) context.Context {
	parts := traceparentPattern.FindStringSubmatch(header)
	if parts == nil || strings.Trim(parts[1], "0") == "" || strings.Trim(parts[2], "0") == "" {
		return ctx
	}
	return context.WithValue(ctx, traceKey, header)
}

// Traceparent is the header to hand on with whatever ctx causes, or "".
func Traceparent(ctx context.Context) string { return text(ctx, traceKey) }

// NewTraceparent begins a trace.
func NewTraceparent() string { return "00-" + randomHex(16) + "-" + randomHex(8) + "-01" }

// WithAttrs puts more attributes on every log line under ctx.
func WithAttrs(ctx context.Context, attrs ...slog.Attr) context.Context {
	known, _ := ctx.Value(attrsKey).([]slog.Attr)
	return context.WithValue(ctx, attrsKey, append(slices.Clone(known), attrs...))
}

func text(ctx context.Context, key contextKey) string {
	s, _ := ctx.Value(key).(string)
	return s
}

func randomHex(bytes int) string {
	b := make([]byte, bytes)
	_, _ = rand.Read(b) // never fails: the runtime ends the process instead
	return hex.EncodeToString(b)
}

// attrsOf is what ctx says about the line.
func attrsOf(ctx context.Context) []slog.Attr {
	var all []slog.Attr
	add := func(name, value string) {
		if value != "" {
			all = append(all, slog.String(name, value))
		}
	}
	add("request_id", RequestID(ctx))
	add("job_id", JobID(ctx))
	if parts := traceparentPattern.FindStringSubmatch(Traceparent(ctx)); parts != nil {
		add("trace_id", parts[1])
		add("span_id", parts[2])
	}
	known, _ := ctx.Value(attrsKey).([]slog.Attr)
	return append(all, known...)
}
