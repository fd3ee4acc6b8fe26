package web

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/labstack/echo/v4"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
)

const keysPath = "/settings/keys"

func (p *Pages) keyRoutes(e *echo.Echo) {
	e.GET(keysPath, p.signed(sweep.Viewer, p.keys))
	e.POST(keysPath, p.signed(sweep.Operator, p.makeKey))
	e.GET(keysPath+"/:key", p.signed(sweep.Operator, p.key))
	e.POST(keysPath+"/:key/rotate", p.signed(sweep.Operator, p.rotateKey))
	e.POST(keysPath+"/:key/revoke", p.act(sweep.Operator, sweep.KeyID, p.revokeKey))
}

// keysPage is the account's API keys, and the form that makes one more.
type keysPage struct {
	refusal
	Once     string // so that a second click makes no second key
	Keys     []account.KeyView
	Lacks    lacking
	CanRun   bool
	Name     string
	Scopes   []sweep.Scope
	Networks string
	Days     string // after which it ends
}

// Chosen says whether a scope is ticked in the form.
func (k keysPage) Chosen(s string) bool { return slices.Contains(k.Scopes, sweep.Scope(s)) }

// AllScopes are what a key may be used for, with what that means.
func (keysPage) AllScopes() [][2]string {
	return [][2]string{{string(sweep.ScopeRead), "Read jobs, results, usage and history"}, {string(sweep.ScopeAnalyze), "Analyze and preview, which changes nothing"},
		{string(sweep.ScopeExecute), "Execute previews and undo runs"}, {string(sweep.ScopeBilling), "See and change what is bought"}}
}

// Lives are how long a key can be good for, in days.
func (keysPage) Lives() [][2]string {
	return [][2]string{{"30", "30 days"}, {"90", "90 days"}, {"365", "A year"}, {"", "Until it is revoked"}}
}

// keyState says in a word how a key stands.
func keyState(k account.KeyView) string {
	switch now := time.Now(); {
	case k.RevokedAt != nil:
		return "revoked"
	case k.ExpiresAt != nil && !k.ExpiresAt.After(now):
		return "ended"
	}
	return ""
}

func (p *Pages) keysOf(c echo.Context, a sweep.Actor) (page keysPage, err error) {
	page = keysPage{Once: once(), CanRun: a.MayAs(sweep.Operator) == nil, Scopes: []sweep.Scope{sweep.ScopeRead}, Days: "90"}
	plan, err := p.Account.Plan(c.Request().Context(), a)
	if err != nil {
		return page, err
	}
	page.Lacks = p.lacks(plan, sweep.APIKeys)
	page.Keys, err = p.Account.Keys(c.Request().Context(), a)
	return page, err
}

func (p *Pages) keys(c echo.Context, a sweep.Actor) error {
	page, err := p.keysOf(c, a)
	if err != nil {
		return err
	}
	return p.show(c, http.StatusOK, "keys", "API keys", page)
}

func (p *Pages) makeKey(c echo.Context, a sweep.Actor) error {
	form, err := formOf(c)
	if err != nil {
		return err
	}
	r := account.KeyRequest{Name: form.Get("name"), Networks: addresses(form["networks"]), Password: form.Get("password"), Code: form.Get("code")}
	for _, s := range form["scope"] {
		r.Scopes = append(r.Scopes, sweep.Scope(s))
	}
	days, err := number(form, "days", 1)
	if days > 0 {
		ends := time.Now().AddDate(0, 0, int(min(days, 3650)))
		r.ExpiresAt = &ends
	}
	var made account.NewKey
	if err == nil {
		err = p.single(c, a, "page-make-key", form, &made, func(ctx context.Context) (err error) {
			made, err = p.Account.MakeKey(ctx, a, r, p.edge.Client(c))
			return err
		})
	}
	if err == nil {
		return p.show(c, http.StatusOK, "key-shown", "Your new API key", made)
	}
	why, status, err := p.refused(c, err)
	if err != nil {
		return err
	}
	page, err := p.keysOf(c, a)
	if err != nil {
		return err
	}
	page.refusal, page.Name, page.Scopes, page.Networks, page.Days = why, r.Name, r.Scopes, form.Get("networks"), form.Get("days")
	return p.show(c, status, "keys", "API keys", page)
}

// keyPage is one key: what takes its place, and its end.
type keyPage struct {
	refusal
	Once    string
	Key     account.KeyView
	Lacks   lacking
	Overlap string
}

// Overlaps are how long a key can go on beside the one in its place.
func (keyPage) Overlaps() [][2]string {
	return [][2]string{{"24h", "For a day"}, {"7d", "For a week"}, {"1h", "For an hour"}, {"0", "Not at all: it ends at once"}}
}

func (p *Pages) keyOf(c echo.Context, a sweep.Actor) (keyPage, error) {
	all, err := p.keysOf(c, a)
	for _, k := range all.Keys {
		if k.ID == c.Param("key") {
			return keyPage{Once: all.Once, Key: k, Lacks: all.Lacks, Overlap: "24h"}, nil
		}
	}
	if err == nil {
		err = sweep.Errorf(sweep.NotFound, "there is no such key")
	}
	return keyPage{}, err
}

func (p *Pages) key(c echo.Context, a sweep.Actor) error {
	page, err := p.keyOf(c, a)
	if err != nil {
		return err
	}
	return p.show(c, http.StatusOK, "key", page.Key.Name, page)
}

func (p *Pages) rotateKey(c echo.Context, a sweep.Actor) error {
	id, err := sweep.KeyID.Parse(c.Param("key"))
	if err != nil {
		return err
	}
	form, err := formOf(c)
	if err != nil {
		return err
	}
	again := proof(c)
	var made account.NewKey
	err = p.single(c, a, "page-rotate-key "+c.Param("key"), form, &made, func(ctx context.Context) (err error) {
		made, err = p.Account.RotateKey(ctx, a, id, account.Overlap(form.Get("overlap")), again.Password, again.Code, p.edge.Client(c))
		return err
	})
	if err == nil {
		return p.show(c, http.StatusOK, "key-shown", "Your new API key", made)
	}
	why, status, err := p.refused(c, err)
	if err != nil {
		return err
	}
	page, err := p.keyOf(c, a)
	if err != nil {
		return err
	}
	page.refusal, page.Overlap = why, c.FormValue("overlap")
	return p.show(c, status, "key", page.Key.Name, page)
}

func (p *Pages) revokeKey(c echo.Context, a sweep.Actor, id sweep.ID) (string, error) {
	return keysPath, p.Account.RevokeKey(c.Request().Context(), a, id)
}
