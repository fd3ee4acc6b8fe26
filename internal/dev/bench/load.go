package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http/httputil"
	"slices"
	"strconv"
	"sync"
	"time"
)

// load is what a number of connections asked, each one request after the other.
type load struct {
	perSecond float64
	took      []time.Duration // sorted
	statuses  map[int]int
}

// at gives a quantile of the times.
func (l load) at(q float64) time.Duration {
	if len(l.took) == 0 {
		return 0
	}
	return l.took[min(len(l.took)-1, int(q*float64(len(l.took))))]
}

// only is an error unless every answer had the status.
func (l load) only(status int) error {
	if len(l.statuses) != 1 || l.statuses[status] == 0 {
		return fmt.Errorf("not every answer was %d: %v", status, l.statuses)
	}
	return nil
}

// press sends requests over conns kept-alive connections to addr for d; next gives the i-th request of a connection as bytes on the
// wire. Our own client, because Go's costs more than a server's answer.
func press(ctx context.Context, addr string, conns int, d time.Duration, next func(conn, i int) []byte) (load, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	parts, errs := make([]load, conns), make([]error, conns)
	began := time.Now()
	var all sync.WaitGroup
	for n := range conns {
		all.Go(func() { parts[n], errs[n] = pressOne(ctx, addr, func(i int) []byte { return next(n, i) }) })
	}
	all.Wait()
	took := time.Since(began)
	sum := load{statuses: map[int]int{}}
	for n, p := range parts {
		if errs[n] != nil {
			return sum, errs[n]
		}
		sum.took = append(sum.took, p.took...)
		for status, count := range p.statuses {
			sum.statuses[status] += count
		}
	}
	slices.Sort(sum.took)
	sum.perSecond = float64(len(sum.took)) / took.Seconds()
	return sum, nil
}

func pressOne(ctx context.Context, addr string, next func(int) []byte) (load, error) {
	l := load{statuses: map[int]int{}}
	w, err := dial(addr)
	if err != nil {
		return l, err
	}
	defer w.Close()
	for i := 0; ctx.Err() == nil; i++ {
		began := time.Now()
		a, err := w.ask(next(i))
		if err != nil {
			return l, err
		}
		l.took = append(l.took, time.Since(began))
		l.statuses[a.status]++
	}
	return l, nil
}

// wire is one kept-alive connection.
type wire struct {
	net.Conn
	r    *bufio.Reader
	body []byte
}

// reply is an answer; its body is overwritten by the next one of the same connection.
type reply struct {
	status int
	etag   string
	body   []byte
}

func dial(addr string) (*wire, error) {
	conn, err := net.DialTimeout("tcp", addr, 5*time.Second)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return &wire{Conn: conn, r: bufio.NewReaderSize(conn, 16<<10)}, nil
}

func (w *wire) ask(request []byte) (a reply, err error) {
	if err := w.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		return a, fmt.Errorf("send: %w", err)
	}
	if _, err := w.Write(request); err != nil {
		return a, fmt.Errorf("send: %w", err)
	}
	size, err := w.head(&a)
	if err != nil {
		return a, fmt.Errorf("read answer: %w", err)
	}
	if size == inChunks {
		err = w.chunks(&a)
		return a, err
	}
	w.body = slices.Grow(w.body[:0], size)[:size]
	for got := 0; got < size; {
		n, err := w.r.Read(w.body[got:])
		if err != nil {
			return a, fmt.Errorf("read answer: %w", err)
		}
		got += n
	}
	a.body = w.body
	return a, nil
}

// inChunks is the size of an answer that does not tell its length.
const inChunks = -1

func (w *wire) chunks(a *reply) (err error) {
	if a.body, err = io.ReadAll(httputil.NewChunkedReader(w.r)); err != nil {
		return fmt.Errorf("read answer: %w", err)
	}
	_, err = w.r.Discard(len("\r\n"))
	return err
}

// head reads the status and those headers that matter here.
func (w *wire) head(a *reply) (size int, err error) {
	first, err := w.r.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(first) < 12 {
		return 0, fmt.Errorf("not an answer: %q", first)
	}
	if a.status, err = strconv.Atoi(string(first[9:12])); err != nil {
		return 0, fmt.Errorf("not an answer: %q", first)
	}
	for {
		text, err := w.r.ReadSlice('\n')
		if err != nil {
			return 0, err
		}
		if len(text) <= 2 {
			return size, nil
		}
		name, value, _ := bytes.Cut(bytes.TrimRight(text, "\r\n"), []byte(": "))
		switch string(name) {
		case "Content-Length":
			size, err = strconv.Atoi(string(value))
		case "Etag":
			a.etag = string(value)
		case "Transfer-Encoding":
			size = inChunks
		}
		if err != nil {
			return 0, err
		}
	}
}

// request is one as bytes on the wire; headers come in pairs.
func request(method, path, token, body string, headers ...string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: bench\r\n", method, path)
	if token != "" {
		fmt.Fprintf(&b, "Authorization: Bearer %s\r\n", token)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		fmt.Fprintf(&b, "%s: %s\r\n", headers[i], headers[i+1])
	}
	if body != "" {
		fmt.Fprintf(&b, "Content-Type: application/json\r\nContent-Length: %d\r\n", len(body))
	}
	fmt.Fprintf(&b, "\r\n%s", body)
	return b.Bytes()
}
