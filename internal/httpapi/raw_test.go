package httpapi_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// SRV-4: what no client of ours sends is refused, and never understood as two requests: behind each of them stands another, which would be
// answered by its request id.
func TestRawRequestsAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	const behind = "GET /health HTTP/1.1\r\nHost: api.example\r\nX-Request-ID: smuggled\r\n\r\n"
	for _, c := range []struct {
		name, request string
		status        int
		header, want  string // of the answer
	}{
		{"TRACE", "TRACE /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 405, "Allow", "GET"},
		{"CONNECT", "CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\nConnection: close\r\n\r\n", 404, "Allow", ""},
		{"an unknown method", "BREW /health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 405, "Allow", "GET"},
		{"a method of another route", "DELETE /api/v1/jobs HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", 405, "Allow", "GET"},
		{"HTTP/2 without TLS", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 404, "Connection", "close"},
		{"an upgrade to HTTP/2", "GET /health HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings, close\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n\r\n", 200, "Upgrade", ""},
		{"length and chunks", "POST /api/v1/auth/logout HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "Connection", "close"},
		{"chunks and length", "POST /api/v1/auth/logout HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n", 400, "Connection", "close"},
		{"chunks", "POST /api/v1/auth/login HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 400, "Connection", "close"},
		{"another coding", "POST /api/v1/auth/logout HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501, "Connection", "close"},
		{"two codings", "POST /api/v1/auth/logout HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", 501, "Connection", "close"},
		{"two lengths", "POST /api/v1/auth/logout HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\n", 400, "Connection", "close"},
		{"a length with a sign", "POST /api/v1/auth/logout HTTP/1.1\r\nHost: a\r\nContent-Length: +0\r\n\r\n", 400, "Connection", "close"},
		{"a length that is none", "POST /api/v1/auth/logout HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n", 400, "Connection", "close"},
		{"two hosts", "GET /health HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "Connection", "close"},
		{"no host", "GET /health HTTP/1.1\r\n\r\n", 400, "Connection", "close"},
		{"a blank before the colon", "GET /health HTTP/1.1\r\nHost: a\r\nX-A : b\r\n\r\n", 400, "Connection", "close"},
		{"NUL in a header", "GET /health HTTP/1.1\r\nHost: a\r\nX-A: a\x00b\r\n\r\n", 400, "Connection", "close"},
		{"CR in a header", "GET /health HTTP/1.1\r\nHost: a\r\nX-A: a\rb\r\n\r\n", 400, "Connection", "close"},
		{"a version that there is not", "GET /health HTTP/3.7\r\nHost: a\r\n\r\n", 505, "Connection", "close"},
		{"no version", "GET /health\r\n\r\n", 400, "Connection", "close"},
		{"an address of 17 KiB", "GET /" + strings.Repeat("a", 21<<10) + " HTTP/1.1\r\nHost: a\r\n\r\n", 431, "Connection", "close"},
		{"1,000 headers", "GET /health HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X-A: aaaaaaaaaaaaaaaa\r\n", 1000) + "\r\n", 431, "Connection", "close"},
		{"a body of 65 KiB", "POST /api/v1/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 66560\r\n\r\n" + strings.Repeat(" ", 65<<10), 413, "Content-Type", "application/problem+json"},
	} {
		closes := !strings.Contains(c.request, "\r\nConnection: close") && c.want == "close"
		res, rest := exchange(t, r, c.request+map[bool]string{true: behind}[closes])
		require.Equal(t, c.status, res.StatusCode, c.name)
		require.NotContains(t, rest, "smuggled", c.name)
		switch {
		case c.want == "close":
			require.True(t, res.Close, c.name)
		case c.want == "":
			require.Empty(t, res.Header.Get(c.header), c.name)
		default:
			require.Contains(t, res.Header.Get(c.header), c.want, c.name)
		}
	}
}

// A line that ends without CR and a header that goes on in the next line are read as RFC 9112 (2.2, 5.2) lets a server read them: as one
// request. An absolute address changes nothing: no answer is made from the host that a request names.
func TestLenientRequestsAreOneRequest(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for name, request := range map[string]string{
		"lone LF":             "GET /health HTTP/1.1\nHost: a\nConnection: close\n\n",
		"a folded header":     "GET /health HTTP/1.1\r\nHost: a\r\nX-A: b\r\n Content-Length: 30\r\nConnection: close\r\n\r\n",
		"two lengths alike":   "POST /api/v1/auth/login HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 2\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}",
		"an absolute address": "GET http://evil.example/nowhere HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
		"HTTP/1.0":            "GET /nowhere HTTP/1.0\r\nHost: evil.example\r\n\r\n",
	} {
		res, rest := exchange(t, r, request)
		require.Contains(t, []int{200, 404, 422}, res.StatusCode, name)
		require.Empty(t, rest, name)
		for _, values := range res.Header {
			require.NotContains(t, strings.Join(values, " "), "evil", name)
		}
	}
}

// exchange sends bytes and gives the first answer and what came behind it.
func exchange(t *testing.T, r *rig, request string) (res *http.Response, rest string) {
	t.Helper()
	conn, err := net.Dial("tcp", strings.TrimPrefix(r.url, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	go func() { _, _ = io.WriteString(conn, request) }() // the server may hang up while we still write
	in := bufio.NewReader(conn)
	res, err = http.ReadResponse(in, nil)
	require.NoError(t, err, "%.60q", request)
	body, err := io.ReadAll(res.Body)
	if res.StatusCode < 400 {
		require.NoError(t, err)
	}
	require.NotContains(t, string(body), "evil")
	if !res.Close {
		return res, ""
	}
	left, _ := io.ReadAll(in) // a connection that is reset has nothing more to say either
	return res, string(left)
}

// SRV-4: every path answers its documented methods, and names them to all others.
func TestOnlyDocumentedMethodsAreServed(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	all := []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND", "BREW"}
	for path, methods := range parsedSpec(t).Paths {
		var documented []string
		for method := range methods {
			documented = append(documented, strings.ToUpper(method))
		}
		for _, method := range all {
			if slices.Contains(documented, method) {
				continue
			}
			req, err := http.NewRequestWithContext(t.Context(), method, r.url+strings.ReplaceAll(path, "{id}", "job_1"), nil)
			require.NoError(t, err)
			if readContract(t).route(req) != nil {
				continue // another path fits too
			}
			a, err := read(req)
			require.NoError(t, err)
			at := fmt.Sprintf("%s %s: %d %s", method, path, a.StatusCode, a.body)
			require.Equal(t, 405, a.StatusCode, at)
			allowed := strings.Split(strings.ReplaceAll(a.Header.Get("Allow"), " ", ""), ",")
			slices.Sort(allowed)
			slices.Sort(documented)
			require.Equal(t, documented, slices.DeleteFunc(allowed, func(m string) bool { return m == "OPTIONS" }), at)
			if method != "HEAD" {
				require.True(t, json.Valid(a.body), at)
			}
		}
	}
}
