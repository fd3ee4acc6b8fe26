package app

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"mailsweep/internal/config"
	"mailsweep/internal/opsweb"
)

func opsServer(t *testing.T, addr string, users ...string) *OpsServer {
	t.Helper()
	says := func(what string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(what)) })
	}
	o := &OpsServer{Addr: addr, Queues: says("queues"), Metrics: says("metrics"), Log: slog.New(slog.DiscardHandler),
		Ready: func(context.Context) (any, bool) { return map[string]string{"database": "away"}, false }}
	for _, name := range users {
		hash, err := bcrypt.GenerateFromPassword([]byte("right"), bcrypt.MinCost)
		require.NoError(t, err)
		o.Users = append(o.Users, config.OpsUser{Name: name, Hash: config.NewSecret(string(hash)), Role: "viewer"})
	}
	return o
}

// HDR-2: queues, figures and profiles answer on a listener of their own, to its logins alone, and to no page of another site.
func TestOperationsAreForThoseWhoMay(t *testing.T) {
	t.Parallel()
	open, guarded := opsServer(t, "127.0.0.1:8001").Handler(), opsServer(t, "10.0.0.1:8001", "ada", "bob").Handler()
	type header map[string]string
	for _, c := range []struct {
		name           string
		h              http.Handler
		method, target string
		host, password string
		headers        header
		want           int
	}{
		{"loopback needs no password", open, "GET", "/ops/queues", "localhost:8001", "", nil, 200},
		{"its sub-pages", open, "GET", "/ops/queues/api/queues", "127.0.0.1:8001", "", nil, 200},
		{"figures", open, "GET", "/metrics", "[::1]:8001", "", nil, 200},
		{"profiles", open, "GET", "/debug/pprof/", "localhost:8001", "", nil, 200},
		{"a profile", open, "GET", "/debug/pprof/goroutine?debug=1", "127.0.0.1:8001", "", nil, 200},
		{"a rebound name, profiles", open, "GET", "/debug/pprof/heap", "evil.example", "", nil, 421},
		{"a stranger's page, profiles", open, "GET", "/debug/pprof/heap", "localhost", "", header{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403},
		{"anonymous, profiles", guarded, "GET", "/debug/pprof/heap", "ops", "", nil, 401},
		{"right, profiles", guarded, "GET", "/debug/pprof/cmdline", "ops", "bob:right", nil, 200},
		{"a rebound name", open, "GET", "/ops/queues", "evil.example", "", nil, 421},
		{"a rebound name, figures", open, "GET", "/metrics", "evil.example:8001", "", nil, 421},
		{"health for probes", open, "GET", "/health", "10.1.2.3:8001", "", nil, 200},
		{"not ready", open, "GET", "/health/ready", "10.1.2.3:8001", "", nil, 503},
		{"nothing else", open, "GET", "/", "localhost", "", nil, 404},
		{"a stranger's form", open, "POST", "/ops/queues/api/queues/bulk:pause", "localhost", "", header{"Sec-Fetch-Site": "cross-site"}, 403},
		{"a stranger's form, old browser", open, "POST", "/ops/queues/api/queues/bulk:pause", "localhost", "", header{"Origin": "https://evil.example"}, 403},
		{"a sister site's form", open, "POST", "/ops/queues", "localhost", "", header{"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"}, 403},
		{"a stranger's image", open, "GET", "/ops/queues/api/queues", "localhost", "", header{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}, 403},
		{"a link from elsewhere", open, "GET", "/ops/queues", "localhost", "", header{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}, 200},
		{"our own page", open, "POST", "/ops/queues", "localhost:8001", "", header{"Sec-Fetch-Site": "same-origin", "Origin": "http://localhost:8001"}, 200},
		{"anonymous", guarded, "GET", "/ops/queues", "ops", "", nil, 401},
		{"anonymous, figures", guarded, "GET", "/metrics", "ops", "", nil, 401},
		{"wrong password", guarded, "GET", "/ops/queues", "ops", "bob:wrong", nil, 401},
		{"unknown name", guarded, "GET", "/ops/queues", "ops", "eve:right", nil, 401},
		{"right", guarded, "GET", "/ops/queues", "ops", "bob:right", nil, 200},
		{"right again", guarded, "GET", "/metrics", "ops", "bob:right", nil, 200},
		{"another", guarded, "GET", "/metrics", "ops", "ada:right", nil, 200},
		{"wrong after right", guarded, "GET", "/ops/queues", "ops", "bob:wrong", nil, 401},
		{"right, but cross-site", guarded, "POST", "/ops/queues", "ops", "bob:right", header{"Origin": "https://evil.example"}, 403},
		{"health for probes", guarded, "GET", "/health", "ops", "", nil, 200},
	} {
		r := httptest.NewRequest(c.method, c.target, nil)
		r.Host = c.host
		for k, v := range c.headers {
			r.Header.Set(k, v)
		}
		if len(c.password) > 4 {
			r.SetBasicAuth(c.password[:3], c.password[4:])
		}
		w := httptest.NewRecorder()
		c.h.ServeHTTP(w, r)
		require.Equal(t, c.want, w.Code, c.name)
	}
}

func TestOperationsAreNotExposedWithoutUsers(t *testing.T) { // HDR-2
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for _, addr := range []string{"0.0.0.0:0", ":0", "10.0.0.1:0"} {
		require.ErrorContains(t, opsServer(t, addr).Run(ctx), "refusing", addr)
	}
	require.NoError(t, opsServer(t, "127.0.0.1:0").Run(ctx))
}

func TestAnUnknownNameTakesAsLongAsAWrongPassword(t *testing.T) {
	t.Parallel()
	cost, err := bcrypt.Cost([]byte(dummyHash))
	require.NoError(t, err)
	require.Equal(t, 12, cost)
	require.ErrorIs(t, bcrypt.CompareHashAndPassword([]byte(dummyHash), []byte("x")), bcrypt.ErrMismatchedHashAndPassword)
}

// Who asks is told to the operators' pages by the name that was signed in; where nobody can sign in, nobody acts.
func TestTheOperatorsPagesHearWhoAsks(t *testing.T) {
	t.Parallel()
	heard := make(chan opsweb.Operator, 1)
	pages := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { heard <- opsweb.OperatorOf(r) })
	open, guarded := opsServer(t, "127.0.0.1:8001"), opsServer(t, "10.0.0.1:8001", "ada", "bob")
	guarded.Users[0].Role = "operator"
	open.Pages, guarded.Pages = pages, pages
	for _, c := range []struct {
		o    *OpsServer
		user string
		want opsweb.Operator
	}{{open, "", opsweb.Operator{}}, {open, "ada", opsweb.Operator{}}, {guarded, "ada", opsweb.Operator{Name: "ada", MayAct: true}}, {guarded, "bob", opsweb.Operator{Name: "bob"}}} {
		for _, path := range []string{"/ops", "/ops/jobs", "/ops/jobs/job_1"} {
			r := httptest.NewRequest("GET", path, nil)
			r.Host = "localhost"
			if c.user != "" {
				r.SetBasicAuth(c.user, "right")
			}
			w := httptest.NewRecorder()
			c.o.Handler().ServeHTTP(w, r)
			require.Equal(t, http.StatusOK, w.Code)
			require.Equal(t, c.want, <-heard)
		}
	}
	w := httptest.NewRecorder()
	guarded.Handler().ServeHTTP(w, httptest.NewRequest("GET", "/ops/jobs", nil))
	require.Equal(t, http.StatusUnauthorized, w.Code)
}
