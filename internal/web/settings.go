package web

import (
	"net/http"
	"strings"

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
	for mailed, at := range map[string]string{"/settings/security": "/settings#sessions", "/settings/export": "/settings#export"} {
		e.GET(mailed, p.signed(sweep.Viewer, func(c echo.Context, _ sweep.Actor) error { return p.go_(c, at) }))
	}
}

// settingsPage is who one is, what the plan gives, what is never touched, and where one is signed in.
type settingsPage struct {
	Me       account.Me
	Usage    sweep.UsageView
	Token    string
	Keep     []string
	Sessions []account.SessionView
	Exports  []account.ExportView
	CanRun   bool
	Owner    bool
}

// KeepText is the keep list as it is edited.
func (s settingsPage) KeepText() string { return strings.Join(s.Keep, "\n") }

func (p *Pages) settings(c echo.Context, a sweep.Actor) error {
	ctx := c.Request().Context()
	page := settingsPage{Token: p.edge.Token(c), CanRun: a.MayAs(sweep.Operator) == nil, Owner: a.MayAs(sweep.Owner) == nil}
	var err error
	if page.Owner {
		if page.Exports, err = p.Account.Exports(ctx, a); err != nil {
			return err
		}
	}
	if page.Me, err = p.Account.Me(ctx, a); err != nil {
		return err
	}
	if page.Usage, err = p.Report.Usage(ctx, a.Customer); err != nil {
		return err
	}
	if page.Keep, err = p.Account.KeepList(ctx, a.Customer); err != nil {
		return err
	}
	if page.Sessions, err = p.Account.Sessions(ctx, a, p.edge.Client(c)); err != nil {
		return err
	}
	return p.show(c, http.StatusOK, "settings", "Settings", page)
}

func (p *Pages) keepList(c echo.Context, a sweep.Actor) error {
	if _, err := p.Account.PutKeepList(c.Request().Context(), a, addresses([]string{c.FormValue("entries")})); err != nil {
		return err
	}
	return p.go_(c, "/settings#keep")
}

func (p *Pages) endSession(c echo.Context, a sweep.Actor) error {
	id, err := sweep.SessionID.Parse(c.FormValue("session"))
	if err != nil {
		return err
	}
	if err := p.Account.EndSession(c.Request().Context(), a, id); err != nil {
		return err
	}
	return p.go_(c, "/settings#sessions")
}
