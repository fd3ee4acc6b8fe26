package httpapi_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/httpapi"
	"mailsweep/internal/testkit"
)

// held counts the connections that a server has.
type held struct {
	mu   sync.Mutex
	open map[net.Conn]bool
	most int
}

func (h *held) state(c net.Conn, s http.ConnState) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open[c] = true; s == http.StateClosed || s == http.StateHijacked {
		delete(h.open, c)
	}
	h.most = max(h.most, len(h.open))
}

func (h *held) now() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.open)
}

// SRV-1: 200 clients that send a header or a body byte by byte, or far too much of either: 15 s after the last has come none is held, and
// others are answered all the while.
func TestSlowAndFatClientsAreLetGo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	h := &held{open: map[net.Conn]bool{}}
	s := httpapi.Server("", r.Handler())
	s.ConnState = h.state
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = s.Serve(listener) }()
	t.Cleanup(func() { _ = s.Close() })
	const post = "POST /api/v1/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
	var all sync.WaitGroup
	for i := range 200 {
		begin, drip := "", ""
		switch i % 4 {
		case 0:
			begin, drip = "GET /health HTTP/1.1\r\nHost: a\r\nX-A: ", "a"
		case 1:
			begin, drip = post+"Content-Length: 60000\r\n\r\n{", " "
		case 2:
			begin, drip = "GET /health HTTP/1.1\r\nHost: a\r\nX-A: ", strings.Repeat("a", 4<<10)
		case 3:
			begin, drip = post+"Content-Length: 10000000\r\n\r\n{", strings.Repeat(" ", 64<<10)
		}
		conn, err := net.Dial("tcp", listener.Addr().String())
		require.NoError(t, err)
		all.Go(func() { trickle(conn, begin, drip) })
	}
	await := time.Now().Add(15 * time.Second)
	testkit.Eventually(t, patience, func() bool { h.mu.Lock(); defer h.mu.Unlock(); return h.most >= 100 }, "the slow ones are held at first")
	res, err := http.Get("http://" + listener.Addr().String() + "/health")
	require.NoError(t, err)
	require.NoError(t, res.Body.Close())
	require.Equal(t, 200, res.StatusCode)
	http.DefaultClient.CloseIdleConnections()
	testkit.Eventually(t, time.Until(await), func() bool { return h.now() == 0 }, "none is held")
	all.Wait()
}

// trickle sends piece after piece, ten a second, until the other side has had enough.
func trickle(conn net.Conn, begin, piece string) {
	defer conn.Close()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for _, err := io.WriteString(conn, begin); err == nil; _, err = fmt.Fprint(conn, piece) {
		<-tick.C
	}
}
