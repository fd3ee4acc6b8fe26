package google

import (
	"context"
	"encoding/json"
	"io"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Scopes of Gmail. The restricted ones need verification at Google.
const (
	ScopeMail     = "https://mail.google.com/"
	ScopeModify   = "https://www.googleapis.com/auth/gmail.modify"
	ScopeReadonly = "https://www.googleapis.com/auth/gmail.readonly"
	ScopeMetadata = "https://www.googleapis.com/auth/gmail.metadata"
	ScopeLabels   = "https://www.googleapis.com/auth/gmail.labels"
	scopeCompose  = "https://www.googleapis.com/auth/gmail.compose"
)

// Scope lists of the methods, from Gmail's discovery document.
var (
	forReading  = []string{ScopeMail, ScopeModify, ScopeReadonly, ScopeMetadata}
	forProfile  = append([]string{scopeCompose}, forReading...)
	forLabels   = append([]string{ScopeLabels}, forReading...)
	forLabeling = []string{ScopeMail, ScopeModify, ScopeLabels}
	forChanging = []string{ScopeMail, ScopeModify}
	forDeleting = []string{ScopeMail}
)

// endpoint is one method of the API.
type endpoint struct {
	pattern string
	method  string
	scopes  []string
	run     func(*call) (any, error) // a nil value is answered 204
}

// call is one request to an endpoint.
type call struct {
	sim    *Sim
	box    *Mailbox
	req    *http.Request
	form   url.Values
	method string
	scopes []string // granted
}

func endpoints() []endpoint {
	const u = "/gmail/v1/users/{user}"
	return []endpoint{
		{"GET " + u + "/profile", "getProfile", forProfile, getProfile},
		{"GET " + u + "/labels", "labels.list", forLabels, listLabels},
		{"POST " + u + "/labels", "labels.create", forLabeling, createLabel},
		{"GET " + u + "/labels/{id}", "labels.get", forLabels, getLabel},
		{"PUT " + u + "/labels/{id}", "labels.update", forLabeling, updateLabel},
		{"PATCH " + u + "/labels/{id}", "labels.patch", forLabeling, updateLabel},
		{"DELETE " + u + "/labels/{id}", "labels.delete", forLabeling, deleteLabel},
		{"GET " + u + "/messages", "messages.list", forReading, listMessages},
		{"GET " + u + "/messages/{id}", "messages.get", forReading, getMessage},
		{"DELETE " + u + "/messages/{id}", "messages.delete", forDeleting, deleteMessage},
		{"POST " + u + "/messages/{id}/modify", "messages.modify", forChanging, modifyMessage},
		{"POST " + u + "/messages/{id}/trash", "messages.trash", forChanging, trashMessage},
		{"POST " + u + "/messages/{id}/untrash", "messages.untrash", forChanging, untrashMessage},
		{"POST " + u + "/messages/batchModify", "messages.batchModify", forChanging, batchModify},
		{"POST " + u + "/messages/batchDelete", "messages.batchDelete", forDeleting, batchDelete},
		{"GET " + u + "/threads", "threads.list", forReading, listThreads},
		{"GET " + u + "/threads/{id}", "threads.get", forReading, getThread},
		{"POST " + u + "/threads/{id}/modify", "threads.modify", forChanging, modifyThread},
		{"POST " + u + "/threads/{id}/trash", "threads.trash", forChanging, trashThread},
		{"POST " + u + "/threads/{id}/untrash", "threads.untrash", forChanging, untrashThread},
		{"GET " + u + "/history", "history.list", forReading, listHistory},
	}
}

// serve wraps an endpoint with what every call goes through.
func (s *Sim) serve(e endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := &call{sim: s, req: r, form: r.URL.Query(), method: e.method}
		out := answer{w: w, r: r, form: c.form}
		if err := c.authenticate(); err != nil {
			out.refuse(err)
			return
		}
		if !c.box.book.enter(s.cfg.Concurrency) {
			out.refuse(tooManyAtOnce())
			return
		}
		defer c.box.book.leave()
		out.value, out.err = c.through(e, &out)
		if out.err == nil && out.fault.ResetAfterEffect {
			panic(http.ErrAbortHandler)
		}
		out.send()
	}
}

// through spends quota, meets faults, waits as long as Gmail takes, and runs the endpoint.
func (c *call) through(e endpoint, out *answer) (any, error) {
	if err := c.spend(); err != nil {
		return nil, err
	}
	out.fault = c.sim.fault.next(c.method, c.box.Email, c.sim.chance)
	if err := out.fault.strike(c.req.Context(), c.sim); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(c.scopes, func(g string) bool { return slices.Contains(e.scopes, g) }) {
		return nil, missingScope(c.method)
	}
	c.sim.delay(c.req.Context(), c.method)
	return e.run(c)
}

// authenticate finds the mailbox of the access token and checks that the path names it.
func (c *call) authenticate() error {
	token := strings.TrimPrefix(c.req.Header.Get("Authorization"), "Bearer ")
	g, ok := c.sim.auth.access(token, c.sim.cfg.Now())
	if !ok {
		return badCredentials()
	}
	m, err := c.sim.Mailbox(g.email)
	if err != nil {
		return &refusal{code: http.StatusBadRequest, reason: "failedPrecondition", status: "FAILED_PRECONDITION", message: "Mail service not enabled"}
	}
	if user := c.req.PathValue("user"); user != "me" && !strings.EqualFold(user, m.Email) {
		return &refusal{code: http.StatusForbidden, reason: "forbidden", message: "Delegation denied for " + m.Email}
	}
	c.box, c.scopes = m, g.scopes
	return nil
}

func (c *call) spend() error {
	s, units := c.sim, c.sim.cfg.Tariff.Units[c.method]
	ok, perUser, retry := s.quota.take(c.box.Email, units, s.cfg.Now(), s.cfg.ChargeRefused)
	if ok {
		c.box.book.spend(c.method, units)
		return nil
	}
	if !s.cfg.ChargeRefused {
		units = 0
	}
	c.box.book.refuse(c.method, units)
	if perUser && s.chance(s.cfg.Share429) {
		return retryLater(retry)
	}
	return overQuota(s.cfg.Tariff, perUser)
}

// decode reads a JSON body into v.
func (c *call) decode(v any) error {
	b, err := io.ReadAll(io.LimitReader(c.req.Body, 4<<20))
	if err != nil {
		return &refusal{code: http.StatusBadRequest, reason: "badRequest", message: "Bad Request"}
	}
	if len(b) == 0 {
		return nil
	}
	if err := json.Unmarshal(b, v); err != nil {
		return &refusal{code: http.StatusBadRequest, reason: "parseError", message: "Invalid JSON payload received. " + err.Error()}
	}
	return nil
}

// limit reads maxResults: 100 by default, at most 500.
func (c *call) limit() (int, error) {
	v := c.form.Get("maxResults")
	if v == "" || v == "0" {
		return 100, nil
	}
	n, err := strconv.ParseUint(v, 10, 32)
	if err != nil {
		return 0, invalid("Invalid value at 'max_results' (TYPE_UINT32), \"" + v + "\"")
	}
	return min(int(n), 500), nil
}

// latencies are log-normal: median and 99th percentile in milliseconds.
var latencies = map[string][2]float64{"messages.list": {300, 900}, "threads.list": {300, 900}, "messages.get": {110, 500}, "threads.get": {200, 900},
	"history.list": {150, 500}, "messages.batchModify": {800, 4000}, "messages.batchDelete": {800, 4000}, "token": {120, 600}}

// delay waits as long as Gmail would, if the Sim is set so.
func (s *Sim) delay(ctx context.Context, method string) {
	if !s.cfg.Latency {
		return
	}
	l, ok := latencies[method]
	if !ok {
		l = [2]float64{90, 300}
	}
	s.rngMu.Lock()
	z := s.rng.NormFloat64()
	s.rngMu.Unlock()
	ms := l[0] * math.Exp(z*math.Log(l[1]/l[0])/2.326)
	pause(ctx.Done(), s.scaled(time.Duration(ms*float64(time.Millisecond))))
}

func pause(done <-chan struct{}, d time.Duration) {
	if d <= 0 {
		return
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-done:
	}
}
