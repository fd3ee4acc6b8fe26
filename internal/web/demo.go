package web

import (
	"errors"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"mailsweep/internal/demo"
	"mailsweep/internal/sweep"
)

func (p *Pages) demoRoutes(e *echo.Echo) {
	e.GET("/demo", p.open(p.demo))
	e.GET("/demo/clean", p.open(p.demoClean))
	e.GET("/demo/count", p.open(p.demoCount))
	e.GET("/demo/preview", p.open(p.demoPreview))
}

// demoBox is the made-up mailbox, anew each day: its mail stays as old as it says.
type demoBox struct {
	mu      sync.Mutex
	made    time.Time
	mailbox *demo.Mailbox
	picture sweep.Analysis
}

func (b *demoBox) open(now time.Time) (*demo.Mailbox, sweep.Analysis, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mailbox == nil || now.Sub(b.made) > 24*time.Hour {
		m, err := demo.New(now)
		if err != nil {
			return nil, sweep.Analysis{}, err
		}
		b.mailbox, b.picture, b.made = m, m.Analysis(), now
	}
	return b.mailbox, b.picture, nil
}

// demoPage is the picture of the made-up mailbox.
type demoPage struct {
	Address  string
	Analysis sweep.Analysis
}

// demoCleanPage is a form like the one for one's own mail.
type demoCleanPage struct {
	mailForm
	Address string
}

// demoPlanPage is what a cleanup of the made-up mailbox would do. Problem: what the form asks for is none.
type demoPlanPage struct {
	Address, Problem string
	Back             string // to the form, with what was typed
	Spec             sweep.CleanupSpec
	Preview          sweep.DryRunResult
}

func (p *Pages) demo(c echo.Context) error {
	_, picture, err := p.sample.open(time.Now())
	if err != nil {
		return err
	}
	return p.show(c, http.StatusOK, "demo", "Try it on a made-up mailbox", demoPage{demo.Address, picture})
}

func (p *Pages) demoClean(c echo.Context) error {
	return p.show(c, http.StatusOK, "demo-clean", "Clean up a made-up mailbox", demoCleanPage{mailForm{Values: c.QueryParams()}, demo.Address})
}

// demoCount answers what is typed, also where it is wrong.
func (p *Pages) demoCount(c echo.Context) error {
	page, err := p.demoPlan(c.QueryParams())
	if err != nil {
		return err
	}
	count := demoCountPage{Problem: page.Problem, Matched: page.Preview.Matched, ToClean: page.Preview.ToClean}
	return p.fragment(c, "demo-clean", "demo-count", count)
}

// demoCountPage is the live count beside the form.
type demoCountPage struct {
	Problem          string
	Matched, ToClean int
}

func (p *Pages) demoPreview(c echo.Context) error {
	page, err := p.demoPlan(c.QueryParams())
	if err != nil {
		return err
	}
	status := http.StatusOK
	if page.Problem != "" {
		status = http.StatusUnprocessableEntity
	}
	return p.show(c, status, "demo-plan", "What would happen", page)
}

// demoPlan previews what a form says.
func (p *Pages) demoPlan(form url.Values) (demoPlanPage, error) {
	page := demoPlanPage{Address: demo.Address, Back: "/demo/clean?" + form.Encode()}
	mailbox, _, err := p.sample.open(time.Now())
	if err != nil {
		return page, err
	}
	page.Spec, err = demoSpec(form)
	var known *sweep.Error
	if errors.As(err, &known) {
		page.Problem = sentence(known.Detail)
		return page, nil
	}
	if err == nil {
		page.Preview = mailbox.Preview(page.Spec)
	}
	return page, err
}

func demoSpec(form url.Values) (sweep.CleanupSpec, error) {
	spec := sweep.CleanupSpec{Action: sweep.Archive, Protect: sweep.ProtectAll()}
	switch a := sweep.Action(form.Get("action")); a {
	case sweep.Trash, sweep.MarkRead:
		spec.Action = a
	}
	newest, err := number(form, "keep_newest", 1)
	if err != nil {
		return spec, err
	}
	spec.KeepNewestPerSender = int(newest)
	spec.Criteria, err = criteriaOf(form)
	return spec, err
}
