// Package opsweb is the operators' pages: a form in, one use-case call, HTML out. They need no script and load nothing from elsewhere.
package opsweb

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"sync"

	"mailsweep/internal/ops"
	"mailsweep/internal/sweep"
)

//go:embed pages
var files embed.FS

// Operator is who asks, as the operations listener knows them.
type Operator struct {
	Name   string // "": nobody signed in, which is enough to look on loopback
	MayAct bool
}

type operatorKey struct{}

// WithOperator tells the pages who asks.
func WithOperator(ctx context.Context, o Operator) context.Context {
	return context.WithValue(ctx, operatorKey{}, o)
}

// OperatorOf is who asks; the zero Operator when nobody said.
func OperatorOf(r *http.Request) Operator {
	o, _ := r.Context().Value(operatorKey{}).(Operator)
	return o
}

// Pages serves everything under /ops but the queue page. It knows no users: mount it behind what does, and tells WithOperator.
type Pages struct {
	Ops *ops.Service
	Log *slog.Logger

	once  sync.Once
	pages map[string]*template.Template
	key   [32]byte // of the forms' tokens: a form of an earlier process is refused and shown again
}

func (p *Pages) init() {
	_, _ = rand.Read(p.key[:]) // never fails: the runtime ends the process instead
	p.pages = map[string]*template.Template{}
	for _, name := range []string{"jobs", "job", "customer", "halts", "undo", "why", "figures", "confirm", "problem"} {
		p.pages[name] = template.Must(template.New("layout.html").Funcs(shown()).ParseFS(files, "pages/layout.html", "pages/parts.html", "pages/"+name+".html"))
	}
}

// Handler serves the pages.
func (p *Pages) Handler() http.Handler {
	p.once.Do(p.init)
	mux := http.NewServeMux()
	mux.Handle("GET /ops", http.RedirectHandler("/ops/jobs", http.StatusFound))
	mux.HandleFunc("GET /ops/style.css", style)
	mux.HandleFunc("GET /ops/jobs", p.page(p.jobs))
	mux.HandleFunc("GET /ops/jobs/{job}", p.page(p.job))
	mux.HandleFunc("GET /ops/customers/{customer}", p.page(p.customer))
	mux.HandleFunc("GET /ops/halts", p.page(p.halts))
	mux.HandleFunc("GET /ops/undo", p.page(p.undo))
	mux.HandleFunc("GET /ops/why", p.page(p.why))
	mux.HandleFunc("GET /ops/figures", p.page(p.figures))
	mux.HandleFunc("GET /ops/act", p.page(p.confirm))
	mux.HandleFunc("POST /ops/act", p.page(p.guarded(p.act)))
	mux.HandleFunc("POST /ops/why", p.page(p.guarded(p.answer)))
	return secured(mux)
}

// secured sets what every answer carries.
func secured(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

func style(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "private, max-age=300")
	http.ServeFileFS(w, r, files, "pages/style.css")
}

// page shows why a handler did not do what was asked.
func (p *Pages) page(do handler) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := do(w, r); err != nil {
			p.refuse(w, r, err)
		}
	}
}

type handler func(http.ResponseWriter, *http.Request) error

// guarded lets a form through that comes from a page of ours, made for the operator who sends it.
func (p *Pages) guarded(next handler) handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
		o := OperatorOf(r)
		switch {
		case !sameOrigin(r):
			return sweep.Errorf(sweep.Forbidden, "this form was not sent from a page of ours")
		case !o.MayAct || o.Name == "":
			return sweep.Errorf(sweep.Forbidden, "acting needs an operator's name: sign in as one of OPS_USERS with the role operator, or use the command line")
		case !hmac.Equal([]byte(r.FormValue("token")), []byte(p.token(o))):
			return sweep.Errorf(sweep.Forbidden, "this form is too old: go back, reload and send it again")
		}
		return next(w, r)
	}
}

// sameOrigin wants a browser's word for where a form comes from: all browsers send one of the two with a POST.
func sameOrigin(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
		return false
	}
	u, err := url.Parse(r.Header.Get("Origin"))
	return err == nil && u.Host != "" && u.Host == r.Host
}

// token is what only a page made for this operator holds.
func (p *Pages) token(o Operator) string {
	mac := hmac.New(sha256.New, p.key[:])
	mac.Write([]byte(o.Name))
	return hex.EncodeToString(mac.Sum(nil))
}

func (p *Pages) actor(r *http.Request) ops.Operator { return ops.Operator{Name: OperatorOf(r).Name} }
