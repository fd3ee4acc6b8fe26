package google

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
)

// answer writes what a call came to.
type answer struct {
	w     http.ResponseWriter
	r     *http.Request
	fault Fault
	value any
	err   error
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
	code, value := http.StatusOK, a.value
	if a.err == nil {
		var bad error
		if value, bad = masked(a.value, a.r.URL.Query().Get("fields")); bad != nil {
			a.err = bad
		}
	}
	if a.err != nil {
		e := refusalOf(a.err)
		code, value = e.code, e.body()
		if e.retryAfter > 0 {
			a.w.Header().Set("Retry-After", strconv.Itoa(int(e.retryAfter.Seconds()+0.999)))
		}
	}
	a.write(code, a.encode(value))
}

func (a *answer) encode(v any) []byte {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	if p := a.r.URL.Query().Get("prettyPrint"); p != "false" {
		enc.SetIndent("", "  ")
	}
	if err := enc.Encode(v); err != nil {
		return []byte(`{"error":{"code":500,"message":"encode: ` + strconv.Quote(err.Error()) + `"}}`)
	}
	return buf.Bytes()
}

// write sends a body, compressed only for a User-Agent that says gzip, as Google does.
func (a *answer) write(code int, body []byte) {
	h := a.w.Header()
	h.Set("Content-Type", "application/json; charset=UTF-8")
	h.Set("Vary", "Origin, X-Origin, Referer")
	h.Set("Cache-Control", "private")
	if strings.Contains(a.r.Header.Get("Accept-Encoding"), "gzip") && strings.Contains(a.r.UserAgent(), "gzip") {
		var z bytes.Buffer
		zw, _ := gzip.NewWriterLevel(&z, gzip.BestSpeed)
		_, _ = zw.Write(body)
		_ = zw.Close()
		body = z.Bytes()
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	a.w.WriteHeader(code)
	if a.fault.TruncateJSON {
		_, _ = a.w.Write(body[:len(body)/2])
		if f, ok := a.w.(http.Flusher); ok {
			f.Flush()
		}
		panic(http.ErrAbortHandler)
	}
	_, _ = a.w.Write(body)
}

func (a *answer) html() {
	a.w.Header().Set("Content-Type", "text/html; charset=UTF-8")
	a.w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = a.w.Write([]byte("<!DOCTYPE html><html lang=en><title>Error 503 (Server Error)!!1</title><p><b>503.</b> The service is currently unavailable."))
}
