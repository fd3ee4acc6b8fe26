package web

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/labstack/echo/v4"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
)

// buildPage is the form that says with blocks what mail a cleanup concerns.
type buildPage struct {
	mailForm
	Mailbox     account.MailboxView
	Token, Once string
	Root        *block
	Preset      string // that it began as
	Whole       bool   // the criteria hold every message: that has to be confirmed
}

// preset is a depth of cleaning with its name, as addresses say it.
type preset struct {
	sweep.Suggestion
	Name, Says string
}

func presets() (list []preset) {
	for _, s := range sweep.Presets() {
		name, says, _ := strings.Cut(s.Title, ": ")
		list = append(list, preset{s, strings.ToLower(name), says})
	}
	return list
}

// Presets are the depths of cleaning to begin from.
func (buildPage) Presets() []preset { return presets() }

// Actions are all that can be done.
func (buildPage) Actions() [][2]string {
	return named(sweep.Archive, sweep.Trash, sweep.MarkRead, sweep.AddLabel)
}

// Protections are what is left alone, with the names of their boxes.
func (buildPage) Protections() [][2]string {
	return [][2]string{{"starred", "Threads with a star"}, {"important", "Marked important"}, {"replied", "Threads that you wrote in"}, {"user_labelled", "Labels of yours"}, {"keep_list", "Your keep list"}}
}

// Kept says whether a protection is on.
func (b buildPage) Kept(name string) bool {
	return !b.Values.Has("protecting") || b.Picked("protect", name)
}

// Recent is how many days are left alone.
func (b buildPage) Recent() string {
	return either(b.Values.Has("protecting"), b.Of("recent_days"), "7")
}

// Conditions are what a block can say.
func (b *block) Conditions() []condition { return conditions() }

// Ways are how the blocks of a group go together.
func (b *block) Ways() [][2]string { return groups() }

func (p *Pages) build(c echo.Context, a sweep.Actor) error {
	_, mailbox, err := p.named(c, a)
	if err != nil {
		return err
	}
	page := p.building(c, mailbox, url.Values{})
	for _, preset := range presets() {
		if preset.Name == c.QueryParam("preset") {
			page.Root, page.Preset = rootOf(preset.Criteria), preset.Name
			page.Values.Set("action", string(preset.Action))
		}
	}
	if c.QueryParam("preset") == "large" {
		page.Root = rootOf(sweep.Criteria{Op: sweep.All, Kids: []sweep.Criteria{{Op: sweep.LargerThan, Number: 10_000_000}, {Op: sweep.OlderThanDays, Number: 365}}})
	}
	return p.show(c, http.StatusOK, "build", "Clean up "+mailbox.Email, page)
}

// rebuild takes an edit of the blocks, or criteria from another page to go on with.
func (p *Pages) rebuild(c echo.Context, a sweep.Actor) error {
	_, mailbox, err := p.named(c, a)
	if err != nil {
		return err
	}
	form, err := formOf(c)
	if err != nil {
		return err
	}
	if _, err := criteriaOf(form); form.Get("form") == "short" && mistyped(err) {
		return p.previewAgain(c, a, form, err)
	}
	page := p.building(c, mailbox, form)
	page.Root.edit(form.Get("edit"), form)
	page.Root.walk(func(b *block) { b.Wrong = "" }) // who is still at it is not told off
	if c.Request().Header.Get("HX-Request") != "" {
		c.Response().Header().Set("HX-Trigger-After-Swap", "recount")
		return p.fragment(c, "build", "blocks", page)
	}
	return p.show(c, http.StatusOK, "build", "Clean up "+mailbox.Email, page)
}

// building is the page of what a form holds: its blocks with what is wrong with them, or criteria in another form.
func (p *Pages) building(c echo.Context, mailbox account.MailboxView, form url.Values) buildPage {
	page := buildPage{mailForm: mailForm{Values: form}, Mailbox: mailbox, Token: p.edge.Token(c), Once: once(), Preset: form.Get("preset")}
	if root, err := blocksOf(form); err == nil {
		root.node() // says what is wrong at the blocks
		page.Root = root
		return page
	}
	criteria, err := criteriaOf(form)
	if err != nil {
		criteria = sweep.Criteria{Op: sweep.All, Kids: []sweep.Criteria{{Op: sweep.ByCategory, Text: string(sweep.Promotions)}, {Op: sweep.OlderThanDays, Number: 90}}}
	}
	page.Root = rootOf(criteria)
	return page
}

// mistyped says whether an error names a field.
func mistyped(err error) bool {
	var e *sweep.Error
	return errors.As(err, &e) && len(e.Fields) > 0
}
