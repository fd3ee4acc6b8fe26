package app

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"net/url"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"

	"mailsweep/internal/config"
	"mailsweep/internal/opsweb"
)

// OpsServer is the private listener of a process: its health, its figures, its profiles, the queue page and the operators' pages. On loopback it
// needs no password but answers only under a loopback name; on any other address everything but /health wants one of Users.
type OpsServer struct {
	Addr    string
	Users   []config.OpsUser
	Queues  http.Handler // nil: no queue page
	Pages   http.Handler // nil: no other page under /ops; hears who asks from opsweb.WithOperator
	Metrics http.Handler
	Ready   func(context.Context) (state any, ready bool) // state is shown as JSON
	Log     *slog.Logger

	known passwords
}

// Run serves until ctx ends. It refuses an address that is not loopback while Users is empty.
func (o *OpsServer) Run(ctx context.Context) error {
	if !loopback(o.Addr) && len(o.Users) == 0 {
		return fmt.Errorf("refusing to serve operations on %s without users: set OPS_USERS or use a loopback address", o.Addr)
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.Addr)
	if err != nil {
		return fmt.Errorf("listen for operations: %w", err)
	}
	server := &http.Server{
		Handler: o.Handler(), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 60 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serve operations: %w", err)
	case <-ctx.Done():
	}
	short, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	if err := server.Shutdown(short); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("stop serving operations: %w", err)
	}
	return nil
}

// Handler is what Run serves.
func (o *OpsServer) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { writeState(w, map[string]string{"status": "ok"}, true) })
	mux.HandleFunc("GET /health/ready", func(w http.ResponseWriter, r *http.Request) {
		state, ready := o.Ready(r.Context())
		writeState(w, state, ready)
	})
	mux.Handle("GET /metrics", o.guard(o.Metrics))
	mux.Handle("GET /debug/pprof/", o.guard(profiles()))
	if o.Queues != nil {
		mux.Handle("/ops/queues", o.guard(o.Queues))
		mux.Handle("/ops/queues/", o.guard(o.Queues))
	}
	if o.Pages != nil {
		mux.Handle("/ops", o.guard(o.Pages))
		mux.Handle("/ops/", o.guard(o.Pages))
	}
	return mux
}

// profiles are the runtime's own. The package hangs them into http.DefaultServeMux too, which nothing of ours may serve: a test of
// internal/arch sees to it.
func profiles() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	return mux
}

func writeState(w http.ResponseWriter, state any, ready bool) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(state) // a caller that has left does not hear
}

// guard lets in who may see the queue page and the figures, and tells the pages who that is: nobody where no users are known.
func (o *OpsServer) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if crossSite(r) {
			http.Error(w, "cross-site requests are refused", http.StatusForbidden)
			return
		}
		if loopback(o.Addr) && len(o.Users) == 0 && !loopback(r.Host) {
			// a stranger's page can point its own host name at 127.0.0.1
			http.Error(w, "open this page under a loopback address", http.StatusMisdirectedRequest)
			return
		}
		user, known := o.user(r)
		if len(o.Users) > 0 && !known {
			w.Header().Set("WWW-Authenticate", `Basic realm="mailsweep operations", charset="UTF-8"`)
			http.Error(w, "name and password, please", http.StatusUnauthorized)
			return
		}
		who := opsweb.Operator{Name: user.Name, MayAct: user.Role == "operator"}
		next.ServeHTTP(w, r.WithContext(opsweb.WithOperator(r.Context(), who)))
	})
}

// crossSite says that a browser acts for another site's page. Looking is let through when the browser says that a person navigated.
func crossSite(r *http.Request) bool {
	safe := r.Method == http.MethodGet || r.Method == http.MethodHead
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		return !safe || r.Header.Get("Sec-Fetch-Mode") != "navigate"
	}
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	u, err := url.Parse(origin)
	return err != nil || u.Host != r.Host
}

func loopback(hostport string) bool {
	host, _, err := net.SplitHostPort(hostport)
	if err != nil {
		host = hostport
	}
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// user is who signs in with a request; false where nobody of Users does.
func (o *OpsServer) user(r *http.Request) (user config.OpsUser, known bool) {
	name, password, given := r.BasicAuth()
	if !given || len(o.Users) == 0 {
		return user, false
	}
	hash := dummyHash
	for _, u := range o.Users {
		if u.Name == name {
			user, hash = u, u.Hash.Reveal()
		}
	}
	if !o.known.check(hash, password) || hash == dummyHash {
		return config.OpsUser{}, false
	}
	return user, true
}

// dummyHash makes an unknown name take as long as a wrong password. Nothing matches it.
const dummyHash = "$2a$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234"

const rememberPassword = 5 * time.Minute

// passwords remembers for a while which pairs fitted: a page that polls would otherwise keep a core busy with bcrypt. Wrong ones are
// compared one at a time, so that guessing cannot take the machine.
type passwords struct {
	once sync.Once
	key  [32]byte
	slow sync.Mutex

	mu    sync.Mutex
	until map[[32]byte]time.Time
}

func (p *passwords) check(hash, password string) bool {
	p.once.Do(func() {
		_, _ = rand.Read(p.key[:]) // never fails: the runtime ends the process instead
		p.until = map[[32]byte]time.Time{}
	})
	mark := sha256.Sum256(append(append(append(p.key[:0:0], p.key[:]...), hash...), "\x00"+password...))
	p.mu.Lock()
	fresh := time.Now().Before(p.until[mark])
	p.mu.Unlock()
	if fresh {
		return true
	}
	p.slow.Lock()
	defer p.slow.Unlock()
	if bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)) != nil {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	maps.DeleteFunc(p.until, func(_ [32]byte, t time.Time) bool { return t.Before(now) })
	p.until[mark] = now.Add(rememberPassword)
	return true
}
