package web

import (
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"mailsweep/internal/sweep"
)

// groupsPage is a mailbox's senders by domain or by mailing list, some at a time.
type groupsPage struct {
	workbench
	Domains []sweep.Domain
	Lists   []sweep.MailingListGroup
	Total   int // on all pages
	AsOf    time.Time
	Exact   bool
	Next    string // address of the next page; "": there is none
}

func (p *Pages) domains(c echo.Context, a sweep.Actor) error {
	return p.groupsBut(c, a, "domains", http.StatusOK, refusal{}, c.QueryParam("cursor"))
}

func (p *Pages) lists(c echo.Context, a sweep.Actor) error {
	return p.groupsBut(c, a, "lists", http.StatusOK, refusal{}, c.QueryParam("cursor"))
}

// groupsBut shows a view from a cursor on, with why a form of it was refused.
func (p *Pages) groupsBut(c echo.Context, a sweep.Actor, view string, status int, why refusal, cursor string) error {
	bench, id, err := p.bench(c, a, view)
	if err != nil {
		return err
	}
	bench.refusal = why
	page, next := groupsPage{workbench: bench}, ""
	if view == "lists" {
		var lists sweep.MailingListPage
		lists, err = p.Cleanup.Lists(c.Request().Context(), a.Customer, id, cursor, perPage)
		page.Lists, page.Total, page.AsOf, next = lists.Items, lists.Total, lists.AsOf, lists.Next
	} else {
		var domains sweep.DomainPage
		domains, err = p.Cleanup.Domains(c.Request().Context(), a.Customer, id, cursor, perPage)
		page.Domains, page.Total, page.AsOf, page.Exact, next = domains.Items, domains.Total, domains.AsOf, domains.Exact, domains.Next
	}
	if err != nil {
		return err
	}
	if next != "" {
		page.Next = "/mailboxes/" + page.Mailbox.ID + "/" + view + "?" + url.Values{"cursor": {next}}.Encode()
	}
	if c.Request().Header.Get("HX-Request") != "" {
		return p.fragment(c, view, "rows", page)
	}
	return p.show(c, status, view, "Senders of "+page.Mailbox.Email, page)
}
