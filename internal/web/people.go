package web

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
)

const peoplePath = "/settings/people"

func (p *Pages) peopleRoutes(e *echo.Echo) {
	e.GET(peoplePath, p.signed(sweep.Viewer, p.people))
	e.POST(peoplePath, p.signed(sweep.Owner, p.invite))
	e.GET(peoplePath+"/:person", p.signed(sweep.Owner, p.person))
	e.POST(peoplePath+"/:person", p.signed(sweep.Owner, p.changeRole))
	e.POST(peoplePath+"/:person/remove", p.act(sweep.Owner, sweep.UserID, p.removePerson))
	e.POST("/settings/invitations/:invitation/resend", p.act(sweep.Owner, sweep.InvitationID, p.resendInvitation))
	e.POST("/settings/invitations/:invitation/revoke", p.act(sweep.Owner, sweep.InvitationID, p.revokeInvitation))
	e.POST("/settings/leave", p.owing(sweep.Viewer, p.leave))
}

// peoplePage is who works in the account, and the form that invites one more.
type peoplePage struct {
	refusal
	At     string // the form that was refused
	People account.People
	Email  string
	Role   sweep.Role
	Me     string
	Owner  bool
	Larger sweep.Tier // the smallest plan that carries more people; "": none does
}

// Room says whether the plan carries one more.
func (p peoplePage) Room() bool {
	return len(p.People.Items)+len(p.People.Invitations) < p.People.Limit
}

func (p *Pages) peopleOf(c echo.Context, a sweep.Actor) (page peoplePage, err error) {
	page = peoplePage{Role: sweep.Operator, Me: sweep.UserID.Show(a.User), Owner: a.MayAs(sweep.Owner) == nil}
	page.People, err = p.Account.People(c.Request().Context(), a)
	for _, tier := range sweep.Tiers() {
		if page.Larger == "" && p.Plans[tier].People > page.People.Limit {
			page.Larger = tier
		}
	}
	return page, err
}

func (p *Pages) people(c echo.Context, a sweep.Actor) error {
	page, err := p.peopleOf(c, a)
	if err != nil {
		return err
	}
	return p.show(c, http.StatusOK, "people", "People", page)
}

func (p *Pages) invite(c echo.Context, a sweep.Actor) error {
	email, role := c.FormValue("email"), sweep.Role(c.FormValue("role"))
	if _, err := p.Account.Invite(c.Request().Context(), a, email, role, proof(c), p.edge.Client(c)); err != nil {
		return p.peopleAgain(c, a, "invite", err)
	}
	return p.go_(c, peoplePath+"#invitations")
}

func (p *Pages) peopleAgain(c echo.Context, a sweep.Actor, at string, err error) error {
	why, status, err := p.refused(c, err)
	if err != nil {
		return err
	}
	page, err := p.peopleOf(c, a)
	if err != nil {
		return err
	}
	page.refusal, page.At, page.Email = why, at, c.FormValue("email")
	if typed := sweep.Role(c.FormValue("role")); typed != "" {
		page.Role = typed
	}
	return p.show(c, status, "people", "People", page)
}

// personPage is one of the people, for owners.
type personPage struct {
	refusal
	Person account.PersonView
	Role   sweep.Role // that is chosen in the form
	Myself bool
}

func (p *Pages) personOf(c echo.Context, a sweep.Actor) (page personPage, err error) {
	people, err := p.Account.People(c.Request().Context(), a)
	if err != nil {
		return page, err
	}
	for _, person := range people.Items {
		if person.ID == c.Param("person") {
			return personPage{Person: person, Role: person.Role, Myself: person.ID == sweep.UserID.Show(a.User)}, nil
		}
	}
	return page, sweep.Errorf(sweep.NotFound, "there is no such person")
}

func (p *Pages) person(c echo.Context, a sweep.Actor) error {
	page, err := p.personOf(c, a)
	if err != nil {
		return err
	}
	return p.show(c, http.StatusOK, "person", page.Person.Email, page)
}

func (p *Pages) changeRole(c echo.Context, a sweep.Actor) error {
	id, err := sweep.UserID.Parse(c.Param("person"))
	if err != nil {
		return err
	}
	if _, err = p.Account.SetRole(c.Request().Context(), a, id, sweep.Role(c.FormValue("role")), proof(c), p.edge.Client(c)); err == nil {
		return p.go_(c, peoplePath)
	}
	why, status, err := p.refused(c, err)
	if err != nil {
		return err
	}
	page, err := p.personOf(c, a)
	if err != nil {
		return err
	}
	page.refusal, page.Role = why, sweep.Role(c.FormValue("role"))
	return p.show(c, status, "person", page.Person.Email, page)
}

func (p *Pages) removePerson(c echo.Context, a sweep.Actor, id sweep.ID) (string, error) {
	return peoplePath, p.Account.Remove(c.Request().Context(), a, id)
}

func (p *Pages) resendInvitation(c echo.Context, a sweep.Actor, id sweep.ID) (string, error) {
	_, err := p.Account.ResendInvitation(c.Request().Context(), a, id, p.edge.Client(c))
	return peoplePath + "#invitations", err
}

func (p *Pages) revokeInvitation(c echo.Context, a sweep.Actor, id sweep.ID) (string, error) {
	return peoplePath + "#invitations", p.Account.RevokeInvitation(c.Request().Context(), a, id)
}

func (p *Pages) leave(c echo.Context, a sweep.Actor) error {
	if err := p.Account.Leave(c.Request().Context(), a, proof(c), p.edge.Client(c)); err != nil {
		return p.peopleAgain(c, a, "leave", err)
	}
	p.edge.Leave(c)
	return p.go_(c, "/")
}
