package web

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
)

const (
	confirmTitle = "Use this address"
	undoTitle    = "Take the change back"
)

func (p *Pages) changeEmail(c echo.Context, a sweep.Actor) error {
	asked, err := p.Account.AskEmailChange(c.Request().Context(), a, c.FormValue("email"), proof(c), p.edge.Client(c))
	if err != nil {
		return p.settingsAgain(c, a, "email", c.FormValue("email"), err)
	}
	return p.show(c, http.StatusOK, "sent", "Check your mail", entering{Email: asked.Email, By: "change"})
}

func (p *Pages) confirmEmailForm(c echo.Context, _ sweep.Actor) error {
	return p.show(c, http.StatusOK, "confirm-email", confirmTitle, entering{Token: c.QueryParam("token")})
}

// confirmEmail changes the address; the browser goes on with the session that takes the place of its old one.
func (p *Pages) confirmEmail(c echo.Context, a sweep.Actor) error {
	f := entering{Token: c.FormValue("token")}
	session, err := p.edge.Begin(c, func(client account.Client) (account.Session, error) {
		return p.Account.ConfirmEmail(c.Request().Context(), a, f.Token, client)
	})
	if err != nil {
		return p.again(c, "confirm-email", confirmTitle, f, err)
	}
	keep(c, deviceCookie, session.Device, deviceLife)
	return p.go_(c, "/settings#you")
}

func (p *Pages) undoEmailForm(c echo.Context) error {
	return p.show(c, http.StatusOK, "undo-email", undoTitle, entering{Token: c.QueryParam("token")})
}

func (p *Pages) undoEmail(c echo.Context) error {
	f := entering{Token: c.FormValue("token")}
	if err := p.Account.UndoEmailChange(c.Request().Context(), f.Token, p.edge.Client(c)); err != nil {
		return p.again(c, "undo-email", undoTitle, f, err)
	}
	return p.show(c, http.StatusOK, "sent", "Check your mail", entering{By: "undo"})
}
