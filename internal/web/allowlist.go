package web

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
)

const allowlistPath = "/settings/allowlist"

func (p *Pages) allowlistRoutes(e *echo.Echo) {
	e.GET(allowlistPath, p.signed(sweep.Viewer, p.allowlist))
	e.POST(allowlistPath, p.signed(sweep.Owner, p.putAllowlist))
}

// allowlistPage is from where the account may be used.
type allowlistPage struct {
	refusal
	Networks string // as they are edited
	Here     string // the address of who looks
	Lacks    lacking
	Owner    bool
	Forcible bool // what was refused can be insisted on
}

func (p *Pages) allowlistOf(c echo.Context, a sweep.Actor) (page allowlistPage, err error) {
	ctx := c.Request().Context()
	page = allowlistPage{Owner: a.MayAs(sweep.Owner) == nil, Here: p.edge.Client(c).IP.Unmap().String()}
	plan, err := p.Account.Plan(ctx, a)
	if err != nil {
		return page, err
	}
	page.Lacks = p.lacks(plan, sweep.IPAllowlist)
	list, err := p.Account.Allowlist(ctx, a)
	page.Networks = strings.Join(list.Networks, "\n")
	return page, err
}

func (p *Pages) allowlist(c echo.Context, a sweep.Actor) error {
	page, err := p.allowlistOf(c, a)
	if err != nil {
		return err
	}
	return p.show(c, http.StatusOK, "allowlist", "IP allowlist", page)
}

func (p *Pages) putAllowlist(c echo.Context, a sweep.Actor) error {
	typed := c.FormValue("networks")
	_, err := p.Account.PutAllowlist(c.Request().Context(), a, account.Allowlist{Networks: addresses([]string{typed})}, c.FormValue("force") != "", p.edge.Client(c))
	if err == nil {
		return p.go_(c, allowlistPath)
	}
	forcible := sweep.CodeOf(err) == sweep.Conflict
	why, status, err := p.refused(c, err)
	if err != nil {
		return err
	}
	page, err := p.allowlistOf(c, a)
	if err != nil {
		return err
	}
	page.refusal, page.Networks, page.Forcible = why, typed, forcible
	if forcible {
		page.Problem = "This list would keep you out: your own address is not in it."
	}
	return p.show(c, status, "allowlist", "IP allowlist", page)
}
