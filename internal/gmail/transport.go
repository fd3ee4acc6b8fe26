package gmail

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Pacer spreads calls over time and processes; ratelimit.Governor is one. account is an opaque key of the Google account.
type Pacer interface {
	// Enter takes a place in flight, books units and sleeps until the call may be made, also over a time for which the account is closed
	// meanwhile. leave is nil when that would take longer than maxWait: wait is how long from now. leave is told whether the call went well.
	Enter(ctx context.Context, account string, units int, maxWait time.Duration) (leave func(well bool), wait time.Duration, err error)
	// CloseUntil stops all calls for the account until a wall-clock time.
	CloseUntil(ctx context.Context, account string, until time.Time) error
	// CloseProject stops all calls for all accounts until a wall-clock time.
	CloseProject(ctx context.Context, until time.Time) error
	// Slow tells that a call that began then was refused for its units, without a time to come back.
	Slow(ctx context.Context, account string, began time.Time)
	// Crowded tells that a call that began then was refused because too many were in flight.
	Crowded(ctx context.Context, account string, began time.Time)
}

// Call tells of one request that left, for metrics. It names no account and no message.
type Call struct {
	Method Method
	Status int // HTTP; 0 = no answer came
	Units  int
	Waited time.Duration // for the bucket, an access token and a place in flight
	Took   time.Duration // until the answer's headers
}

// Wait is the error that asks the caller to come back: Gmail, or the account's bucket, wants a pause longer than a worker should
// sleep. It is not a failure. Until is wall-clock time.
type Wait struct{ Until time.Time }

func (w *Wait) Error() string {
	return "Gmail asks to wait until " + w.Until.UTC().Format(time.RFC3339)
}

// NewTransport makes the connections that all mailboxes share. Google speaks HTTP/2, where four connections carry hundreds of
// calls; a plain-text base URL (a stand-in for Google) has one call per connection and gets more of them.
func NewTransport(baseURL string) *http.Transport {
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		ForceAttemptHTTP2:   true,
		MaxConnsPerHost:     4,
		MaxIdleConnsPerHost: 4,
		IdleConnTimeout:     90 * time.Second,
		TLSHandshakeTimeout: 10 * time.Second,
	}
	if u, err := url.Parse(baseURL); err == nil && u.Scheme == "http" {
		t.MaxConnsPerHost, t.MaxIdleConnsPerHost = 256, 64
	}
	return t
}

// transport is the only way to Gmail: it refuses what is not listed, waits for the bucket, adds the access token, counts.
type transport struct {
	mailbox *Mailbox
	allow   allowList
	base    http.RoundTripper
}

// RoundTrip has its place in flight while it waits for its units, so that it leaves when they were booked for: calls that are late
// bunch up beyond the quota. It asks for the access token last, so that none ages in the queue.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	call, err := t.allow.find(r)
	if err != nil {
		return nil, refuse(r, err)
	}
	began, units := time.Now(), t.mailbox.client.Tariff.Units[call]
	leave, err := t.enter(r.Context(), units)
	if err != nil {
		return nil, refuse(r, err)
	}
	answered := false
	defer func() { // a panic on the way must not hold the place
		if !answered {
			leave(false)
		}
	}()
	token, err := t.mailbox.tokens.access(r.Context())
	if err != nil {
		return nil, refuse(r, err)
	}
	answer, err := t.send(r, token, Call{Method: call, Units: units, Waited: time.Since(began)})
	if err != nil {
		return nil, err
	}
	answered = true
	well := answer.StatusCode < http.StatusBadRequest
	answer.Body = &closing{ReadCloser: answer.Body, then: func() { leave(well) }}
	return answer, nil
}

// refuse ends a request that did not leave; a RoundTripper must close the body then too.
func refuse(r *http.Request, err error) error {
	if r.Body != nil {
		_ = r.Body.Close()
	}
	return err
}

// enter waits for its place and its units.
func (t *transport) enter(ctx context.Context, units int) (leave func(bool), err error) {
	m := t.mailbox
	_, patience := m.client.patient(ctx)
	defer patience.waited(time.Now())
	leave, wait, err := m.client.Pacer.Enter(ctx, m.account, units, patience.left())
	switch {
	case err != nil:
		return nil, &paceError{err}
	case leave == nil:
		return nil, &Wait{Until: time.Now().Add(wait)}
	}
	return leave, nil
}

// send makes the request with a deadline that lasts until the body is closed. A change that has left is awaited even if its caller's time
// ends meanwhile: of a change that nobody awaits the effect is unknown.
func (t *transport) send(r *http.Request, token string, call Call) (*http.Response, error) {
	flight := r.Context()
	if err := flight.Err(); err != nil {
		return nil, refuse(r, err)
	}
	if call.Method.changes() {
		flight = context.WithoutCancel(flight)
	}
	ctx, stop := context.WithTimeout(flight, t.mailbox.client.timeout())
	out := r.Clone(ctx)
	out.Header.Set("Authorization", "Bearer "+token)
	began := time.Now()
	answer, err := t.base.RoundTrip(out)
	call.Took = time.Since(began)
	if err == nil {
		call.Status = answer.StatusCode
	}
	t.mailbox.spent(ctx, call)
	if err != nil {
		stop()
		return nil, err
	}
	if answer.StatusCode == http.StatusUnauthorized {
		t.mailbox.tokens.drop(token)
	}
	answer.Body = &closing{ReadCloser: answer.Body, then: stop}
	return answer, nil
}

// paceError says that the pacer itself failed.
type paceError struct{ err error }

func (e *paceError) Error() string { return "pace Gmail calls: " + e.err.Error() }
func (e *paceError) Unwrap() error { return e.err }

// closing runs then once, when the body is closed.
type closing struct {
	io.ReadCloser
	then func()
	once sync.Once
}

func (c *closing) Close() error {
	defer c.once.Do(c.then)
	return c.ReadCloser.Close()
}

// sleep waits for d or the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
