package google

import (
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// upload is a resumable upload under way: what was said about the mail, and as much of it as has come.
type upload struct {
	mail newMail
	body []byte
}

// uploads are those under way, by id.
type uploads struct {
	mu   sync.Mutex
	byID map[string]*upload
}

// interim is an answer without a body, on the way of an upload.
type interim struct {
	code   int
	header http.Header
}

func (i interim) send(w http.ResponseWriter) {
	maps.Copy(w.Header(), i.header)
	w.Header().Set("Content-Length", "0")
	w.WriteHeader(i.code)
}

// resumable lets a mail come in pieces (uploadType=resumable), as Google's "Upload attachments" page tells: a first call says what
// comes and is told where to, each further one brings bytes from where the last ended, and the last is answered by run.
func resumable(run func(*call) (any, error)) func(*call) (any, error) {
	return func(c *call) (any, error) {
		if c.form.Get("uploadType") != "resumable" {
			return run(c)
		}
		id := c.form.Get("upload_id")
		if id == "" {
			return c.begin()
		}
		more, err := c.resume(id)
		if more != nil || err != nil {
			return more, err
		}
		return run(c)
	}
}

func (c *call) begin() (any, error) {
	u := &upload{}
	if err := c.decode(&u.mail); err != nil {
		return nil, err
	}
	id, l := random(40), &c.sim.loads
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.byID == nil {
		l.byID = map[string]*upload{}
	}
	l.byID[id] = u
	at := "http://"
	if c.req.TLS != nil {
		at = "https://"
	}
	return interim{http.StatusOK, http.Header{"Location": {at + c.req.Host + c.req.URL.Path + "?" + c.req.URL.RawQuery + "&upload_id=" + id}, "X-Guploader-Uploadid": {id}}}, nil
}

// resume takes the bytes of a call. While there are more to come it gives the answer that asks for them; else the upload is the call's.
func (c *call) resume(id string) (more any, err error) {
	l := &c.sim.loads
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.byID[id]
	if u == nil {
		return nil, notFound()
	}
	from, total, err := contentRange(c.req.Header.Get("Content-Range"), len(c.body))
	if err != nil {
		return nil, err
	}
	if from >= 0 {
		if from > len(u.body) {
			return nil, &refusal{code: http.StatusServiceUnavailable, reason: "backendError", message: "bytes are missing before these"}
		}
		u.body = append(u.body[:from], c.body...)
	}
	if total < 0 || len(u.body) < total {
		return u.soFar(c.req.Header.Get("X-GUploader-No-308") == "yes"), nil
	}
	delete(l.byID, id)
	c.media = u
	return nil, nil
}

// soFar tells how many bytes have come: with 308, which some clients cannot bear and have told otherwise.
func (u *upload) soFar(no308 bool) interim {
	out := interim{http.StatusPermanentRedirect, http.Header{}}
	if no308 {
		out = interim{http.StatusOK, http.Header{"X-Http-Status-Code-Override": {"308"}}}
	}
	if n := len(u.body); n > 0 {
		out.header.Set("Range", fmt.Sprintf("bytes=0-%d", n-1))
	}
	return out
}

// contentRange reads "bytes 0-99/300": where n bytes begin, -1 where there are none, and how many there will be, -1 while nobody knows.
// Without the header the bytes are all there are.
func contentRange(header string, n int) (from, total int, err error) {
	if header == "" {
		return 0, n, nil
	}
	bytes, of, ok := strings.Cut(strings.TrimPrefix(header, "bytes "), "/")
	first, _, span := strings.Cut(bytes, "-")
	from, total = -1, -1
	if span {
		from, err = strconv.Atoi(first)
	}
	if of != "*" && err == nil {
		total, err = strconv.Atoi(of)
	}
	if !ok || err != nil || !span && bytes != "*" {
		return 0, 0, &refusal{code: http.StatusBadRequest, reason: "badRequest", message: "Failed to parse Content-Range header."}
	}
	return from, total, nil
}
