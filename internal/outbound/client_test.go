package outbound

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// stranger is a client whose every connect reaches a hostile server: it reads the request, then does what it likes with the connection.
// It lives in a bubble of synctest, so what lasts seconds takes none.
func stranger(t *testing.T, does func(r *http.Request, c net.Conn)) (*Client, *atomic.Int64) {
	cert := localCert()
	c, met := New(), &atomic.Int64{}
	c.transport.TLSClientConfig = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS12}
	c.transport.TLSClientConfig.RootCAs.AddCert(cert.Leaf)
	t.Cleanup(settle)
	c.dial = func(context.Context, string, string) (net.Conn, error) {
		met.Add(1)
		ours, theirs := net.Pipe()
		go func() {
			conn := tls.Server(theirs, &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12})
			defer func() { _ = theirs.Close() }()
			r, err := http.ReadRequest(bufio.NewReader(conn))
			if err == nil {
				_, err = io.Copy(io.Discard, r.Body)
			}
			if err == nil {
				does(r, conn)
			}
		}()
		return ours, nil
	}
	return c, met
}

// localCert is the certificate of net/http/httptest, for example.com.
var localCert = func() func() tls.Certificate {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	cert := s.TLS.Certificates[0]
	cert.Leaf = s.Certificate()
	return func() tls.Certificate { return cert }
}()

// settle lets a bubble's clock go on until closed connections have ended: over a pipe TLS waits 5 s for its farewell to be read.
func settle() {
	<-time.After(time.Minute)
	synctest.Wait()
}

// endless writes text again and again, pausing, until the connection breaks; it tells how often.
func endless(c net.Conn, text string, pause time.Duration) (times int) {
	for ; ; times++ {
		if _, err := io.WriteString(c, text); err != nil {
			return times
		}
		if pause > 0 {
			<-time.After(pause)
		}
	}
}

func post(t *testing.T, c *Client) (Answer, time.Duration, error) {
	t.Helper()
	began := time.Now()
	a, err := c.Post(t.Context(), "https://example.com/u?who=secret", []byte("List-Unsubscribe=One-Click"), http.Header{"Content-Type": {"text/plain"}})
	return a, time.Since(began), err
}

func TestAnEndlessBodyIsReadToItsBound(t *testing.T) { // OUT-2
	synctest.Test(t, func(t *testing.T) {
		var wrote atomic.Int64
		c, _ := stranger(t, func(_ *http.Request, c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
			wrote.Store(int64(endless(c, strings.Repeat("x", 1<<10), 0)))
		})
		a, _, err := post(t, c)
		require.NoError(t, err)
		require.Len(t, a.Body, 64<<10)
		settle()
		require.Less(t, wrote.Load(), int64(128), "KiB that the server got rid of: nothing is drained")
	})
}

func TestNoServerHoldsUsLongerThanTenSeconds(t *testing.T) { // OUT-2
	for name, first := range map[string]string{
		"body":     "HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n",
		"header":   "HTTP/1.1 200 OK\r\nX-Slow: ",
		"nothing":  "",
		"interims": "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 103 Early Hints\r\nX: ",
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := stranger(t, func(_ *http.Request, c net.Conn) {
					_, _ = io.WriteString(c, first)
					if first == "" {
						_, _ = c.Read(make([]byte, 1))
						return
					}
					endless(c, "x", time.Second)
				})
				_, took, err := post(t, c)
				require.ErrorIs(t, err, context.DeadlineExceeded)
				require.Equal(t, 10*time.Second, took)
			})
		})
	}
}

func TestANameOrConnectThatHangsIsLeftAfterTenSeconds(t *testing.T) { // OUT-2
	synctest.Test(t, func(t *testing.T) {
		c, _ := stranger(t, nil)
		c.dial = func(context.Context, string, string) (net.Conn, error) {
			<-time.After(30 * time.Second)
			return nil, io.EOF
		}
		_, took, err := post(t, c)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, 10*time.Second, took)
	})
}

func TestARedirectIsAnAnswerAndIsNotFollowed(t *testing.T) { // OUT-2
	for _, status := range []int{301, 302, 303, 307, 308} {
		synctest.Test(t, func(t *testing.T) {
			c, met := stranger(t, func(_ *http.Request, c net.Conn) {
				_, _ = fmt.Fprintf(c, "HTTP/1.1 %d X\r\nLocation: https://example.com/u\r\nSet-Cookie: a=b\r\nContent-Length: 0\r\n\r\n", status)
			})
			a, _, err := post(t, c)
			require.NoError(t, err)
			require.Equal(t, status, a.Status)
			require.EqualValues(t, 1, met.Load(), "connects")
		})
	}
}

func TestABombOfCompressionStaysSmall(t *testing.T) { // OUT-2
	var bomb bytes.Buffer
	w := gzip.NewWriter(&bomb)
	_, err := w.Write(make([]byte, 16<<20))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	synctest.Test(t, func(t *testing.T) {
		c, _ := stranger(t, func(r *http.Request, c net.Conn) {
			_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n", bomb.Len())
			_, _ = c.Write(bomb.Bytes())
		})
		a, _, err := post(t, c)
		require.NoError(t, err)
		require.True(t, len(a.Body) > 0 && bytes.HasPrefix(bomb.Bytes(), a.Body), "as it came, not unpacked")
	})
}

func TestHugeHeadersEndTheCall(t *testing.T) { // OUT-2
	for _, line := range []string{"X: " + strings.Repeat("x", 1000) + "\r\n", strings.Repeat("x", 1000), "\r\nHTTP/1.1 103 Early Hints\r\nX: y\r\n"} {
		synctest.Test(t, func(t *testing.T) {
			var wrote atomic.Int64
			c, _ := stranger(t, func(_ *http.Request, c net.Conn) {
				_, _ = io.WriteString(c, "HTTP/1.1 103 OK\r\nX: y\r\n")
				wrote.Store(int64(endless(c, line, 0) * len(line)))
			})
			_, took, err := post(t, c)
			require.ErrorContains(t, err, "the host does not answer as HTTP")
			require.Less(t, took, 10*time.Second, "it is the size that ends it, not the clock")
			settle()
			require.Less(t, wrote.Load(), int64(128<<10))
		})
	}
}

func TestARequestCarriesNothingOfOurs(t *testing.T) { // OUT-2
	synctest.Test(t, func(t *testing.T) {
		got := make(chan http.Header, 2)
		c, _ := stranger(t, func(r *http.Request, c net.Conn) {
			got <- r.Header
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n")
		})
		for range 2 { // the second would bring the cookie back
			_, _, err := post(t, c)
			require.NoError(t, err)
			require.Equal(t, http.Header{"User-Agent": {"Mailsweep/1.0"}, "Content-Length": {"26"}, "Content-Type": {"text/plain"}, "Connection": {"close"}}, <-got)
		}
	})
	for _, name := range []string{"cookie", "Authorization", "HOST", "User-Agent", "Transfer-Encoding"} {
		_, err := New().Post(t.Context(), "https://good.example/", nil, http.Header{name: {"x"}})
		require.ErrorContains(t, err, "not the caller's to set", name)
	}
}

func TestFailuresNameNoAddressAndNoURL(t *testing.T) { // OUT-2
	synctest.Test(t, func(t *testing.T) {
		c, _ := stranger(t, func(_ *http.Request, c net.Conn) { _, _ = io.WriteString(c, "secret 10.9.8.7\r\n\r\n") })
		_, _, err := post(t, c)
		require.EqualError(t, err, "post to a stranger: the host does not answer as HTTP over TLS should")
		c.dial = func(context.Context, string, string) (net.Conn, error) {
			return nil, &net.OpError{Op: "dial", Err: &net.DNSError{Err: "read udp 10.9.8.7:1->10.9.8.6:53", Name: "example.com", Server: "10.9.8.6:53"}}
		}
		_, _, err = post(t, c)
		require.EqualError(t, err, "post to a stranger: the host's name cannot be looked up")
	})
	synctest.Test(t, func(t *testing.T) {
		c, _ := stranger(t, func(*http.Request, net.Conn) {})
		c.transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		_, _, err := post(t, c)
		require.EqualError(t, err, "post to a stranger: the host's certificate does not hold")
	})
}
