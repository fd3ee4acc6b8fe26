package google

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// routes are all addresses of the Sim.
func (s *Sim) routes() *http.ServeMux {
	mux := http.NewServeMux()
	for _, e := range endpoints() {
		mux.HandleFunc(e.pattern, s.serve(e))
		if path, ok := strings.CutPrefix(e.pattern, "POST /upload/"); ok {
			mux.HandleFunc("PUT /upload/"+path, s.serve(e))
			mux.HandleFunc("POST /resumable/upload/"+path, s.serve(e))
			mux.HandleFunc("PUT /resumable/upload/"+path, s.serve(e))
		}
	}
	mux.HandleFunc("/gmail/", func(w http.ResponseWriter, r *http.Request) { (&answer{w: w, r: r}).refuse(notFound()) })
	mux.HandleFunc("POST /batch", s.batch)
	mux.HandleFunc("POST /batch/gmail/v1", s.batch)
	mux.HandleFunc("GET /$discovery/rest", s.describe)
	mux.HandleFunc("GET /discovery/v1/apis/gmail/v1/rest", s.describe)
	for _, p := range []string{"/o/oauth2/v2/auth", "/o/oauth2/auth"} {
		mux.HandleFunc("GET "+p, s.consent)
		mux.HandleFunc("POST "+p, s.decide)
	}
	mux.HandleFunc("POST /token", s.token)
	mux.HandleFunc("POST /revoke", s.revoke)
	mux.HandleFunc("/tokeninfo", s.tokeninfo)
	mux.HandleFunc("/oauth2/v3/tokeninfo", s.tokeninfo)
	mux.HandleFunc("GET /oauth2/v3/userinfo", s.userinfo)
	mux.HandleFunc("GET /v1/userinfo", s.userinfo)
	mux.HandleFunc("GET /oauth2/v3/certs", s.auth.key.Certs)
	mux.HandleFunc("GET /.well-known/openid-configuration", s.discovery)
	mux.HandleFunc("GET /.well-known/risc-configuration", s.riscDiscovery)
	mux.HandleFunc("GET /{$}", s.home)
	mux.HandleFunc("GET /sim/{$}", listControls)
	for _, c := range s.controls() {
		mux.HandleFunc(c.pattern, c.handle)
	}
	return mux
}

// control is a call for tests and people, not one of Google's.
type control struct {
	pattern string
	says    string
	handle  http.HandlerFunc
}

// controls are the calls under /sim/. Those about one mailbox take ?email=.
func (s *Sim) controls() []control {
	return []control{
		{"GET /sim/mailbox", "a page with the newest mail", s.mailboxPage},
		{"GET /sim/truth", "messages, threads, labels and a digest", tell(s.Truth)},
		{"GET /sim/facts", "counts by sender, domain, category, age and size", tell(s.Facts)},
		{"GET /sim/messages", "every message", tell(s.Messages)},
		{"GET /sim/ledger", "calls, units and changes", tell(s.Ledger)},
		{"POST /sim/mark", "?name= remembers what all mailboxes have spent", s.makeMark},
		{"GET /sim/since", "?name= tells what they have spent since", s.tellSince},
		{"GET /sim/project", "units of the project's day", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.Today()) }},
		{"GET /sim/faults", "the rules in force", s.listFaults},
		{"POST /sim/faults", "a rule more, as package google's Fault", s.addFault},
		{"DELETE /sim/faults", "no rules any more", func(w http.ResponseWriter, _ *http.Request) { s.ClearFaults(); w.WriteHeader(http.StatusNoContent) }},
		{"POST /sim/other", `{"other":{"slots":n,"units_per_second":u}} another client`, do(func(email string, o order) (any, error) { return nil, s.SetOther(email, o.Other) })},
		{"POST /sim/subscribe", `{"topic":"","url":"","audience":""} what a watch's topic gets is pushed there, signed`, do(func(_ string, o order) (any, error) { return nil, s.Subscribe(o.Topic, o.URL, o.Audience) })},
		{"POST /sim/security-event", `{"event":"tokens-revoked","reason":"","url":""} happens and is told there, signed`, do(func(email string, o order) (any, error) { return s.TellSecurityEvent(email, o.Event, o.Reason, o.URL) })},
		{"POST /sim/forge", `{"forgery":"wrong_key"} all id_tokens to come have that wrong, "" nothing`, do(func(_ string, o order) (any, error) { return Forgeries(), s.ForgeIDTokens(o.Forgery) })},
		{"POST /sim/rotate-keys", "id_tokens are signed by a new key", do(func(string, order) (any, error) { return nil, s.RotateKeys() })},
		{"POST /sim/address", `{"other_address":""} is told as the account's`, do(func(email string, o order) (any, error) { return nil, s.SayAddress(email, o.Address) })},
		{"POST /sim/revoke", "all consents end", do(func(email string, _ order) (any, error) { return nil, s.Revoke(email) })},
		{"POST /sim/expire-history", "all history ids are too old", do(func(email string, _ order) (any, error) { return nil, s.ExpireHistory(email) })},
		{"POST /sim/history-floor", `{"floor":id} the oldest good history id`, do(func(email string, o order) (any, error) { return nil, s.SetFloor(email, o.Floor) })},
		{"POST /sim/relabel", `{"ids":[],"add":[],"remove":[]} as another client`, do(func(email string, o order) (any, error) { return nil, s.Relabel(email, o.IDs, o.Add, o.Remove) })},
		{"POST /sim/delete", `{"ids":[]} as another client`, do(func(email string, o order) (any, error) { return nil, s.Delete(email, o.IDs) })},
		{"POST /sim/deliver", `{"mail":[{"from":"","subject":""}]} arrives`, do(func(email string, o order) (any, error) { return s.Deliver(email, o.Mail...) })},
	}
}

// listControls tells what there is under /sim/.
func listControls(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	for _, c := range (&Sim{}).controls() {
		if _, err := fmt.Fprintf(w, "%-26s %s\n", c.pattern, c.says); err != nil {
			return // the client is gone
		}
	}
}

func (s *Sim) makeMark(w http.ResponseWriter, r *http.Request) {
	s.Mark(r.URL.Query().Get("name"))
	w.WriteHeader(http.StatusNoContent)
}

// tell answers what is known about the mailbox in ?email=.
func tell[T any](f func(email string) (T, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := f(r.URL.Query().Get("email"))
		if err != nil {
			writeJSON(w, http.StatusNotFound, map[string]string{"error": err.Error()})
			return
		}
		writeJSON(w, http.StatusOK, v)
	}
}

// tellSince answers what a mailbox, or each of them, has spent since the mark in ?name=.
func (s *Sim) tellSince(w http.ResponseWriter, r *http.Request) {
	emails := s.Mailboxes()
	if one := r.URL.Query().Get("email"); one != "" {
		emails = []string{one}
	}
	out := map[string]Ledger{}
	for _, email := range emails {
		l, _, err := s.Since(r.URL.Query().Get("name"), email)
		if err != nil {
			writeJSON(w, http.StatusNotFound, map[string]string{"error": err.Error()})
			return
		}
		out[email] = l
	}
	writeJSON(w, http.StatusOK, out)
}

// order is the body of the admin calls that change a mailbox.
type order struct {
	IDs    []string    `json:"ids"`
	Add    []string    `json:"add"`
	Remove []string    `json:"remove"`
	Mail   []Incoming  `json:"mail"`
	Other  OtherClient `json:"other"`
	Floor  uint64      `json:"floor"`

	Topic    string `json:"topic"`
	URL      string `json:"url"`
	Audience string `json:"audience"`
	Event    string `json:"event"`
	Reason   string `json:"reason"`
	Address  string `json:"other_address"`
	Forgery  string `json:"forgery"`
}

func do(f func(email string, o order) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var o order
		if r.ContentLength != 0 {
			if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 16<<20)).Decode(&o); err != nil {
				writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
				return
			}
		}
		v, err := f(r.URL.Query().Get("email"), o)
		if err != nil {
			writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
			return
		}
		writeJSON(w, http.StatusOK, map[string]any{"result": v})
	}
}

// listFaults shows the rules in force and how often each was matched.
func (s *Sim) listFaults(w http.ResponseWriter, _ *http.Request) {
	type shown struct {
		ID   int `json:"id"`
		Seen int `json:"seen"`
		Fault
	}
	s.fault.mu.Lock()
	out := []shown{}
	for _, r := range s.fault.rules {
		out = append(out, shown{r.id, r.seen, r.Fault})
	}
	s.fault.mu.Unlock()
	writeJSON(w, http.StatusOK, out)
}

func (s *Sim) addFault(w http.ResponseWriter, r *http.Request) {
	var f Fault
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&f); err != nil {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
		return
	}
	writeJSON(w, http.StatusCreated, map[string]int{"id": s.Inject(f)})
}
