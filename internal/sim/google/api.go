package google

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailsweep/internal/sim/google/box"
)

// call is one request to an endpoint.
type call struct {
	sim    *Sim
	box    *Mailbox
	req    *http.Request
	form   url.Values
	method string
	scopes []string // granted
	token  int      // number of the mailbox's access token
	struck struck
	body   []byte // of the request, once read
	change *labelChange
	media  *upload // of a resumable upload that has come whole
}

// serve wraps an endpoint with what every call goes through.
func (s *Sim) serve(e endpoint) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		c := &call{sim: s, req: r, form: r.URL.Query(), method: e.method}
		out := answer{w: w, r: r, form: c.form, sim: s, quirks: s.cfg.Quirks}
		if err := c.authenticate(); err != nil {
			out.refuse(err)
			return
		}
		out.quirks = c.box.cfg.Quirks
		if !c.box.book.enter(s.cfg.Concurrency - s.other(c.box).Slots) {
			out.refuse(tooManyAtOnce())
			return
		}
		defer c.box.book.leave()
		defer func() { c.box.book.carry(s.Today().Began, out.sent) }()
		out.value, out.err = c.through(e, w)
		out.struck = c.struck
		if out.err == nil && c.struck.any(func(f Fault) bool { return f.ResetAfterEffect }) {
			c.struck.breakOff(w)
		}
		out.send()
	}
}

// through spends quota, meets faults, waits as long as Gmail takes, and runs the endpoint.
func (c *call) through(e endpoint, w http.ResponseWriter) (any, error) {
	if err := c.spend(); err != nil {
		return nil, err
	}
	if _, err := c.read(); err != nil { // net/http hears of a client that gives up only when its request is read
		return nil, err
	}
	c.struck = c.sim.spoil(c.target())
	c.halve()
	if err := c.upset(); err != nil {
		return nil, err
	}
	if err := c.struck.answer(c.req.Context(), w, c.sim); err != nil {
		return nil, err
	}
	if !slices.ContainsFunc(c.scopes, func(g string) bool { return slices.Contains(e.scopes, g) }) {
		return nil, missingScope(c.method)
	}
	if c.sim.cfg.Latency {
		c.sim.delay(c.req.Context(), c.pace(), c.box.Email, len(c.ids()))
	}
	return e.run(c)
}

// target is what fault rules are matched with.
func (c *call) target() target {
	t := target{method: c.method, user: c.box.Email, query: c.form.Get("q"), paged: c.form.Get("pageToken") != "", token: c.token, now: c.sim.cfg.Now()}
	if id, err := box.ParseID(c.req.PathValue("id")); err == nil {
		t.arrived = box.TimeOf(id)
	}
	return t
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
	c.box, c.scopes, c.token = m, g.scopes, g.number
	return nil
}

func (c *call) spend() error {
	s, units := c.sim, c.sim.cfg.Tariff.Units[c.method]
	if c.form.Get("upload_id") != "" {
		units = 0 // the upload was paid for as it began
	}
	now := s.cfg.Now()
	s.overspend(c.box, now)
	if err := c.overDay(now); err != nil {
		c.box.book.refuse(c.method, 0)
		return err
	}
	ok, perUser, retry := s.quota.take(c.box.Email, units, now, c.box.cfg.ChargeRefused)
	if ok {
		c.box.book.spend(c.method, units)
		return nil
	}
	if !c.box.cfg.ChargeRefused {
		units = 0
	}
	c.box.book.refuse(c.method, units)
	refused := overQuota(s.cfg.Tariff, perUser)
	if perUser && s.dice.throw("refusal "+c.box.Email) < c.box.cfg.Share429 {
		refused = retryLater(retry)
	}
	if c.box.cfg.Quirks.RetryHeader {
		refused.retryAfter = retry.Sub(now)
	}
	return refused
}

// overDay refuses what is above the project's units or the mailbox's bytes of the day.
func (c *call) overDay(now time.Time) error {
	day, over := c.sim.quota.today(now)
	if over && c.sim.cfg.StopAtDay {
		return overProjectDay()
	}
	if limit := c.sim.cfg.BytesPerDay; limit > 0 && c.box.book.carry(day.Began, 0) >= limit {
		return retryLater(day.Began.Add(minutesOfDay * c.sim.quota.span))
	}
	return nil
}

// maxBody is how much is read of a request.
const maxBody = 36 << 20

// read reads the request's body, once.
func (c *call) read() ([]byte, error) {
	if c.body != nil || c.req.Body == nil {
		return c.body, nil
	}
	b, err := io.ReadAll(io.LimitReader(c.req.Body, maxBody))
	if err != nil {
		return nil, &refusal{code: http.StatusBadRequest, reason: "badRequest", message: "Bad Request"}
	}
	c.body = b
	return b, nil
}

// decode reads a JSON body into v.
func (c *call) decode(v any) error {
	b, err := c.read()
	if err != nil || len(b) == 0 {
		return err
	}
	if err := json.Unmarshal(b, v); err != nil {
		return &refusal{code: http.StatusBadRequest, reason: "parseError", message: "Invalid JSON payload received. " + err.Error()}
	}
	return nil
}

// labelChange is the body of a call that changes labels.
func (c *call) labelChange() (*labelChange, error) {
	if c.change == nil {
		var change labelChange
		if err := c.decode(&change); err != nil {
			return nil, err
		}
		c.change = &change
	}
	return c.change, nil
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
