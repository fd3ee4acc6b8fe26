// Package outbound makes HTTP requests to addresses that strangers gave us: to public hosts only, over https only, and short.
package outbound

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"mailsweep/internal/sweep"
)

const (
	lasts      = 10 * time.Second // one Post as a whole, with look-up, handshake and answer
	readAtMost = 64 << 10         // bytes of an answer's body, and as many of its headers
	agent      = "Mailsweep/1.0"
)

// ours are the headers that a caller may not set: they would carry who we are, or change what the request is.
var ours = []string{"Accept-Encoding", "Authorization", "Connection", "Content-Length", "Cookie", "Expect", "Host", "Proxy-Authorization", "Te", "Trailer",
	"Transfer-Encoding", "Upgrade", "User-Agent"}

// Client posts to strangers. Make it with New; it may be used by many at once. Each Post has a connection of its own, so nothing
// that one customer's host does is felt, or seen, by another's.
type Client struct {
	dialer    *net.Dialer
	dial      func(ctx context.Context, network, address string) (net.Conn, error)
	transport *http.Transport
}

// Answer is what a stranger's server said. Body is cut at 64 KiB, undecoded, and as hostile as its sender: show it to nobody.
type Answer struct {
	Status int
	Body   []byte
}

// New makes a client that goes nowhere but to public addresses, port 443, without any proxy.
func New() *Client {
	dialer := &net.Dialer{Timeout: lasts / 2, Control: guard}
	http1 := &http.Protocols{}
	http1.SetHTTP1(true)
	c := &Client{dialer: dialer, dial: dialer.DialContext}
	c.transport = &http.Transport{
		Proxy:                  nil, // a proxy would look the name up itself, past the guard
		DialContext:            c.connect,
		Protocols:              http1,
		TLSHandshakeTimeout:    lasts / 2, // a dial outlives its request: this ends it
		DisableKeepAlives:      true,
		DisableCompression:     true, // a bomb stays as small as it came
		MaxResponseHeaderBytes: readAtMost,
	}
	return c
}

// mortal is a connection on which nothing lasts beyond its end, whatever is asked: TLS would wait another 5 s to say farewell to a
// host that does not read.
type mortal struct {
	net.Conn
	end time.Time
}

func (m mortal) SetWriteDeadline(t time.Time) error {
	if t.IsZero() || t.After(m.end) {
		t = m.end
	}
	return m.Conn.SetWriteDeadline(t)
}

func (c *Client) connect(ctx context.Context, network, address string) (net.Conn, error) {
	end := time.Now().Add(lasts)
	conn, err := c.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return mortal{conn, end}, conn.SetDeadline(end)
}

// Post sends body and reads the answer, whatever its status: a redirect is an answer like others and is not followed. sweep.Invalid
// tells that the URL is not one that we call, now or as its host's name resolves now. Other errors carry no code; their text
// names neither the URL nor an address.
func (c *Client) Post(ctx context.Context, rawURL string, body []byte, header http.Header) (Answer, error) {
	target, err := admit(rawURL)
	if err != nil {
		return Answer{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, lasts)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return Answer{}, sweep.Errorf(sweep.Invalid, "the URL cannot be called")
	}
	if err := dress(r, header); err != nil {
		return Answer{}, err
	}
	// A transport, unlike http.Client, follows nothing and keeps no cookies.
	answer, err := c.transport.RoundTrip(r)
	if err != nil {
		return Answer{}, tell(ctx, err)
	}
	return read(ctx, answer)
}

// dress gives the request the caller's headers and our name.
func dress(r *http.Request, header http.Header) error {
	for name, values := range header {
		r.Header[http.CanonicalHeaderKey(name)] = values
	}
	for _, name := range ours {
		if _, is := r.Header[name]; is {
			return fmt.Errorf("post to a stranger: the header %s is not the caller's to set", name)
		}
	}
	r.Header.Set("User-Agent", agent)
	return nil
}

func read(ctx context.Context, r *http.Response) (Answer, error) {
	body, err := io.ReadAll(io.LimitReader(r.Body, readAtMost))
	closed := r.Body.Close() // closes the connection too: what was not read is not drained
	if err == nil {
		err = closed
	}
	if err != nil {
		return Answer{}, tell(ctx, err)
	}
	return Answer{Status: r.StatusCode, Body: body}, nil
}
