package web

import (
	"cmp"
	"net/http"
	"net/url"
	"slices"

	"github.com/labstack/echo/v4"

	"mailsweep/internal/account"
	"mailsweep/internal/cleanup"
	"mailsweep/internal/sweep"
)

// bySize is how many of the largest messages are shown, perPage how many of what is looked through page by page.
const (
	bySize  = 50
	perPage = 100
)

func (p *Pages) senderRoutes(e *echo.Echo) {
	e.GET("/mailboxes/:mailbox/senders", p.signed(sweep.Viewer, p.senders))
	e.GET("/mailboxes/:mailbox/domains", p.signed(sweep.Viewer, p.domains))
	e.GET("/mailboxes/:mailbox/lists", p.signed(sweep.Viewer, p.lists))
	e.GET("/mailboxes/:mailbox/largest", p.signed(sweep.Viewer, p.largest))
	e.POST("/mailboxes/:mailbox/keep", p.signed(sweep.Operator, p.keepSender))
}

// workbench is what the views of a mailbox's senders share: whose they are, and what is kept.
type workbench struct {
	refusal
	Mailbox     account.MailboxView
	Token, Once string
	CanRun      bool
	View        string // senders, domains, lists or largest
	kept        sweep.KeepList
}

// Views are the ways to look at a mailbox's mail, each with its address's last part.
func (workbench) Views() [][2]string {
	return [][2]string{{"senders", "By address"}, {"domains", "By domain"}, {"lists", "By mailing list"}, {"largest", "Largest messages"}}
}

// Kept says whether an address, or a domain with its @, is on the keep list.
func (w workbench) Kept(sender string) bool { return w.kept.Holds(sender) }

// bench opens a view of the mailbox that the address names.
func (p *Pages) bench(c echo.Context, a sweep.Actor, view string) (w workbench, id sweep.ID, err error) {
	w = workbench{Token: p.edge.Token(c), Once: once(), CanRun: a.MayAs(sweep.Operator) == nil, View: view}
	if id, w.Mailbox, err = p.named(c, a); err != nil {
		return w, id, err
	}
	kept, err := p.Account.KeepList(c.Request().Context(), a.Customer)
	w.kept = sweep.NewKeepList(kept)
	return w, id, err
}

// sendersPage is the workbench of a mailbox's senders.
type sendersPage struct {
	workbench
	Senders      []sweep.Sender
	Sort, Filter string
	Safety       sweep.Grade // only senders of it; "": all
	Next         string      // address of the next page; "": there is none
	First        bool
}

// Grades are how safe a sender can be to clean up, with what to call it.
func (sendersPage) Grades() [][2]string {
	return [][2]string{{"", "Any"}, {string(sweep.GradeSafe), gradeName(sweep.GradeSafe)}, {string(sweep.GradeCareful), gradeName(sweep.GradeCareful)}, {string(sweep.GradeKeep), gradeName(sweep.GradeKeep)}}
}

// Sorts are the orders that a person can choose, with what to call them.
func (sendersPage) Sorts() [][2]string {
	return [][2]string{{"messages", "Most messages"}, {"unread", "Most unread"}, {"bytes", "Largest"}, {"last", "Newest"}, {"address", "By address"}}
}

func (p *Pages) senders(c echo.Context, a sweep.Actor) error {
	return p.sendersBut(c, a, http.StatusOK, refusal{}, c.QueryParams())
}

// sendersBut shows the senders that a query asks for, with why a form of theirs was refused.
func (p *Pages) sendersBut(c echo.Context, a sweep.Actor, status int, why refusal, asked url.Values) error {
	bench, id, err := p.bench(c, a, "senders")
	if err != nil {
		return err
	}
	bench.refusal = why
	page := sendersPage{workbench: bench, Sort: cmp.Or(asked.Get("sort"), "messages"), Filter: asked.Get("filter"), Safety: sweep.Grade(asked.Get("safety")), First: asked.Get("cursor") == ""}
	var next string
	q := cleanup.SenderQuery{Sort: page.Sort, Filter: page.Filter, Safety: page.Safety, Limit: perPage, Cursor: asked.Get("cursor")}
	if page.Senders, next, err = p.Cleanup.Senders(c.Request().Context(), a.Customer, id, q); err != nil {
		return err
	}
	if next != "" {
		page.Next = "/mailboxes/" + page.Mailbox.ID + "/senders?" + url.Values{"sort": {page.Sort}, "filter": {page.Filter}, "safety": {string(page.Safety)}, "cursor": {next}}.Encode()
	}
	if c.Request().Header.Get("HX-Request") != "" {
		return p.fragment(c, "senders", "rows", page)
	}
	return p.show(c, status, "senders", "Senders of "+page.Mailbox.Email, page)
}

// nothingPicked shows a view of the senders again from which a preview of nothing was asked for, as it was looked at.
func (p *Pages) nothingPicked(c echo.Context, a sweep.Actor, form url.Values) error {
	what := map[string]string{"senders": "sender", "domains": "domain", "lists": "list"}[form.Get("view")]
	why, status, err := p.refused(c, sweep.Errorf(sweep.Invalid, "choose at least one %s", what))
	if err != nil {
		return err
	}
	if form.Get("view") == "senders" {
		form.Del("cursor")
		return p.sendersBut(c, a, status, why, form)
	}
	return p.groupsBut(c, a, form.Get("view"), status, why, "")
}

// unpicked says whether a form is one of a view of the senders with nothing picked in it.
func unpicked(form url.Values) bool {
	return slices.Contains([]string{"senders", "domains", "lists"}, form.Get("view")) && !form.Has("from") && !form.Has("list")
}

// largestPage is a mailbox's largest messages, as far as sizes are known.
type largestPage struct {
	workbench
	Messages []sweep.LargeMessage
}

// Exact says whether every size is known to the byte.
func (l largestPage) Exact() bool {
	return !slices.ContainsFunc(l.Messages, func(m sweep.LargeMessage) bool { return !m.Exact })
}

func (p *Pages) largest(c echo.Context, a sweep.Actor) error {
	bench, id, err := p.bench(c, a, "largest")
	if err != nil {
		return err
	}
	page := largestPage{workbench: bench}
	if page.Messages, err = p.Cleanup.Largest(c.Request().Context(), a.Customer, id, bySize); err != nil {
		return err
	}
	return p.show(c, http.StatusOK, "largest", "Largest messages of "+bench.Mailbox.Email, page)
}

// keepSender puts a row's sender on the keep list. Moving parts get the row's mark, others the view that they came from.
func (p *Pages) keepSender(c echo.Context, a sweep.Actor) error {
	id, err := sweep.MailboxID.Parse(c.Param("mailbox"))
	if err != nil {
		return err
	}
	if err := p.Account.KeepSender(c.Request().Context(), a, c.FormValue("keep")); err != nil {
		return err
	}
	if c.Request().Header.Get("HX-Request") != "" {
		return p.fragment(c, "senders", "kept", nil)
	}
	back := "/mailboxes/" + sweep.MailboxID.Show(id) + "/senders?" + url.Values{"sort": {c.FormValue("sort")}, "filter": {c.FormValue("filter")}, "safety": {c.FormValue("safety")}}.Encode()
	if c.FormValue("view") == "domains" { // lists have nobody to keep
		back = "/mailboxes/" + sweep.MailboxID.Show(id) + "/domains"
	}
	return p.go_(c, back)
}
