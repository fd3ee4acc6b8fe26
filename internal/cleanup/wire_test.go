package cleanup_test

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"
)

// wire is the connection to Google with places to stop at: what happens on either side of the n-th call of a kind.
type wire struct {
	next  http.RoundTripper
	mu    sync.Mutex
	stops []*stop
}

// stop acts on the n-th request whose path ends as said, once.
type stop struct {
	path   string
	n      int
	before func() // Google has not seen the call
	after  func() // Google has done it, the caller does not know yet
	seen   int
}

func (w *wire) at(s stop) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s.n = max(s.n, 1)
	w.stops = append(w.stops, &s)
}

// due gives what to do around a request.
func (w *wire) due(path string) (list []*stop) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.stops {
		if strings.HasSuffix(path, s.path) {
			if s.seen++; s.seen == s.n {
				list = append(list, s)
			}
		}
	}
	return list
}

// RoundTrip implements http.RoundTripper.
func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	due := w.due(r.URL.Path)
	for _, s := range due {
		if s.before != nil {
			s.before()
		}
	}
	answer, err := w.next.RoundTrip(r)
	for _, s := range due {
		if s.after != nil {
			s.after()
		}
	}
	return answer, err
}

// testNow is an instant for mailboxes that have to be equal.
var testNow = time.Now().UTC().Truncate(time.Hour)

// strict is a Gmail that finds nothing in Trash and Spam by their labels, whatever the simulated one does.
type strict struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (s strict) RoundTrip(r *http.Request) (*http.Response, error) {
	labels := r.URL.Query()["labelIds"]
	if strings.HasSuffix(r.URL.Path, "/messages") && (slices.Contains(labels, "TRASH") || slices.Contains(labels, "SPAM")) {
		return empty(r), nil
	}
	return s.next.RoundTrip(r)
}

// blind is a Gmail whose searches find nothing.
type blind struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b blind) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/messages") {
		return empty(r), nil
	}
	return b.next.RoundTrip(r)
}

func empty(r *http.Request) *http.Response {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader("{}")), Request: r}
}
