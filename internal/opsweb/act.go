package opsweb

import (
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"mailsweep/internal/ops"
	"mailsweep/internal/sweep"
)

// act is what an operator can do. Its confirmation says what it means; do gives where to go on.
type act struct {
	title string
	means string
	label string // of the button
	do    func(p *Pages, r *http.Request, v url.Values) (next string, err error)
}

// acts are all that there are, by the name that links and forms carry.
func acts() map[string]act {
	return map[string]act{
		"rerun": {"Let a failed job go on", "It goes on where its last batch ended, within the customer's quota of this month.", "Run it again", (*Pages).rerun},
		"cancel": {"Cancel a job", "A running job stops at its next batch's edge, a queued one at once. What was changed stays changed and can be undone.",
			"Cancel the job", (*Pages).cancelJob},
		"halt": {"Halt", "New jobs are refused with the code halted, running ones stop before their next batch, within two seconds. Nothing is lost: they go on when the halt is lifted.",
			"Halt now", (*Pages).halt},
		"pause": {"Pause", "Jobs are taken and none is started; what runs goes on. They start when the pause is lifted.", "Pause", (*Pages).halt},
		"lift":  {"Lift", "What was stopped goes on within seconds.", "Lift it", (*Pages).lift},
		"undo":  {"Bulk undo", "An undo job is queued for each of the runs, the newest first. Undos need no quota. Messages that were changed since are left alone.", "Undo them", (*Pages).undoRuns},
	}
}

// confirm asks before anything is done. Everything that the act needs is in the link, and then in the form.
func (p *Pages) confirm(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	a, known := acts()[q.Get("do")]
	if !known {
		return sweep.Errorf(sweep.NotFound, "there is no such act")
	}
	fields := url.Values{}
	for _, key := range []string{"do", "job", "scope", "value", "halt", "build", "customer", "from", "to", "expect"} {
		if q.Get(key) != "" {
			fields.Set(key, q.Get(key))
		}
	}
	p.show(w, r, "confirm", a.title, map[string]any{"Means": a.means, "Label": a.label, "Fields": fields, "Facts": facts(q)})
	return nil
}

// facts are what the act is about, for the reader.
func facts(q url.Values) (lines [][2]string) {
	add := func(name, value string) {
		if value != "" {
			lines = append(lines, [2]string{name, value})
		}
	}
	if q.Get("scope") != "" {
		add("what", stopped(q.Get("scope"), q.Get("value")))
	}
	add("runs", q.Get("expect"))
	for _, name := range []string{"job", "customer", "build", "from", "to"} {
		add(name, q.Get(name))
	}
	return lines
}

// act does what was confirmed.
func (p *Pages) act(w http.ResponseWriter, r *http.Request) error {
	a, known := acts()[r.PostFormValue("do")]
	if !known {
		return sweep.Errorf(sweep.NotFound, "there is no such act")
	}
	next, err := a.do(p, r, r.PostForm)
	if err != nil {
		return err
	}
	http.Redirect(w, r, next, http.StatusSeeOther)
	return nil
}

func (p *Pages) rerun(r *http.Request, v url.Values) (string, error) {
	return p.onJob(r, v, func(customer, job sweep.ID) error {
		return p.Ops.Rerun(r.Context(), p.actor(r), customer, job, v.Get("reason"))
	})
}

func (p *Pages) cancelJob(r *http.Request, v url.Values) (string, error) {
	return p.onJob(r, v, func(customer, job sweep.ID) error {
		return p.Ops.CancelJob(r.Context(), p.actor(r), customer, job, v.Get("reason"))
	})
}

// onJob finds whose job it is.
func (p *Pages) onJob(r *http.Request, v url.Values, do func(customer, job sweep.ID) error) (string, error) {
	id, err := sweep.JobID.Parse(v.Get("job"))
	if err != nil {
		return "", err
	}
	job, err := p.Ops.Job(r.Context(), id)
	if err != nil {
		return "", err
	}
	return "/ops/jobs/" + sweep.JobID.Show(id), do(job.Customer, id)
}

func (p *Pages) halt(r *http.Request, v url.Values) (string, error) {
	st := ops.Stop{Scope: v.Get("scope"), Value: v.Get("value"), Pause: v.Get("do") == "pause"}
	_, err := p.Ops.Halt(r.Context(), p.actor(r), st, v.Get("reason"))
	return "/ops/halts", err
}

func (p *Pages) lift(r *http.Request, v url.Values) (string, error) {
	id, err := sweep.ParseUUID(v.Get("halt"))
	if err != nil {
		return "", sweep.Errorf(sweep.NotFound, "there is no such halt")
	}
	return "/ops/halts", p.Ops.Lift(r.Context(), p.actor(r), id, v.Get("reason"))
}

func (p *Pages) undoRuns(r *http.Request, v url.Values) (string, error) {
	f, err := runFilter(v)
	if err != nil {
		return "", err
	}
	expect, err := strconv.Atoi(v.Get("expect"))
	if err != nil {
		return "", sweep.Errorf(sweep.Invalid, "the number of runs is missing: begin with the preview")
	}
	u, err := p.Ops.UndoRuns(r.Context(), p.actor(r), f, expect, v.Get("reason"))
	if err != nil {
		return "", err
	}
	next := url.Values{"preview": {"1"}, "sent": {strconv.Itoa(u.Sent)}, "left": {strconv.Itoa(u.Left)}}
	for code, n := range u.Refused {
		next.Add("refused", fmt.Sprintf("%d %s", n, code))
	}
	for _, key := range []string{"build", "customer", "from", "to"} {
		next.Set(key, v.Get(key))
	}
	return "/ops/undo?" + next.Encode(), nil
}
