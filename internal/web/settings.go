package web

import (
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
)

func (p *Pages) settingRoutes(e *echo.Echo) {
	e.GET("/settings", p.signed(sweep.Viewer, p.settings))
	e.POST("/settings/keep-list", p.signed(sweep.Operator, p.keepList))
	e.POST("/settings/email", p.signed(sweep.Viewer, p.changeEmail))
	e.GET("/confirm-email", p.signed(sweep.Viewer, p.confirmEmailForm))
	e.POST("/confirm-email", p.signed(sweep.Viewer, p.confirmEmail))
	e.GET("/undo-email", p.open(p.undoEmailForm))
	e.POST("/undo-email", p.open(p.undoEmail))
	e.POST("/settings/sessions/end", p.signed(sweep.Viewer, p.endSession))
	e.POST("/settings/sessions/end-others", p.signed(sweep.Viewer, p.endOtherSessions))
	for mailed, at := range map[string]string{"/settings/security": "/settings#sessions", "/settings/export": "/settings#export"} {
		e.GET(mailed, p.signed(sweep.Viewer, func(c echo.Context, _ sweep.Actor) error { return p.go_(c, at) }))
	}
}

// settingsPage is who one is, what the plan gives, what is never touched, and where one is signed in.
type settingsPage struct {
	refusal
	At       string // the form that was refused
	Typed    string // in it
	Me       account.Me
	Accounts []account.CustomerView // that one works in
	Usage    sweep.UsageView
	Token    string
	Keep     []string
	Sessions []account.SessionView
	Lately   bool // signed in lately enough to end sessions
	Exports  []account.ExportView
	CanRun   bool
	Owner    bool
}

// KeepText is the keep list as it is edited.
func (s settingsPage) KeepText() string {
	if s.At == "keep" {
		return s.Typed
	}
	return strings.Join(s.Keep, "\n")
}

// TypedAt is what was typed into a form, should it have been refused.
func (s settingsPage) TypedAt(form string) string {
	if s.At == form {
		return s.Typed
	}
	return ""
}

// NoEntries are the parts of a refused keep list that are neither address nor domain.
func (s settingsPage) NoEntries() (bad []string) {
	for i, entry := range addresses([]string{s.TypedAt("keep")}) {
		if s.Fields[fmt.Sprintf("entries[%d]", i)] != "" {
			bad = append(bad, entry)
		}
	}
	return bad
}

// Here is the account that one works in now.
func (s settingsPage) Here() account.CustomerView { return here(s.Accounts) }

// Apart tells it from those of the same name.
func (s settingsPage) Apart() string { return apart(s.Accounts, s.Here()) }

func (p *Pages) settingsOf(c echo.Context, a sweep.Actor) (page settingsPage, err error) {
	ctx := c.Request().Context()
	page = settingsPage{Token: p.edge.Token(c), Lately: a.ProvenLately(time.Now()) == nil, CanRun: a.MayAs(sweep.Operator) == nil, Owner: a.MayAs(sweep.Owner) == nil}
	if page.Owner {
		if page.Exports, err = p.Account.Exports(ctx, a); err != nil {
			return page, err
		}
	}
	if page.Me, err = p.Account.Me(ctx, a); err != nil {
		return page, err
	}
	if page.Accounts, err = p.Account.Customers(ctx, a); err != nil {
		return page, err
	}
	if page.Usage, err = p.Report.Usage(ctx, a.Customer); err != nil {
		return page, err
	}
	if page.Keep, err = p.Account.KeepList(ctx, a.Customer); err != nil {
		return page, err
	}
	page.Sessions, err = p.Account.Sessions(ctx, a, p.edge.Client(c))
	return page, err
}

func (p *Pages) settings(c echo.Context, a sweep.Actor) error {
	page, err := p.settingsOf(c, a)
	if err != nil {
		return err
	}
	return p.show(c, http.StatusOK, "settings", "Settings", page)
}

// settingsAgain shows the page with why one of its forms was refused, and what was typed there.
func (p *Pages) settingsAgain(c echo.Context, a sweep.Actor, at, typed string, err error) error {
	why, status, err := p.refused(c, err)
	if err != nil {
		return err
	}
	page, err := p.settingsOf(c, a)
	if err != nil {
		return err
	}
	page.refusal, page.At, page.Typed = why, at, typed
	return p.show(c, status, "settings", "Settings", page)
}

func (p *Pages) keepList(c echo.Context, a sweep.Actor) error {
	entries := c.FormValue("entries")
	if _, err := p.Account.PutKeepList(c.Request().Context(), a, addresses([]string{entries})); err != nil {
		return p.settingsAgain(c, a, "keep", entries, err)
	}
	return p.go_(c, "/settings#keep")
}

func (p *Pages) endSession(c echo.Context, a sweep.Actor) error {
	id, err := sweep.SessionID.Parse(c.FormValue("session"))
	if err == nil {
		err = p.Account.EndSession(c.Request().Context(), a, id)
	}
	return p.sessionsEnded(c, a, err)
}

func (p *Pages) endOtherSessions(c echo.Context, a sweep.Actor) error {
	return p.sessionsEnded(c, a, p.Account.EndOtherSessions(c.Request().Context(), a))
}

func (p *Pages) sessionsEnded(c echo.Context, a sweep.Actor, err error) error {
	if err != nil {
		return p.settingsAgain(c, a, "sessions", "", err)
	}
	return p.go_(c, "/settings#sessions")
}
