package web

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"mailsweep/internal/account"
	"mailsweep/internal/secret"
	"mailsweep/internal/sweep"
)

const factorPath = "/settings/two-factor"

// factorRoutes are open to who owes a second factor: here it is set up.
func (p *Pages) factorRoutes(e *echo.Echo) {
	e.GET(factorPath, p.owing(sweep.Viewer, p.factor))
	e.POST(factorPath, p.owing(sweep.Viewer, p.offerFactor))
	e.POST(factorPath+"/confirm", p.owing(sweep.Viewer, p.confirmFactor))
	e.POST(factorPath+"/codes", p.signed(sweep.Viewer, p.renewCodes))
	e.POST(factorPath+"/off", p.signed(sweep.Viewer, p.dropFactor))
	e.POST(factorPath+"/demand", p.signed(sweep.Owner, p.demand))
}

// factorPage sets a second factor up, or says that there is one.
type factorPage struct {
	refusal
	At       string // the form that was refused
	On       bool
	Owes     bool // it is demanded, and there is none
	Demanded bool
	Owner    bool
	Lacks    lacking // demanding one of everybody
	Ways     account.WaysIn
	Offer    *account.FactorOffer
	QR       secret.QR
	Asked    bool // for the first code of an app
}

func (p *Pages) factorOf(c echo.Context, a sweep.Actor) (page factorPage, err error) {
	ctx := c.Request().Context()
	page.Owner = a.MayAs(sweep.Owner) == nil
	if page.Owes, err = p.Account.OwesFactor(ctx, a); err != nil {
		return page, err
	}
	if page.Ways, err = p.Account.WaysIn(ctx, a); err != nil {
		return page, err
	}
	demands, err := p.Account.Demands(ctx, a)
	if err != nil {
		return page, err
	}
	plan, err := p.Account.Plan(ctx, a)
	if err != nil {
		return page, err
	}
	page.Demanded, page.Lacks = demands.Require2FA, p.lacks(plan, sweep.Enforce2FA)
	people, err := p.Account.People(ctx, a)
	for _, person := range people.Items {
		page.On = page.On || person.ID == sweep.UserID.Show(a.User) && person.SecondFactor
	}
	return page, err
}

func (p *Pages) factor(c echo.Context, a sweep.Actor) error {
	page, err := p.factorOf(c, a)
	if err != nil {
		return err
	}
	return p.show(c, http.StatusOK, "twofactor", "Two-factor sign-in", page)
}

// factorAgain shows the page with why one of its forms was refused.
func (p *Pages) factorAgain(c echo.Context, a sweep.Actor, at string, err error) error {
	why, status, err := p.refused(c, err)
	if err != nil {
		return err
	}
	page, err := p.factorOf(c, a)
	if err != nil {
		return err
	}
	page.refusal, page.At, page.Asked = why, at, at == "confirm"
	return p.show(c, status, "twofactor", "Two-factor sign-in", page)
}

func (p *Pages) offerFactor(c echo.Context, a sweep.Actor) error {
	offer, err := p.Account.OfferFactor(c.Request().Context(), a, c.FormValue("password"), p.edge.Client(c))
	if err != nil {
		return p.factorAgain(c, a, "offer", err)
	}
	page, err := p.factorOf(c, a)
	if err != nil {
		return err
	}
	page.Offer, page.Asked = &offer, true
	if page.QR, err = secret.DrawQR(offer.URL); err != nil {
		return err
	}
	return p.show(c, http.StatusOK, "twofactor", "Two-factor sign-in", page)
}

// codesPage shows recovery codes, this once.
type codesPage struct {
	Codes []string
	First bool // the second factor was just turned on
}

func (p *Pages) confirmFactor(c echo.Context, a sweep.Actor) error {
	var on account.FactorOn
	_, err := p.edge.Begin(c, func(client account.Client) (account.Session, error) {
		var err error
		if on, err = p.Account.ConfirmFactor(c.Request().Context(), a, c.FormValue("code"), client); err != nil {
			return account.Session{}, err
		}
		return *on.Session, nil
	})
	if err != nil {
		return p.factorAgain(c, a, "confirm", err)
	}
	return p.show(c, http.StatusOK, "codes", "Your recovery codes", codesPage{Codes: on.RecoveryCodes, First: true})
}

func (p *Pages) renewCodes(c echo.Context, a sweep.Actor) error {
	on, err := p.Account.RenewRecoveryCodes(c.Request().Context(), a, c.FormValue("password"), c.FormValue("code"), p.edge.Client(c))
	if err != nil {
		return p.factorAgain(c, a, "codes", err)
	}
	return p.show(c, http.StatusOK, "codes", "Your recovery codes", codesPage{Codes: on.RecoveryCodes})
}

func (p *Pages) dropFactor(c echo.Context, a sweep.Actor) error {
	_, err := p.edge.Begin(c, func(client account.Client) (account.Session, error) {
		return p.Account.DropFactor(c.Request().Context(), a, c.FormValue("password"), c.FormValue("code"), client)
	})
	if err != nil {
		return p.factorAgain(c, a, "off", err)
	}
	return p.go_(c, factorPath)
}

func (p *Pages) demand(c echo.Context, a sweep.Actor) error {
	if err := p.Account.Demand(c.Request().Context(), a, account.Demands{Require2FA: c.FormValue("require") != ""}); err != nil {
		return p.factorAgain(c, a, "demand", err)
	}
	return p.go_(c, factorPath)
}
