package e2e

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// witness remembers what is said, in pieces.
type witness struct {
	mu     sync.Mutex
	pieces []string
}

// Write implements io.Writer.
func (w *witness) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.pieces = append(w.pieces, string(p))
	return len(p), nil
}

// said is all of it.
func (w *witness) said() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.pieces[:len(w.pieces):len(w.pieces)]
}

// atTheDoor stands as a trusted proxy before the API and remembers its answers, refusals apart from the others. Callers use the address that it gives.
func (r *rig) atTheDoor(t *testing.T) (at string, refusals, successes *witness) {
	t.Helper()
	refusals, successes = &witness{}, &witness{}
	to, err := url.Parse(r.API)
	require.NoError(t, err)
	var calls atomic.Uint32
	on := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(to)
		n := calls.Add(1) // a caller of its own each: what one address may do is not what is looked at here
		p.Out.Header.Set("X-Forwarded-For", fmt.Sprintf("198.18.%d.%d", n/200, n%200+1))
	}}
	on.ModifyResponse = func(resp *http.Response) error {
		dump, err := httputil.DumpResponse(resp, true)
		if err != nil {
			return err
		}
		if resp.StatusCode < http.StatusBadRequest {
			_, err = successes.Write(dump)
		} else {
			_, err = refusals.Write(dump)
		}
		return err
	}
	s := httptest.NewServer(on)
	t.Cleanup(s.Close)
	return s.URL, refusals, successes
}

// atRedis remembers every command that Redis is given until the test ends: also of what is not there any more when somebody looks.
func (r *rig) atRedis(t *testing.T) *witness {
	t.Helper()
	options, err := redis.ParseURL(r.Services.RedisURL)
	require.NoError(t, err)
	conn, err := net.Dial("tcp", options.Addr)
	require.NoError(t, err)
	w, done := &witness{}, make(chan struct{})
	_, err = io.WriteString(conn, "MONITOR\r\n")
	require.NoError(t, err)
	go func() {
		defer close(done)
		io.Copy(w, conn) //nolint:errcheck // it ends with the test
	}()
	t.Cleanup(func() { conn.Close(); <-done }) //nolint:errcheck // it is read no more
	return w
}

// pgDump is the whole database as pg_dump writes it.
func (r *rig) pgDump(t *testing.T) string {
	t.Helper()
	at := r.superuser(t).Config().ConnString()
	var complaints bytes.Buffer
	dump := r.Services.Postgres.Tool("pg_dump", "--dbname="+at)
	dump.Stderr = &complaints
	text, err := dump.Output()
	require.NoError(t, err, complaints.String())
	return string(text)
}

// figures are the pages of figures as the three programs show them.
func (r *rig) figures(t *testing.T) (all string) {
	t.Helper()
	for _, base := range []string{r.Ops, r.WorkerOps, r.SchedulerOps} {
		resp, err := http.Get(base + "/metrics")
		require.NoError(t, err)
		defer resp.Body.Close()
		page, err := io.ReadAll(resp.Body)
		require.NoError(t, err)
		require.Equal(t, http.StatusOK, resp.StatusCode)
		all += string(page)
	}
	return all
}

// disguises are the forms of a text in which it is still that text, also in the middle of something longer. They are in lower case.
func disguises(text string) []string {
	all := []string{text, hex.EncodeToString([]byte(text)), url.QueryEscape(text), url.PathEscape(text)}
	for offset := range 3 { // base64 differs by where in a group of three bytes the text begins
		padded := append(make([]byte, offset), text...)
		padded = padded[:len(padded)-len(padded)%3]
		for _, code := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
			all = append(all, code.EncodeToString(padded)[(offset*8+5)/6:])
		}
	}
	for i := range all {
		all[i] = strings.ToLower(all[i])
	}
	return all
}
