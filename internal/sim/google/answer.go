package google

import (
	"bytes"
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// answer writes what a call came to.
type answer struct {
	w      http.ResponseWriter
	r      *http.Request
	form   url.Values
	sim    *Sim
	quirks Quirks // of the mailbox, once it is known
	struck struck
	value  any
	err    error
	sent   int // bytes of the body
}

// buffer is room for one answer, plain and compressed. The fastest level: compressing is most of what a page of ids costs.
type buffer struct {
	plain  []byte
	zipped bytes.Buffer
	zip    *gzip.Writer
}

var buffers = sync.Pool{New: func() any {
	b := &buffer{}
	b.zip, _ = gzip.NewWriterLevel(&b.zipped, gzip.BestSpeed) // the level is one of its own
	return b
}}

// compress gives a body in gzip; it is good until the next.
func (b *buffer) compress(body []byte) ([]byte, error) {
	b.zipped.Reset()
	b.zip.Reset(&b.zipped)
	if _, err := b.zip.Write(body); err != nil {
		return nil, err
	}
	if err := b.zip.Close(); err != nil {
		return nil, err
	}
	return b.zipped.Bytes(), nil
}

func (a *answer) refuse(err error) {
	a.err = err
	a.send()
}

func (a *answer) send() {
	if errors.Is(a.err, errHTML) {
		a.html()
		return
	}
	if a.err == nil && a.value == nil {
		a.w.WriteHeader(http.StatusNoContent)
		return
	}
	if i, ok := a.value.(interim); ok && a.err == nil {
		i.send(a.w)
		return
	}
	room := buffers.Get().(*buffer)
	defer buffers.Put(room)
	code, body := http.StatusOK, room.plain[:0]
	if a.err == nil {
		body, a.err = encode(body, a.value, a.form.Get("fields"))
		room.plain = body
	}
	if a.err != nil {
		e := refusalOf(a.err)
		code, body = e.code, marshal(e.body(a.encoding()))
		if e.retryAfter > 0 {
			a.w.Header().Set("Retry-After", strconv.Itoa(int(e.retryAfter.Seconds()+0.999)))
		}
	}
	if a.form.Get("prettyPrint") != "false" {
		body = indent(body)
	}
	a.write(code, body, room)
}

// encoding is how errors are written: as the client asks for, else as the Sim is set.
func (a *answer) encoding() string {
	if v := a.form.Get("$.xgafv"); v == "1" || v == "2" {
		return "v" + v
	}
	return a.quirks.Encoding
}

// worthZipping is the least that is compressed: below, the frame outweighs the gain.
const worthZipping = 256

// write sends a body, compressed only for a User-Agent that says gzip, as Google does.
func (a *answer) write(code int, body []byte, room *buffer) {
	h := a.w.Header()
	h.Set("Content-Type", "application/json; charset=UTF-8")
	h.Set("Vary", "Origin, X-Origin, Referer")
	h.Set("Cache-Control", "private")
	if strings.Contains(a.r.Header.Get("Accept-Encoding"), "gzip") && strings.Contains(a.r.UserAgent(), "gzip") && len(body) >= worthZipping {
		if zipped, err := room.compress(body); err == nil { // else it goes as it is
			body = zipped
			h.Set("Content-Encoding", "gzip")
		}
	}
	for _, f := range a.struck {
		h.Set("Content-Type", cmp.Or(f.ContentType, h.Get("Content-Type")))
	}
	a.sent = len(body)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	a.w.WriteHeader(code)
	if a.struck.any(func(f Fault) bool { return f.TruncateJSON }) {
		_, _ = a.w.Write(body[:len(body)/2])
		_ = http.NewResponseController(a.w).Flush()
		a.struck.breakOff(a.w)
	}
	if rate := a.struck.most(func(f Fault) int { return f.SlowBody }); rate > 0 {
		drip(a.r.Context(), a.w, body, float64(rate)*a.sim.cfg.TimeScale)
		return
	}
	_, _ = a.w.Write(body)
}

func (a *answer) html() {
	a.w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	a.w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = a.w.Write([]byte("<!DOCTYPE html><html lang=en><title>Error 503 (Server Error)!!1</title><p><b>503.</b> The service is currently unavailable."))
}
