package httpapi_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/httpapi"
	"mailsweep/internal/ratelimit"
	"mailsweep/internal/testkit"
)

// guarded checks the headers that every answer carries.
func guarded(t *testing.T, a answer) {
	t.Helper()
	at := a.Request.Method + " " + a.Request.URL.Path
	require.Contains(t, a.Header.Get("Strict-Transport-Security"), "max-age=31536000; includeSubDomains", at)
	require.Contains(t, a.Header.Get("Content-Security-Policy"), "default-src 'none'", at)
	require.Contains(t, a.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'", at)
	for name, value := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin", "Server": ""} {
		require.Equal(t, value, a.Header.Get(name), at+" "+name)
	}
	require.NotEmpty(t, a.Header.Get("Permissions-Policy"), at)
	require.NotEmpty(t, a.Header.Get("X-Request-ID"), at)
	require.NotEmpty(t, a.Header.Get("Cache-Control"), at)
}

func TestEveryAnswerIsGuarded(t *testing.T) { // HDR-1
	t.Parallel()
	r := newRig(t)
	for path, methods := range parsedSpec(t).Paths {
		path = strings.ReplaceAll(path, "{id}", "job_1")
		for method := range methods {
			a := r.call(t, strings.ToUpper(method), path, "", "")
			guarded(t, a)
			if strings.HasPrefix(path, "/api/v1") {
				require.Equal(t, "no-store", a.Header.Get("Cache-Control"), path)
			}
		}
	}
	for _, path := range []string{"/", "/nowhere", "/api/docs", "/api/openapi.json", "/api/docs/swagger-ui.css", "/problems/not_found", "/problems/nonsense", "/api/docs/../../etc/passwd"} {
		guarded(t, r.call(t, "GET", path, "", ""))
	}
	guarded(t, r.call(t, "POST", "/api/v1/auth/login", "", strings.Repeat("x", 70<<10)))
	guarded(t, r.call(t, "PATCH", "/api/v1/jobs", "", ""))
}

func TestRouterRefusesInTheSameWords(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	problem(t, r.call(t, "GET", "/nowhere", "", ""), 404, "not_found")
	problem(t, r.call(t, "GET", "/problems/nonsense", "", ""), 404, "not_found")
	problem(t, r.call(t, "GET", "/api/docs/swagger-ui.js.map", "", ""), 404, "not_found")
	refused := r.call(t, "PATCH", "/api/v1/jobs", "", "")
	problem(t, refused, 405, "method_not_allowed")
	require.Contains(t, refused.Header.Get("Allow"), "GET")
	problem(t, r.call(t, "TRACE", "/api/v1/jobs", "", ""), 405, "method_not_allowed")
	other := r.call(t, "PATCH", "/api/v1/people/invitations/inv_1/resend", "", "")
	problem(t, other, 405, "method_not_allowed")
	require.Equal(t, "POST, OPTIONS", other.Header.Get("Allow"), "an id is one segment, so this is no person's route")
	problem(t, r.call(t, "DELETE", "/api/v1/people/usr_1/and/more", "", ""), 404, "not_found")
	problem(t, r.call(t, "GET", "/api/v1/jobs/a%2Fb", r.member(t, "ada@example.com"), ""), 404, "not_found")
	problem(t, r.call(t, "POST", "/api/v1/auth/login", "", `{"email":"`+strings.Repeat("x", 70<<10)+`"}`), 413, "too_large")
	for _, media := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml", "application/json; charset=utf-16"} {
		problem(t, r.call(t, "POST", "/api/v1/auth/login", "", `{"email":"a","password":"b"}`, "Content-Type", media), 415, "unsupported_media_type")
	}
}

func TestNobodyEntersWithoutAToken(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for path, methods := range parsedSpec(t).Paths {
		for method, op := range methods {
			if len(op.Security) == 0 {
				continue
			}
			for _, token := range []string{"", "nonsense", "eyJhbGciOiJub25lIn0.e30."} {
				a := r.call(t, strings.ToUpper(method), strings.ReplaceAll(path, "{id}", "job_1"), token, "")
				problem(t, a, 401, "unauthenticated")
				require.Contains(t, a.Header.Get("WWW-Authenticate"), "Bearer")
			}
		}
	}
	token := r.member(t, "ada@example.com")
	for _, header := range []string{"Basic " + token, token, "Bearer", "Bearer " + token + " x"} {
		problem(t, r.call(t, "GET", "/api/v1/auth/me", "", "", "Authorization", header), 401, "unauthenticated")
	}
	problem(t, r.call(t, "GET", "/api/v1/auth/me?access_token="+token, "", ""), 401, "unauthenticated")
	require.Equal(t, 200, r.call(t, "GET", "/api/v1/auth/me", "", "", "Authorization", "bearer "+token).StatusCode)
}

func TestOnlyListedOriginsMayCall(t *testing.T) { // COR-1
	t.Parallel()
	r := newRig(t, func(r *rig) { r.CORSOrigins = append(r.CORSOrigins, "http://localhost:3000", "null") })
	allowed := []string{page, "http://localhost:3000"}
	for _, origin := range append(allowed, "", "null", "http://page.example", "https://page.example:8443", "https://page.example.evil.example", "https://evil.example",
		"https://PAGE.example", "https://sub.page.example", "https://page.example/", "*", page+" "+page) {
		a := r.call(t, "GET", "/health", "", "", "Origin", origin)
		want := ""
		if contains(allowed, origin) {
			want = origin
		}
		require.Equal(t, want, a.Header.Get("Access-Control-Allow-Origin"), origin)
		require.Contains(t, a.Header.Values("Vary"), "Origin")
		require.Empty(t, a.Header.Get("Access-Control-Allow-Credentials"))
		before := r.call(t, "OPTIONS", "/api/v1/gmail/analyze", "", "", "Origin", origin, "Access-Control-Request-Method", "POST")
		require.Equal(t, 204, before.StatusCode, origin)
		require.Equal(t, want, before.Header.Get("Access-Control-Allow-Origin"), origin)
		require.Equal(t, want != "", strings.Contains(before.Header.Get("Access-Control-Allow-Headers"), "Idempotency-Key"), origin)
	}
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

func TestRequestIDsFollowTheRequestIntoTheLog(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := r.member(t, "ada@example.com")
	a := r.call(t, "GET", "/api/v1/auth/me?secret=hush-hush", token, "", "X-Request-ID", "mine-1.2_3", "Traceparent", strangersTrace)
	require.Equal(t, "mine-1.2_3", a.Header.Get("X-Request-ID"))
	testkit.Eventually(t, 5*time.Second, func() bool { return len(r.log.With("mine-1.2_3", `"msg":"request"`)) == 1 }, "one line for the request")
	line := r.log.With("mine-1.2_3", `"msg":"request"`)[0]
	for _, part := range []string{`"route":"/api/v1/auth/me"`, `"status":200`, `"customer_id":"cus_`, `"ms":`} {
		require.Contains(t, line, part)
	}
	require.Regexp(t, `"trace_id":"[0-9a-f]{32}","span_id":"[0-9a-f]{16}"`, line)
	require.Empty(t, r.log.With("0af7651916cd43dd8448eb211c80319c"), "a stranger names no trace of ours")
	for _, forged := range []string{"", "has blanks", "x\"y", strings.Repeat("x", 65), "é"} {
		require.Regexp(t, `^[0-9a-f]{32}$`, r.call(t, "GET", "/health", "", "", "X-Request-ID", forged).Header.Get("X-Request-ID"), forged)
	}
	r.call(t, "GET", "/made/up/by/strangers", "", "")
	require.NotEmpty(t, r.log.With(`"route":"unmatched"`))
	r.call(t, "BREW", "/health", "", "")
	testkit.Eventually(t, 5*time.Second, func() bool { return len(r.log.With(`"method":"OTHER"`)) == 1 }, "the method in our words")
	for _, secret := range []string{"hush-hush", token, good, "made/up", "BREW"} {
		require.Empty(t, r.log.With(secret), "no secret and no stranger's words in the log")
	}
}

func TestAllowanceIsThePlansAndRetryAfterIsTrue(t *testing.T) { // RAT-2
	t.Parallel()
	r := newRig(t, func(r *rig) {
		for tier, p := range r.Plans {
			p.RequestsPerMinute = 60
			r.Plans[tier] = p
		}
	})
	token, other := r.member(t, "ada@example.com"), r.member(t, "bob@example.com")
	var last answer
	for range 100 {
		if last = r.call(t, "GET", "/api/v1/auth/me", token, ""); last.StatusCode != 200 {
			break
		}
		require.Equal(t, `"default";q=60;w=60`, last.Header.Get("RateLimit-Policy"))
		require.Regexp(t, `^"default";r=\d+;t=\d+$`, last.Header.Get("RateLimit"))
	}
	problem(t, last, 429, "rate_limited")
	require.Equal(t, "1", last.Header.Get("Retry-After"))
	require.Equal(t, `"default";r=0;t=1`, last.Header.Get("RateLimit"))
	require.NotContains(t, string(last.body), "retry_after")
	require.Equal(t, 200, r.call(t, "GET", "/api/v1/auth/me", other, "").StatusCode, "another customer is not concerned")
	testkit.Eventually(t, 3*time.Second, func() bool { return r.call(t, "GET", "/api/v1/auth/me", token, "").StatusCode == 200 }, "passes after Retry-After")
}

func TestStrangersAndGuessersShareTheAllowanceOfTheirAddress(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(r *rig) { r.AnonymousPerMinute = 10 })
	for range 10 {
		require.Equal(t, 401, r.call(t, "GET", "/api/v1/auth/me", "guess", "").StatusCode)
	}
	limited := r.call(t, "GET", "/api/v1/auth/me", "guess", "")
	problem(t, limited, 429, "rate_limited")
	require.Equal(t, `"anonymous";q=10;w=60`, limited.Header.Get("RateLimit-Policy"))
	problem(t, r.call(t, "GET", "/api/v1/billing/plans", "", ""), 429, "rate_limited")
	require.Equal(t, 200, r.call(t, "GET", "/health", "", "").StatusCode, "probes are not counted")
}

func TestReadinessIsAskedOnceASecond(t *testing.T) { // SRV-3
	t.Parallel()
	var asked atomic.Int32
	var state atomic.Pointer[httpapi.Readiness]
	state.Store(&httpapi.Readiness{Status: httpapi.Degraded, Checks: map[string]string{"postgres": "ok", "redis": "down"}})
	r := newRig(t, func(r *rig) {
		r.Ready = func(context.Context) httpapi.Readiness { asked.Add(1); return *state.Load() }
	})
	begun := time.Now()
	for range 5 {
		a := r.call(t, "GET", "/health/ready", "", "")
		require.Equal(t, 200, a.StatusCode)
		require.Equal(t, "degraded", a.object(t)["status"])
	}
	require.LessOrEqual(t, asked.Load(), 1+int32(time.Since(begun)/time.Second))
	state.Store(&httpapi.Readiness{Status: httpapi.Unready, Checks: map[string]string{"postgres": "down", "redis": "down"}})
	testkit.Eventually(t, 5*time.Second, func() bool { return r.call(t, "GET", "/health/ready", "", "").StatusCode == 503 }, "not ready")
	down := problem(t, r.call(t, "GET", "/health/ready", "", ""), 503, "unavailable")
	require.Equal(t, "down", down["checks"].(map[string]any)["postgres"])
}

func TestServerEndsSlowHeadersAndRefusesLargeOnes(t *testing.T) { // SRV-1
	t.Parallel()
	s := httpapi.Server(":0", http.NotFoundHandler())
	require.Equal(t, 5*time.Second, s.ReadHeaderTimeout)
	require.Equal(t, 10*time.Second, s.ReadTimeout)
	require.Equal(t, 30*time.Second, s.WriteTimeout)
	require.Equal(t, 60*time.Second, s.IdleTimeout)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	go func() { _ = s.Serve(listener) }()
	t.Cleanup(func() { _ = s.Close() })
	conn, err := net.Dial("tcp", listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nX-Large: %s\r\n\r\n", strings.Repeat("x", 100<<10))
	_ = err // the server may hang up while we still write
	line, err := bufio.NewReader(conn).ReadString('\n')
	require.NoError(t, err)
	require.Contains(t, line, "431")
}

func TestRateFollowsThePlanAndATrialHasPros(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ change, policy string }{
		{"", `"default";q=600;w=60`}, // the trial of a free customer
		{"plan = 'basic'", `"default";q=600;w=60`},
		{"trial_ends_at = now() - interval '1 day'", `"default";q=60;w=60`},
		{"plan = 'enterprise'", `"default";q=3000;w=60`},
	} {
		r := newRig(t)
		token := r.member(t, "ada@example.com")
		if c.change != "" {
			_, err := r.root.Exec(t.Context(), "UPDATE customers SET "+c.change)
			require.NoError(t, err)
		}
		require.Equal(t, c.policy, r.call(t, "GET", "/api/v1/auth/me", token, "").Header.Get("RateLimit-Policy"), c.change)
	}
}

func TestASuspendedCustomerIsToldSo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := r.member(t, "ada@example.com")
	_, err := r.root.Exec(t.Context(), "UPDATE customers SET suspended_at = now()")
	require.NoError(t, err)
	problem(t, r.call(t, "GET", "/api/v1/auth/me", token, ""), 403, "account_suspended")
}

func TestRedisAwayCostsNoRequest(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(r *rig) {
		gone := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", DialTimeout: 50 * time.Millisecond, MaxRetries: -1})
		t.Cleanup(func() { _ = gone.Close() })
		r.Requests = &ratelimit.Requests{Redis: gone, Log: r.Log}
	})
	token := r.member(t, "ada@example.com")
	a := r.call(t, "GET", "/api/v1/auth/me", token, "")
	require.Equal(t, 200, a.StatusCode)
	require.Equal(t, `"default";q=600;w=60`, a.Header.Get("RateLimit-Policy"))
}
