package google

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"time"
)

// maxParts is how many calls a batch takes.
const maxParts = 100

// inner is one call of a batch and its answer.
type inner struct {
	id     string // Content-ID
	req    *http.Request
	code   int
	header http.Header
	body   bytes.Buffer
	broken any // what a fault panicked with
}

func (p *inner) Header() http.Header { return p.header }

func (p *inner) WriteHeader(code int) {
	if p.code == 0 {
		p.code = code
	}
}

func (p *inner) Write(b []byte) (int, error) {
	p.WriteHeader(http.StatusOK)
	return p.body.Write(b)
}

// batch runs the calls in a multipart body side by side, each with its own place in flight and its own price, and takes as long as
// the slowest. A connection that a fault breaks is the whole batch's.
func (s *Sim) batch(w http.ResponseWriter, r *http.Request) {
	parts, err := readBatch(r)
	if err != nil {
		(&answer{w: w, r: r, sim: s, quirks: s.cfg.Quirks}).refuse(err)
		return
	}
	faults := struck(s.spoil(target{method: "batch", now: s.cfg.Now()}))
	if err := faults.answer(r.Context(), w, s); err != nil {
		(&answer{w: w, r: r, sim: s, quirks: s.cfg.Quirks}).refuse(err)
		return
	}
	var all sync.WaitGroup
	for _, p := range parts {
		all.Go(func() {
			defer func() { p.broken = recover() }()
			s.mux.ServeHTTP(p, p.req)
		})
	}
	all.Wait()
	if s.cfg.Latency {
		pause(r.Context().Done(), s.scaled(50*time.Millisecond))
	}
	if slices.ContainsFunc(parts, func(p *inner) bool { return p.broken != nil }) {
		panic(http.ErrAbortHandler)
	}
	if faults.any(func(f Fault) bool { return f.Reorder }) {
		slices.Reverse(parts)
	}
	if err := writeBatch(w, parts); err != nil {
		panic(http.ErrAbortHandler) // the client is gone
	}
}

func readBatch(r *http.Request) (parts []*inner, err error) {
	kind, params, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind != "multipart/mixed" {
		return nil, &refusal{code: http.StatusBadRequest, reason: "badRequest", message: "Failed to parse batch request"}
	}
	for in := multipart.NewReader(http.MaxBytesReader(nil, r.Body, maxBody), params["boundary"]); ; {
		part, err := in.NextPart()
		if err == io.EOF {
			break
		}
		var p *inner
		if err == nil {
			p, err = readInner(r, part)
		}
		if err != nil {
			return nil, &refusal{code: http.StatusBadRequest, reason: "badRequest", message: "Failed to parse batch request, error: " + err.Error()}
		}
		parts = append(parts, p)
	}
	if len(parts) > maxParts {
		return nil, &refusal{code: http.StatusBadRequest, reason: "badRequest",
			message: fmt.Sprintf("Inner request count exceeds the limit. Received: %d, Limit: %d", len(parts), maxParts)}
	}
	return parts, nil
}

// readInner reads one call; it is the outer caller's unless it names its own.
func readInner(outer *http.Request, part *multipart.Part) (*inner, error) {
	b, err := io.ReadAll(part)
	if err != nil {
		return nil, err
	}
	if !bytes.Contains(b, []byte("HTTP/1.")) { // the version may be left out
		line, rest, _ := bytes.Cut(b, []byte("\n"))
		b = slices.Concat(bytes.TrimRight(line, "\r "), []byte(" HTTP/1.1\r\n"), rest)
	}
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(append(b, "\r\n\r\n"...))))
	if err != nil {
		return nil, err
	}
	if req.Header.Get("Authorization") == "" {
		req.Header.Set("Authorization", outer.Header.Get("Authorization"))
	}
	req.Header.Del("Accept-Encoding") // the parts are not compressed
	return &inner{id: part.Header.Get("Content-ID"), req: req.WithContext(outer.Context()), header: http.Header{}}, nil
}

// writeBatch answers each part with the part's own status. An error is the client's end.
func writeBatch(w http.ResponseWriter, parts []*inner) error {
	out := multipart.NewWriter(w)
	w.Header().Set("Content-Type", "multipart/mixed; boundary="+out.Boundary())
	for _, p := range parts {
		head := textproto.MIMEHeader{"Content-Type": {"application/http"}}
		if p.id != "" {
			head.Set("Content-ID", "<response-"+strings.TrimPrefix(p.id, "<"))
		}
		to, err := out.CreatePart(head)
		if err != nil {
			return err
		}
		if err := p.answer(to); err != nil {
			return err
		}
	}
	return out.Close()
}

// answer writes status, header and body of the part.
func (p *inner) answer(to io.Writer) error {
	if _, err := fmt.Fprintf(to, "HTTP/1.1 %d %s\r\n", p.code, http.StatusText(p.code)); err != nil {
		return err
	}
	if err := p.header.Write(to); err != nil {
		return err
	}
	_, err := fmt.Fprintf(to, "\r\n%s", p.body.Bytes())
	return err
}
