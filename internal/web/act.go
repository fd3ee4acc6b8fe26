package web

import (
	"errors"

	"github.com/labstack/echo/v4"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
)

// doing does what a form asks for, and says where that leads. The id is that of the address, if it names one.
type doing func(c echo.Context, a sweep.Actor, id sweep.ID) (to string, err error)

// act is a form's route that does one thing to what the address names first, and leads on. kind "": the address names nothing.
func (p *Pages) act(role sweep.Role, kind sweep.Kind, do doing) echo.HandlerFunc {
	return p.acting(role, 1, kind, do)
}

// acting is act at a cost.
func (p *Pages) acting(role sweep.Role, cost int, kind sweep.Kind, do doing) echo.HandlerFunc {
	return p.costing(role, cost, func(c echo.Context, a sweep.Actor) error {
		var id sweep.ID
		if kind != "" {
			var err error
			if id, err = kind.Parse(c.ParamValues()[0]); err != nil {
				return err
			}
		}
		to, err := do(c, a, id)
		if err != nil {
			return err
		}
		return p.go_(c, to)
	})
}

// refusal is why a form was refused: it is shown again with it, and with what was typed, but for secrets.
type refusal struct {
	Problem string
	Fields  map[string]string // a field's name to what is wrong with it
}

// refused makes a refusal of err, with the status to show it under. What is no mistake of the person's stays an error.
func (p *Pages) refused(c echo.Context, err error) (r refusal, status int, _ error) {
	var e *sweep.Error
	if !errors.As(err, &e) || e.Code == sweep.Internal || e.Code == sweep.NotFound {
		return r, 0, err
	}
	status, detail, _ := p.edge.Refused(c, err)
	r = refusal{Problem: sentence(detail), Fields: map[string]string{}}
	for _, field := range e.Fields {
		r.Fields[lastOf(field.Location)] = field.Message
	}
	return r, status, nil
}

// proof is what a person gives again in a form before what a stolen session must not do.
func proof(c echo.Context) account.ProvenAgain {
	return account.ProvenAgain{Password: c.FormValue("password"), Code: c.FormValue("code")}
}

// owing is a signed page that is open to who owes the second factor, too: for that the edge refuses last.
func (p *Pages) owing(role sweep.Role, h signed) echo.HandlerFunc {
	return func(c echo.Context) error {
		p.dress(c)
		a, err := p.edge.Enter(c, role, 1)
		if sweep.CodeOf(err) == sweep.Unauthenticated {
			return p.toSignIn(c)
		}
		if err == nil || sweep.CodeOf(err) == sweep.FactorRequired {
			err = h(c, a)
		}
		return p.settle(c, err)
	}
}

// lacking says that the plan does not carry something, and which does; the zero value: it does.
type lacking struct {
	What string
	From sweep.Tier
}

// lacks names the smallest plan that carries a feature, unless the customer's does.
func (p *Pages) lacks(have sweep.Plan, f sweep.Feature) (l lacking) {
	if have.Has(f) {
		return l
	}
	for _, tier := range sweep.Tiers() {
		if p.Plans[tier].Has(f) {
			return lacking{What: f.Name(), From: tier}
		}
	}
	return lacking{What: f.Name()}
}

// settingsPages are the parts of the settings, each with its address.
func settingsPages() [][2]string {
	return [][2]string{{"/settings", "General"}, {notificationsPath, "Notifications"}, {factorPath, "Two-factor sign-in"}, {peoplePath, "People"}, {keysPath, "API keys"}, {allowlistPath, "IP allowlist"}, {auditPath, "Audit log"}}
}

// roles are what people can be, with what that means.
func roles() [][3]string {
	return [][3]string{{string(sweep.Viewer), "Viewer", "looks"}, {string(sweep.Operator), "Operator", "cleans up and undoes"}, {string(sweep.Owner), "Owner", "also people, billing and deletion"}}
}
