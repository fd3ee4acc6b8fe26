package telemetry

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"go.opentelemetry.io/otel"
)

const (
	complaintGap   = time.Minute
	complaintBytes = 300
)

// listen brings what OpenTelemetry has to say in this process into the log; it would write to stderr itself.
func listen(log *slog.Logger) {
	otel.SetErrorHandler(&complaints{log: log})
	otel.SetLogger(logr.FromSlogHandler(misread{log}))
}

// complaints writes a line a minute at most: an exporter whose collector is away complains of every batch.
type complaints struct {
	log *slog.Logger

	mu     sync.Mutex
	next   time.Time
	unsaid int
}

// Handle implements otel.ErrorHandler.
func (c *complaints) Handle(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	if now.Before(c.next) {
		c.unsaid++
		return
	}
	c.log.Warn("traces not sent", "error", ours(err), "unsaid", c.unsaid)
	c.next, c.unsaid = now.Add(complaintGap), 0
}

// ours is what an error says without the collector's answer, which is of any length and may repeat the login that it was sent.
func ours(err error) string {
	text := strings.SplitN(err.Error(), "body: ", 2)[0]
	return strings.ToValidUTF8(text[:min(len(text), complaintBytes)], "")
}

// misread tells of OTEL_ variables that cannot be read, without what they hold: one of them is a login.
type misread struct{ log *slog.Logger }

// Enabled implements slog.Handler.
func (misread) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelError }

// Handle implements slog.Handler.
func (m misread) Handle(_ context.Context, r slog.Record) error {
	m.log.Warn("a setting of traces cannot be read", "what", r.Message)
	return nil
}

// WithAttrs implements slog.Handler.
func (m misread) WithAttrs([]slog.Attr) slog.Handler { return m }

// WithGroup implements slog.Handler.
func (m misread) WithGroup(string) slog.Handler { return m }
