package web

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
)

const accountsPath = "/settings/accounts"

// accountRoutes are open to who owes a second factor here: another account may not ask for one.
func (p *Pages) accountRoutes(e *echo.Echo) {
	e.GET(accountsPath, p.owing(sweep.Viewer, p.accounts))
	e.POST(accountsPath, p.owing(sweep.Viewer, p.switchTo))
}

// accountsPage is the accounts that a person works in.
type accountsPage struct{ Accounts []account.CustomerView }

func (p *Pages) accounts(c echo.Context, a sweep.Actor) error {
	list, err := p.Account.Customers(c.Request().Context(), a)
	if err != nil {
		return err
	}
	return p.show(c, http.StatusOK, "accounts", "Accounts", accountsPage{Accounts: list})
}

// switchTo goes on in another account; where one has a second factor there, its code is asked for first.
func (p *Pages) switchTo(c echo.Context, a sweep.Actor) error {
	id, err := sweep.CustomerID.Parse(c.FormValue("account"))
	if err != nil {
		return err
	}
	session, err := p.edge.Begin(c, func(client account.Client) (account.Session, error) {
		client.Device = cookie(c, deviceCookie)
		return p.Account.Switch(c.Request().Context(), a, id, "", client)
	})
	switch sweep.CodeOf(err) {
	case "":
		keep(c, deviceCookie, session.Device, deviceLife)
		return p.go_(c, "/mailboxes")
	case sweep.TOTPRequired:
		return p.missing(c, "accounts", "", entering{Next: "/mailboxes"}, err)
	}
	return err
}
