package web

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
)

const accountsPath = "/settings/accounts"

// accountRoutes are open to who owes a second factor: the other account may not ask for one.
func (p *Pages) accountRoutes(e *echo.Echo) {
	e.GET(accountsPath, p.owing(sweep.Viewer, p.accounts))
	e.POST(accountsPath, p.owing(sweep.Viewer, p.workThere))
}

// accountsPage is where a person works, and where they can go on working.
type accountsPage struct {
	refusal
	Accounts []account.CustomerView
}

// Apart tells an account from another of the same name, or without one as well: by what its person knows of it, and the end of its id, which
// the other's is not. "" where the name does. It says nothing that is not the person's own: who else works there is told there.
func (p accountsPage) Apart(view account.CustomerView) string { return apart(p.Accounts, view) }

func apart(list []account.CustomerView, view account.CustomerView) string {
	same := slices.ContainsFunc(list, func(other account.CustomerView) bool {
		return other.ID != view.ID && strings.EqualFold(strings.TrimSpace(other.Name), strings.TrimSpace(view.Name))
	})
	if !same {
		return ""
	}
	return fmt.Sprintf("yours since %s, …%s", instant(view.Since), view.ID[max(0, len(view.ID)-4):])
}

// accountCodePage asks for the second factor that a person has in another account.
type accountCodePage struct {
	refusal
	Account account.CustomerView
	Apart   string // from those of the same name
}

// here is the account that one works in.
func here(list []account.CustomerView) (current account.CustomerView) {
	for _, view := range list {
		if view.Current {
			current = view
		}
	}
	return current
}

func (p *Pages) accounts(c echo.Context, a sweep.Actor) error {
	list, err := p.Account.Customers(c.Request().Context(), a)
	if err != nil {
		return err
	}
	return p.show(c, http.StatusOK, "accounts", "Your accounts", accountsPage{Accounts: list})
}

// workThere goes on in another account with a session of that one; the session here ends.
func (p *Pages) workThere(c echo.Context, a sweep.Actor) error {
	id, err := sweep.CustomerID.Parse(c.FormValue("account"))
	if err != nil {
		return err
	}
	session, err := p.edge.Begin(c, func(client account.Client) (account.Session, error) {
		client.Device = cookie(c, deviceCookie)
		return p.Account.Switch(c.Request().Context(), a, id, c.FormValue("code"), client)
	})
	if err != nil {
		return p.notThere(c, a, id, err)
	}
	keep(c, deviceCookie, session.Device, deviceLife)
	return p.go_(c, "/mailboxes")
}

// notThere asks for the code of the second factor, until it is right, or says on the list why one cannot work there.
func (p *Pages) notThere(c echo.Context, a sweep.Actor, id sweep.ID, err error) error {
	asked := sweep.CodeOf(err) == sweep.TOTPRequired
	why, status, err := p.refused(c, err)
	if err != nil {
		return err
	}
	list, err := p.Account.Customers(c.Request().Context(), a)
	if err != nil {
		return err
	}
	if !asked && c.FormValue("code") == "" {
		return p.show(c, status, "accounts", "Your accounts", accountsPage{refusal: why, Accounts: list})
	}
	if asked {
		why, status = refusal{}, http.StatusOK // nothing is wrong yet
	}
	page := accountCodePage{refusal: why}
	for _, view := range list {
		if view.ID == sweep.CustomerID.Show(id) {
			page.Account, page.Apart = view, apart(list, view)
		}
	}
	return p.show(c, status, "account-code", "One more step", page)
}
