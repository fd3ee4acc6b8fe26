package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/dev/customer"
)

// SRV-2: 100 answers are in flight as the API is told to stop: streams, waits, and requests of which only half has come. Each comes whole. The
// process says first that it is not ready, still takes what is sent to it meanwhile, and ends in time.
func TestAStoppingAPILosesNoAnswer(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), map[string]string{"SHUTDOWN_GRACE": "8s", "SHUTDOWN_TIMEOUT": "25s"})
	users := []*user{r.join(t, "ada", 10), r.join(t, "ben", 10)}
	r.Children["worker"].Kill() // what is queued stays so
	f := &inFlight{t: t, r: r}
	for _, u := range users {
		j := u.post("/api/v1/gmail/analyze", nil)
		for range 15 {
			f.wait(u, j)
		}
		for range 20 {
			f.follow(u, j)
		}
	}
	for range 30 {
		f.half()
	}
	require.Len(t, f.ends, 100)

	api := r.Children["api"]
	stopped := time.Now()
	api.Interrupt()
	until(t, patience, "the process says that it is not ready", func() bool { return f.status("/health/ready") == http.StatusServiceUnavailable })
	require.Equal(t, http.StatusOK, f.status("/health"), "it is alive, and takes what comes")
	a := users[0].call(http.MethodGet, "/api/v1/auth/me", "")
	require.NoError(t, a.err)
	require.Equal(t, 200, a.status)
	close(f.begin())
	var all sync.WaitGroup
	for _, end := range f.ends {
		all.Go(func() {
			if err := end(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	api.Wait(60 * time.Second)
	t.Logf("stopped within %s", time.Since(stopped).Round(100*time.Millisecond))
	require.Equal(t, 0, api.ExitCode(), api.Tail())
	require.NotContains(t, r.logs(t, "api"), "requests were cut off")
}

// inFlight are requests that were sent; each end gives what was wrong with its answer.
type inFlight struct {
	t    *testing.T
	r    *rig
	ends []func() error
	rest chan struct{}
}

// begin is the channel whose close lets the halves be sent to their end.
func (f *inFlight) begin() chan struct{} {
	if f.rest == nil {
		f.rest = make(chan struct{})
	}
	return f.rest
}

// status asks over a connection of its own; 0 is no answer.
func (f *inFlight) status(path string) int {
	c := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := c.Get(f.r.API + path)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	return res.StatusCode
}

// dial sends text over a connection of its own.
func (f *inFlight) dial(text string) (net.Conn, *bufio.Reader) {
	f.t.Helper()
	at, err := url.Parse(f.r.API)
	require.NoError(f.t, err)
	conn, err := net.Dial("tcp", at.Host)
	require.NoError(f.t, err)
	f.t.Cleanup(func() { _ = conn.Close() })
	require.NoError(f.t, conn.SetDeadline(time.Now().Add(2*patience)))
	_, err = io.WriteString(conn, text)
	require.NoError(f.t, err)
	return conn, bufio.NewReader(conn)
}

// wait asks for a job as soon as it changes, which it does not.
func (f *inFlight) wait(u *user, j customer.Job) {
	_, in := f.dial(fmt.Sprintf("GET /api/v1/jobs/%s?wait=30 HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer %s\r\n\r\n", j.ID, u.Token))
	f.ends = append(f.ends, func() error { return whole("wait", in, http.StatusOK) })
}

// follow opens a stream and reads how it begins.
func (f *inFlight) follow(u *user, j customer.Job) {
	_, in := f.dial(fmt.Sprintf("GET /api/v1/jobs/%s/events HTTP/1.1\r\nHost: api\r\nAuthorization: Bearer %s\r\n\r\n", j.ID, u.Token))
	res, err := http.ReadResponse(in, nil)
	require.NoError(f.t, err)
	require.Equal(f.t, http.StatusOK, res.StatusCode)
	_, err = res.Body.Read(make([]byte, 1))
	require.NoError(f.t, err)
	f.ends = append(f.ends, func() error {
		defer res.Body.Close()
		if _, err := io.Copy(io.Discard, res.Body); err != nil {
			return fmt.Errorf("stream: %w", err)
		}
		return nil
	})
}

// half sends a request up to the middle of its body, once the API reads that.
func (f *inFlight) half() {
	body := `{"email":"nobody@mail.example","password":"wrong"}`
	conn, in := f.dial(fmt.Sprintf("POST /api/v1/auth/login HTTP/1.1\r\nHost: api\r\nContent-Type: application/json\r\nContent-Length: %d\r\nExpect: 100-continue\r\n\r\n", len(body)))
	line, err := in.ReadString('\n')
	require.NoError(f.t, err)
	require.Contains(f.t, line, "100 Continue")
	_, err = in.ReadString('\n')
	require.NoError(f.t, err)
	_, err = io.WriteString(conn, body[:20])
	require.NoError(f.t, err)
	begin := f.begin()
	f.ends = append(f.ends, func() error {
		<-begin
		if _, err := io.WriteString(conn, body[20:]); err != nil {
			return fmt.Errorf("half: %w", err)
		}
		return whole("half", in, http.StatusUnauthorized, http.StatusTooManyRequests)
	})
}

// whole reads an answer to its end.
func whole(what string, in *bufio.Reader, statuses ...int) error {
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	defer res.Body.Close()
	if _, err := io.ReadAll(res.Body); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	for _, s := range statuses {
		if res.StatusCode == s {
			return nil
		}
	}
	return fmt.Errorf("%s: status %d", what, res.StatusCode)
}
