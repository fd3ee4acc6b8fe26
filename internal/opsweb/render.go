package opsweb

import (
	"bytes"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"time"

	"mailsweep/internal/sweep"
)

// view is what every page is made from.
type view struct {
	Title    string
	Section  string // of the navigation
	Operator Operator
	Token    string
	Refresh  int // seconds; 0: never
	Now      time.Time
	Page     any
}

// show renders a page; one that cannot be rendered is not sent by halves.
func (p *Pages) show(w http.ResponseWriter, r *http.Request, name, title string, page any) {
	p.write(w, r, http.StatusOK, name, view{Title: title, Section: name, Page: page})
}

func (p *Pages) write(w http.ResponseWriter, r *http.Request, status int, name string, v view) {
	v.Operator, v.Now = OperatorOf(r), time.Now().UTC()
	v.Token = p.token(v.Operator)
	var b bytes.Buffer
	if err := p.pages[name].Execute(&b, v); err != nil {
		p.Log.ErrorContext(r.Context(), "operations page", "page", name, "error", err.Error())
		http.Error(w, "this page could not be made", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // nobody is left to hear of a broken connection
}

// refuse shows why something was not done.
func (p *Pages) refuse(w http.ResponseWriter, r *http.Request, err error) {
	status, says := http.StatusInternalServerError, "something went wrong on our side; the log has more"
	var known *sweep.Error
	if errors.As(err, &known) {
		status, says = statusOf(known.Code), known.Detail
	} else {
		p.Log.ErrorContext(r.Context(), "operations", "error", err.Error())
	}
	p.write(w, r, status, "problem", view{Title: "Not done", Page: says})
}

func statusOf(c sweep.Code) int {
	switch c {
	case sweep.NotFound:
		return http.StatusNotFound
	case sweep.Forbidden:
		return http.StatusForbidden
	case sweep.Conflict, sweep.QuotaExceeded, sweep.PlanExpired, sweep.AlreadyExecuted:
		return http.StatusConflict
	case sweep.Internal:
		return http.StatusInternalServerError
	case sweep.Unavailable, sweep.Halted:
		return http.StatusServiceUnavailable
	}
	return http.StatusUnprocessableEntity
}

// shown are what templates write values with.
func shown() template.FuncMap {
	return template.FuncMap{
		"job": sweep.JobID.Show, "customer": sweep.CustomerID.Show, "short": short, "count": count, "span": span, "tenths": tenths, "bytes": bytesOf,
		"since": func(t time.Time, now time.Time) string { return span(now.Sub(t)) },
		"at":    func(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") },
		"dict":  func(list any, now any) map[string]any { return map[string]any{"List": list, "Now": now} },
		"dollars": func(cents any) (string, error) {
			switch n := cents.(type) {
			case int:
				return dollars(float64(n)), nil
			case float64:
				return dollars(n), nil
			}
			return "", fmt.Errorf("%T is no money", cents)
		},
		"stop": stopped, "percent": func(done, total int) int { return min(100, done*100/max(1, total)) },
	}
}

// short is an id that fits a table: its beginning, which tells the time, would be the same in every row.
func short(shown string) string {
	if len(shown) <= 16 {
		return shown
	}
	return shown[:4] + "…" + shown[len(shown)-8:]
}

// count groups digits by thousands.
func count(number any) string {
	s := fmt.Sprint(number)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// span is a time's length in its two largest units.
func span(d time.Duration) string {
	d = max(0, d)
	switch {
	case d < time.Second:
		return "0 s"
	case d < time.Minute:
		return fmt.Sprintf("%d s", d/time.Second)
	case d < time.Hour:
		return fmt.Sprintf("%d min %d s", d/time.Minute, d%time.Minute/time.Second)
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h %d min", d/time.Hour, d%time.Hour/time.Minute)
	}
	return fmt.Sprintf("%d d %d h", d/(24*time.Hour), d%(24*time.Hour)/time.Hour)
}

// stopped says what a halt or pause is about.
func stopped(scope, value string) string {
	switch scope {
	case "all":
		return "everything"
	case "customer":
		if id, err := sweep.ParseUUID(value); err == nil {
			value = sweep.CustomerID.Show(id)
		}
	}
	return scope + " " + value
}
