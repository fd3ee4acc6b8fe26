package opsweb

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"

	"mailsweep/internal/ops"
	"mailsweep/internal/sweep"
)

const refreshEvery = 5 // seconds

// list is a page of jobs with the links around it.
type list struct {
	View, Kind string
	Views      []string
	Kinds      []sweep.JobKind
	Jobs       any
	Empty      bool
	Next       string // link to the following page; "" at the end
	First      bool
	base       url.URL
}

// With is this list with one choice changed, from its first page.
func (l list) With(key, value string) string {
	u, q := l.base, l.base.Query()
	q.Del("before")
	q.Set(key, value)
	if value == "" {
		q.Del(key)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

func (p *Pages) list(r *http.Request, f ops.Filter) (l list, err error) {
	q := r.URL.Query()
	f.Kind = sweep.JobKind(q.Get("kind"))
	if before := q.Get("before"); before != "" {
		if f.Before, err = sweep.JobID.Parse(before); err != nil {
			return l, err
		}
	}
	jobs, next, err := p.Ops.Jobs(r.Context(), f)
	l = list{View: f.View, Kind: string(f.Kind), Kinds: sweep.Kinds(), Jobs: jobs, Empty: len(jobs) == 0,
		First: f.Before.IsZero(), base: url.URL{Path: r.URL.Path, RawQuery: r.URL.RawQuery}}
	if !next.IsZero() {
		l.Next = l.With("before", sweep.JobID.Show(next))
	}
	return l, err
}

func choice(q url.Values, key, fallback string) string {
	if v := q.Get(key); v != "" {
		return v
	}
	return fallback
}

// jobs shows what stands, from PostgreSQL alone: it is right when the queue page is not.
func (p *Pages) jobs(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	board, err := p.Ops.Board(r.Context())
	if err != nil {
		return err
	}
	l, err := p.list(r, ops.Filter{View: choice(q, "view", "open")})
	if err != nil {
		return err
	}
	l.Views = ops.Views()[:len(ops.Views())-1]
	refresh := refreshEvery
	if q.Get("refresh") == "off" {
		refresh = 0
	}
	p.write(w, r, http.StatusOK, "jobs", view{Title: "Jobs", Section: "jobs", Refresh: refresh, Page: struct {
		ops.Board
		List list
	}{board, l}})
	return nil
}

func (p *Pages) job(w http.ResponseWriter, r *http.Request) error {
	id, err := sweep.JobID.Parse(r.PathValue("job"))
	if err != nil {
		return err
	}
	job, err := p.Ops.Job(r.Context(), id)
	if err != nil {
		return err
	}
	p.show(w, r, "job", "Job "+sweep.JobID.Show(id), job)
	return nil
}

func (p *Pages) customer(w http.ResponseWriter, r *http.Request) error {
	id, err := sweep.CustomerID.Parse(r.PathValue("customer"))
	if err != nil {
		return err
	}
	c, err := p.Ops.Customer(r.Context(), id)
	if err != nil {
		return err
	}
	l, err := p.list(r, ops.Filter{View: choice(r.URL.Query(), "view", "all"), Customer: id})
	if err != nil {
		return err
	}
	l.Views = ops.Views()
	p.show(w, r, "customer", "Customer "+sweep.CustomerID.Show(id), struct {
		ops.Customer
		ID   sweep.ID
		List list
	}{c, id, l})
	return nil
}

// halts shows what is in force, what was lifted, and what operators asked for.
func (p *Pages) halts(w http.ResponseWriter, r *http.Request) error {
	halts, err := p.Ops.Halts(r.Context())
	if err != nil {
		return err
	}
	before, _ := strconv.ParseInt(r.URL.Query().Get("before"), 10, 64) // what is no number begins at the newest
	log, err := p.Ops.Log(r.Context(), before, 31)
	if err != nil {
		return err
	}
	var older int64
	if len(log) > 30 {
		log = log[:30]
		older = log[29].Seq
	}
	p.show(w, r, "halts", "Halts and log", map[string]any{"Halts": halts, "Log": log, "Older": older})
	return nil
}

// runFilter reads which runs a bulk undo is about.
func runFilter(q url.Values) (f ops.RunFilter, err error) {
	f.Build = q.Get("build")
	if c := q.Get("customer"); c != "" {
		if f.Customer, err = sweep.CustomerID.Parse(c); err != nil {
			return f, sweep.Errorf(sweep.Invalid, "a customer is named as cus_ and 32 hex digits")
		}
	}
	if f.From, err = instant(q.Get("from")); err != nil {
		return f, err
	}
	f.To, err = instant(q.Get("to"))
	return f, err
}

// instant reads what a browser's field for date and time sends, as UTC, or RFC 3339.
func instant(s string) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, sweep.Errorf(sweep.Invalid, "a time is written as 2026-11-02T15:04, in UTC")
}

// undo shows the form of a bulk undo and, once it is filled in, what it would find.
func (p *Pages) undo(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	page := map[string]any{"Outcome": outcomeOf(q), "Build": q.Get("build"), "Customer": q.Get("customer"), "From": q.Get("from"), "To": q.Get("to"), "Preview": nil}
	if q.Get("preview") != "" {
		f, err := runFilter(q)
		if err != nil {
			return err
		}
		preview, err := p.Ops.PreviewUndo(r.Context(), f)
		if err != nil {
			return err
		}
		page["Preview"] = preview
	}
	p.show(w, r, "undo", "Bulk undo", page)
	return nil
}

// outcome is what a bulk undo did, as the address it leads to tells it.
type outcome struct {
	Sent, Left int
	Refused    []string // how many, and their code
}

var refusal = regexp.MustCompile(`^[0-9]{1,6} [a-z_]{1,40}$`)

// outcomeOf reads one, or nil. The address may be a stranger's: only numbers and codes are shown, no words of theirs.
func outcomeOf(q url.Values) *outcome {
	sent, err := strconv.Atoi(q.Get("sent"))
	if err != nil {
		return nil
	}
	left, _ := strconv.Atoi(q.Get("left")) // nothing is left
	return &outcome{Sent: sent, Left: left, Refused: slices.DeleteFunc(q["refused"], func(s string) bool { return !refusal.MatchString(s) })}
}

func (p *Pages) why(w http.ResponseWriter, r *http.Request) error {
	p.show(w, r, "why", "Why was a message changed?", map[string]any{"Customer": r.URL.Query().Get("customer"), "Message": "", "Why": []sweep.Why{}})
	return nil
}

// answer tells why a message was changed. It is a POST although nothing changes: that somebody looked is written down.
func (p *Pages) answer(w http.ResponseWriter, r *http.Request) error {
	customer, err := sweep.CustomerID.Parse(r.FormValue("customer"))
	if err != nil {
		return sweep.Errorf(sweep.Invalid, "a customer is named as cus_ and 32 hex digits")
	}
	message, err := sweep.ParseMessageID(r.FormValue("message"))
	if err != nil {
		return err
	}
	why, err := p.Ops.Why(r.Context(), p.actor(r), customer, message)
	if err != nil {
		return err
	}
	p.show(w, r, "why", "Why was a message changed?", map[string]any{"Customer": r.FormValue("customer"), "Message": r.FormValue("message"), "Why": why})
	return nil
}
