package google

import (
	"bytes"
	"compress/gzip"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

// answer writes what a call came to.
type answer struct {
	w     http.ResponseWriter
	r     *http.Request
	form  url.Values
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
	code, body := http.StatusOK, []byte(nil)
	if a.err == nil {
		body, a.err = encode(a.value, a.form.Get("fields"))
	}
	if a.err != nil {
		e := refusalOf(a.err)
		code, body = e.code, marshal(e.body())
		if e.retryAfter > 0 {
			a.w.Header().Set("Retry-After", strconv.Itoa(int(e.retryAfter.Seconds()+0.999)))
		}
	}
	if a.form.Get("prettyPrint") != "false" {
		body = indent(body)
	}
	a.write(code, body)
}

// zippers are used again: a new one costs more than what it compresses.
var zippers = sync.Pool{New: func() any {
	z, _ := gzip.NewWriterLevel(nil, gzip.BestSpeed) // the level is known
	return z
}}

func zip(body []byte) []byte {
	var out bytes.Buffer
	z := zippers.Get().(*gzip.Writer)
	defer zippers.Put(z)
	z.Reset(&out)
	_, _ = z.Write(body) // to memory
	_ = z.Close()
	return out.Bytes()
}

// write sends a body, compressed only for a User-Agent that says gzip, as Google does.
func (a *answer) write(code int, body []byte) {
	h := a.w.Header()
	h.Set("Content-Type", "application/json; charset=UTF-8")
	h.Set("Vary", "Origin, X-Origin, Referer")
	h.Set("Cache-Control", "private")
	if strings.Contains(a.r.Header.Get("Accept-Encoding"), "gzip") && strings.Contains(a.r.UserAgent(), "gzip") {
		body = zip(body)
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
