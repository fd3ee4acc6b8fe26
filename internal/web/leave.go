package web

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
)

func (p *Pages) leaveRoutes(e *echo.Echo) {
	e.GET("/accept-invitation", p.open(p.invitation))
	e.POST("/accept-invitation", p.open(p.acceptInvitation))
	e.GET("/support", p.open(p.support))
	e.POST("/settings/export", p.signed(sweep.Owner, p.export))
	e.POST("/settings/delete", p.signed(sweep.Owner, p.deleteAccount))
}

func (p *Pages) invitation(c echo.Context) error {
	return p.show(c, http.StatusOK, "invitation", "Join an account", entering{Token: c.QueryParam("token")})
}

func (p *Pages) acceptInvitation(c echo.Context) error {
	f := entering{Token: c.FormValue("token"), Name: c.FormValue("name")}
	accept := account.Acceptance{Token: f.Token, Name: f.Name, Password: c.FormValue("password"), Code: c.FormValue("code")}
	return p.enter(c, "invitation", "Join an account", f, func(client account.Client) (account.Session, error) {
		return p.Account.AcceptInvitation(c.Request().Context(), accept, client)
	})
}

// supportPage says how to reach who runs this installation.
type supportPage struct{ Contact string }

func (p *Pages) support(c echo.Context) error {
	return p.show(c, http.StatusOK, "support", "Help", supportPage{Contact: p.Contact})
}

func (p *Pages) export(c echo.Context, a sweep.Actor) error {
	if _, err := p.Account.AskExport(c.Request().Context(), a, c.FormValue("password"), c.FormValue("code"), p.edge.Client(c)); err != nil {
		return p.settingsAgain(c, a, "export", "", err)
	}
	return p.go_(c, "/settings#export")
}

func (p *Pages) deleteAccount(c echo.Context, a sweep.Actor) error {
	deleted, err := p.Account.Delete(c.Request().Context(), a, c.FormValue("password"), c.FormValue("code"), c.FormValue("confirm"), p.edge.Client(c))
	if err != nil {
		return p.settingsAgain(c, a, "delete", c.FormValue("confirm"), err)
	}
	p.edge.Leave(c)
	c.Set(gone, true)
	return p.show(c, http.StatusOK, "deleted", "The account is deleted", deleted)
}
