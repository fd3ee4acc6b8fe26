package web

import (
	"errors"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/labstack/echo/v4"

	"mailsweep/internal/cleanup"
	"mailsweep/internal/sweep"
)

// criteriaOf reads a tree that a page of ours put into the form, or makes one of the form's fields, all of which must hold.
func criteriaOf(form url.Values) (sweep.Criteria, error) {
	if raw := form.Get("criteria"); raw != "" {
		return sweep.ParseCriteria([]byte(raw))
	}
	if form.Has("op") {
		root, err := blocksOf(form)
		if err != nil {
			return sweep.Criteria{}, err
		}
		return root.criteria()
	}
	return simple(form)
}

// simple makes a tree of the short form: all that is filled in must hold. What is wrong is said at its field.
func simple(form url.Values) (sweep.Criteria, error) {
	bad := sweep.Errorf(sweep.Invalid, "something has to be put right: see below")
	var kids []sweep.Criteria
	add := func(field string, c *sweep.Criteria) {
		if c == nil {
			return
		}
		if whole, err := checked(*c); err != nil {
			bad = bad.At(field, wrongOf(err))
		} else {
			kids = append(kids, whole)
		}
	}
	add("category", anyOf(sweep.ByCategory, form["category"]))
	add("list", anyOf(sweep.ByListID, form["list"]))
	add("from", anyOf(sweep.ByFrom, addresses(form["from"])))
	if but := anyOf(sweep.ByFrom, addresses(form["not_from"])); but != nil {
		add("not_from", &sweep.Criteria{Op: sweep.Not, Kids: []sweep.Criteria{*but}})
	}
	add("subject", anyOf(sweep.BySubject, []string{strings.TrimSpace(form.Get("subject"))}))
	for _, n := range []struct {
		field string
		op    sweep.Op
		times int64
	}{{"older", sweep.OlderThanDays, 1}, {"larger_mb", sweep.LargerThan, 1_000_000}} {
		switch v, err := number(form, n.field, n.times); {
		case err != nil:
			bad = bad.At(n.field, wrongOf(err))
		case v > 0:
			add(n.field, &sweep.Criteria{Op: n.op, Number: v})
		}
	}
	if form.Get("unread") != "" {
		add("unread", &sweep.Criteria{Op: sweep.ByUnread, Flag: true})
	}
	if form.Get("attachment") != "" {
		add("attachment", &sweep.Criteria{Op: sweep.HasAttachment, Flag: true})
	}
	add("in", anyOf(sweep.In, form["in"]))
	if len(bad.Fields) > 0 {
		return sweep.Criteria{}, bad
	}
	if len(kids) == 0 {
		return sweep.Criteria{}, sweep.Errorf(sweep.Invalid, "say at least one thing about the mail to clean up")
	}
	return checked(sweep.Criteria{Op: sweep.All, Kids: kids})
}

// wrongOf is what an error says of the one field that was tried.
func wrongOf(err error) string {
	var e *sweep.Error
	switch {
	case !errors.As(err, &e):
		return "could not be read"
	case len(e.Fields) > 0:
		return e.Fields[0].Message
	}
	return e.Detail
}

// checked holds a tree made of a form to the same rules as one that a program sends.
func checked(c sweep.Criteria) (sweep.Criteria, error) {
	raw, err := c.MarshalJSON()
	if err != nil {
		return c, err
	}
	return sweep.ParseCriteria(raw)
}

func anyOf(op sweep.Op, texts []string) *sweep.Criteria {
	var kids []sweep.Criteria
	for _, t := range texts {
		if t != "" {
			kids = append(kids, sweep.Criteria{Op: op, Text: t})
		}
	}
	switch len(kids) {
	case 0:
		return nil
	case 1:
		return &kids[0]
	}
	return &sweep.Criteria{Op: sweep.Any, Kids: kids}
}

// formOf is what a form holds.
func formOf(c echo.Context) (url.Values, error) {
	form, err := c.FormParams()
	if err != nil {
		return nil, sweep.Errorf(sweep.BadRequest, "the form could not be read")
	}
	return form, nil
}

// addresses splits addresses at commas and blanks.
func addresses(fields []string) (list []string) {
	for _, f := range fields {
		list = append(list, strings.FieldsFunc(f, func(r rune) bool { return r == ',' || r == ';' || r == ' ' || r == '\n' || r == '\r' || r == '\t' })...)
	}
	return list
}

// number reads a whole number that is not below 0; an empty field is 0.
func number(form url.Values, field string, times int64) (int64, error) {
	text := strings.TrimSpace(form.Get(field))
	if text == "" {
		return 0, nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	if err != nil || n < 0 {
		return 0, sweep.Errorf(sweep.Invalid, "something has to be put right: see below").At(field, "must be a whole number")
	}
	return n * times, nil
}

// mailForm is a form about mail with what was typed into it, and what is wrong with that.
type mailForm struct {
	refusal
	Values url.Values
}

// Of is what was typed into a field.
func (f mailForm) Of(field string) string { return f.Values.Get(field) }

// Picked says whether a box is ticked, or a choice made.
func (f mailForm) Picked(field, value string) bool { return slices.Contains(f.Values[field], value) }

// Categories are the tabs to tick.
func (mailForm) Categories() []sweep.Category { return sweep.Categories() }

// Actions are what can be done to the mail, with what to call it.
func (mailForm) Actions() [][2]string { return named(sweep.Archive, sweep.Trash, sweep.MarkRead) }

func named(actions ...sweep.Action) (list [][2]string) {
	for _, a := range actions {
		list = append(list, [2]string{string(a), verb(a)})
	}
	return list
}

// wanted is the preview that a form asks for, but for its mailbox. A form that does not show the protections leaves them on.
func wanted(form url.Values) (r cleanup.DryRunRequest, err error) {
	if r.Spec.Criteria, err = criteriaOf(form); err != nil {
		return r, err
	}
	r.ConfirmAll = form.Get("confirm_all") != ""
	r.Spec.Action, r.Spec.Protect = sweep.Action(form.Get("action")), sweep.ProtectAll()
	if r.Spec.Action == sweep.AddLabel {
		r.Spec.Label = strings.TrimSpace(form.Get("label"))
	}
	newest, err := number(form, "keep_newest", 1)
	if err != nil {
		return r, err
	}
	r.Spec.KeepNewestPerSender = int(newest)
	if form.Has("protecting") {
		r.Spec.Protect, err = protectOf(form)
	}
	return r, err
}

// protectOf reads the boxes of what is left alone.
func protectOf(form url.Values) (sweep.Protect, error) {
	on := func(name string) bool { return slices.Contains(form["protect"], name) }
	days, err := number(form, "recent_days", 1)
	return sweep.Protect{Starred: on("starred"), Important: on("important"), Replied: on("replied"), UserLabelled: on("user_labelled"), KeepList: on("keep_list"), RecentDays: int(days)}, err
}
