package telemetry

import (
	"context"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/lmittmann/tint"
)

// Options says how a process logs.
type Options struct {
	Process string // api, worker, scheduler
	Format  string // json, else text for people
	Level   slog.Leveler
	Build   Build
}

// NewLogger writes one line per record to w, with what the record's context knows (request_id, job_id, trace_id, span_id and
// WithAttrs). Secrets are redacted by the names of attributes and by their looks, in every part of the line.
func NewLogger(w io.Writer, o Options) *slog.Logger {
	out := &redactor{w: w}
	if o.Format != "json" {
		return slog.New(contextHandler{quoting{tint.NewTextHandler(out, &tint.Options{
			Level: o.Level, TimeFormat: time.TimeOnly, ReplaceAttr: hideByName, NoColor: !isTerminal(w),
		})}})
	}
	handler := slog.NewJSONHandler(out, &slog.HandlerOptions{Level: o.Level, ReplaceAttr: hideByName})
	return slog.New(contextHandler{handler}).With("process", o.Process, "version", o.Build.Version)
}

// isTerminal asks for a character device, which is near enough to decide about color.
func isTerminal(w io.Writer) bool {
	if l, lossy := w.(*Lossy); lossy {
		w = l.w
	}
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// contextHandler adds what the context knows. Groups are held back until the line is written, so that the ids stay at the
// top level, where people search for them.
type contextHandler struct{ slog.Handler }

func (h contextHandler) Handle(ctx context.Context, r slog.Record) error {
	if attrs := attrsOf(ctx); attrs != nil {
		r = r.Clone()
		r.AddAttrs(attrs...)
	}
	return h.Handler.Handle(ctx, r)
}

func (h contextHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return contextHandler{h.Handler.WithAttrs(attrs)}
}

func (h contextHandler) WithGroup(name string) slog.Handler {
	return grouped{root: h, name: name}
}

// quoting keeps a message for people on its one line: tint quotes values alone.
type quoting struct{ slog.Handler }

func (h quoting) Handle(ctx context.Context, r slog.Record) error {
	if strings.ContainsFunc(r.Message, unicode.IsControl) {
		r.Message = strconv.Quote(r.Message)
	}
	return h.Handler.Handle(ctx, r)
}

func (h quoting) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quoting{h.Handler.WithAttrs(attrs)}
}

// grouped collects what is logged under a group, to write it as one attribute beside the ids.
type grouped struct {
	root  slog.Handler
	name  string
	attrs []slog.Attr
}

func (g grouped) Enabled(ctx context.Context, level slog.Level) bool {
	return g.root.Enabled(ctx, level)
}

func (g grouped) Handle(ctx context.Context, r slog.Record) error {
	inside := append([]slog.Attr{}, g.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		inside = append(inside, a)
		return true
	})
	outer := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	if len(inside) > 0 {
		outer.AddAttrs(slog.Attr{Key: g.name, Value: slog.GroupValue(inside...)})
	}
	return g.root.Handle(ctx, outer)
}

func (g grouped) WithAttrs(attrs []slog.Attr) slog.Handler {
	g.attrs = append(append([]slog.Attr{}, g.attrs...), attrs...)
	return g
}

func (g grouped) WithGroup(name string) slog.Handler { return grouped{root: g, name: name} }
