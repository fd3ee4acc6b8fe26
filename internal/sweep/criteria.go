package sweep

import (
	"slices"
	"time"
)

// Op is the one key of a criteria node: a connective or a leaf.
type Op string

// The connectives and leaves of criteria.
const (
	All           Op = "all"
	Any           Op = "any"
	Not           Op = "not"
	ByCategory    Op = "category"
	ByFrom        Op = "from"
	ByListID      Op = "list_id"
	BySubject     Op = "subject"
	OlderThanDays Op = "older_than_days"
	NewerThanDays Op = "newer_than_days"
	Before        Op = "before"
	After         Op = "after"
	LargerThan    Op = "larger_than"
	SmallerThan   Op = "smaller_than"
	ByUnread      Op = "unread"
	HasAttachment Op = "has_attachment"
	ByLabel       Op = "label"
	In            Op = "in"
	Replied       Op = "replied"
	ByQuery       Op = "query"
)

// Criteria is a tree that says what mail a job concerns. A connective has Kids (Not exactly one); a leaf has one of the values.
type Criteria struct {
	Op     Op
	Kids   []Criteria
	Text   string    // category, from, list_id, subject, label, in, query
	Number int64     // days, bytes
	Flag   bool      // unread, has_attachment, replied
	Time   time.Time // before, after: [after, before)
}

// Category is one of Gmail's five tabs.
type Category string

// Gmail's tabs. Primary is inbox mail in none of the other four.
const (
	Primary    Category = "primary"
	Social     Category = "social"
	Promotions Category = "promotions"
	Updates    Category = "updates"
	Forums     Category = "forums"
)

// Categories lists the five tabs in the order they are shown.
func Categories() []Category { return []Category{Primary, Social, Promotions, Updates, Forums} }

// Gmail's system labels that the product speaks of.
const (
	LabelInbox     = "INBOX"
	LabelUnread    = "UNREAD"
	LabelStarred   = "STARRED"
	LabelImportant = "IMPORTANT"
	LabelSent      = "SENT"
	LabelDraft     = "DRAFT"
	LabelSpam      = "SPAM"
	LabelTrash     = "TRASH"
)

// CategoryLabel is Gmail's label of a tab.
func (c Category) CategoryLabel() string {
	switch c {
	case Social:
		return "CATEGORY_SOCIAL"
	case Promotions:
		return "CATEGORY_PROMOTIONS"
	case Updates:
		return "CATEGORY_UPDATES"
	case Forums:
		return "CATEGORY_FORUMS"
	}
	return "CATEGORY_PERSONAL"
}

// Action is what an execute does to a message.
type Action string

// The actions. There is no permanent delete.
const (
	Trash    Action = "trash"
	Archive  Action = "archive"
	MarkRead Action = "mark_read"
	AddLabel Action = "label"
)

// Valid says whether a is an action.
func (a Action) Valid() bool { return slices.Contains([]Action{Trash, Archive, MarkRead, AddLabel}, a) }

// Change is the label change of an action; labelID is used by AddLabel only.
// Trash removes INBOX explicitly: whether Gmail does so by itself is undocumented.
func (a Action) Change(labelID string) (add, remove []string) {
	switch a {
	case Trash:
		return []string{LabelTrash}, []string{LabelInbox}
	case Archive:
		return nil, []string{LabelInbox}
	case MarkRead:
		return nil, []string{LabelUnread}
	case AddLabel:
		return []string{labelID}, nil
	}
	return nil, nil
}

// Walk calls f for c and every node below it.
func (c Criteria) Walk(f func(Criteria)) {
	f(c)
	for _, k := range c.Kids {
		k.Walk(f)
	}
}

// Uses says whether any node has the op.
func (c Criteria) Uses(op Op) (found bool) {
	c.Walk(func(n Criteria) { found = found || n.Op == op })
	return found
}

// Labels lists the label names that the criteria name.
func (c Criteria) Labels() (names []string) {
	c.Walk(func(n Criteria) {
		if n.Op == ByLabel {
			names = append(names, n.Text)
		}
	})
	return names
}

// Freeze fixes the ages at now: older_than_days and newer_than_days become before and after, to the second.
func (c Criteria) Freeze(now time.Time) Criteria {
	cut := now.UTC().Truncate(time.Second).Add(-time.Duration(c.Number) * 24 * time.Hour)
	switch c.Op {
	case OlderThanDays:
		return Criteria{Op: Before, Time: cut}
	case NewerThanDays:
		return Criteria{Op: After, Time: cut}
	}
	kids := make([]Criteria, 0, len(c.Kids))
	for _, k := range c.Kids {
		kids = append(kids, k.Freeze(now))
	}
	c.Kids = kids
	return c
}

// MatchesAll says whether the structure alone shows that c matches every message. It errs towards false.
func (c Criteria) MatchesAll() bool {
	switch c.Op {
	case All:
		return !slices.ContainsFunc(c.Kids, func(k Criteria) bool { return !k.MatchesAll() })
	case Any:
		return slices.ContainsFunc(c.Kids, Criteria.MatchesAll) || hasOpposites(c.Kids)
	case Not:
		return c.Kids[0].MatchesNone()
	case In:
		return c.Text == "anywhere"
	}
	return false
}

// MatchesNone says whether the structure alone shows that c contradicts itself. It errs towards false.
func (c Criteria) MatchesNone() bool {
	switch c.Op {
	case All:
		flat := flatten(c)
		return slices.ContainsFunc(flat, Criteria.MatchesNone) || hasOpposites(flat) || clash(flat)
	case Any:
		return !slices.ContainsFunc(c.Kids, func(k Criteria) bool { return !k.MatchesNone() })
	case Not:
		return c.Kids[0].MatchesAll()
	}
	return false
}

// flatten gives the conjuncts of nested alls.
func flatten(c Criteria) (flat []Criteria) {
	for _, k := range c.Kids {
		if k.Op == All {
			flat = append(flat, flatten(k)...)
			continue
		}
		flat = append(flat, k)
	}
	return flat
}

// hasOpposites finds x beside not x, and true beside false of one flag.
func hasOpposites(kids []Criteria) bool {
	for i, a := range kids {
		for _, b := range kids[i+1:] {
			if opposite(a, b) || opposite(b, a) {
				return true
			}
		}
	}
	return false
}

func opposite(a, b Criteria) bool {
	if a.Op == Not && a.Kids[0].Equal(b) {
		return true
	}
	flag := a.Op == ByUnread || a.Op == HasAttachment || a.Op == Replied
	return flag && a.Op == b.Op && a.Flag != b.Flag
}

// Equal compares two trees node by node.
func (c Criteria) Equal(d Criteria) bool {
	return c.Op == d.Op && c.Text == d.Text && c.Number == d.Number && c.Flag == d.Flag && c.Time.Equal(d.Time) &&
		slices.EqualFunc(c.Kids, d.Kids, Criteria.Equal)
}

// clash finds conjuncts that no message can satisfy together.
func clash(kids []Criteria) bool {
	older, newer, larger, smaller := int64(-1), int64(-1), int64(-1), int64(-1)
	var before, after time.Time
	one := map[Op]string{}
	for _, k := range kids {
		switch k.Op {
		case OlderThanDays:
			older = max(older, k.Number)
		case NewerThanDays:
			newer = least(newer, k.Number)
		case LargerThan:
			larger = max(larger, k.Number)
		case SmallerThan:
			smaller = least(smaller, k.Number)
		case Before:
			if before.IsZero() || k.Time.Before(before) {
				before = k.Time
			}
		case After:
			if k.Time.After(after) {
				after = k.Time
			}
		case ByCategory, In:
			if was, seen := one[k.Op]; seen && was != k.Text && k.Text != "anywhere" && was != "anywhere" {
				return true
			}
			one[k.Op] = k.Text
		}
	}
	return one[ByCategory] == string(Primary) && one[In] == "archive" ||
		older >= 0 && newer >= 0 && older >= newer ||
		larger >= 0 && smaller >= 0 && larger+1 >= smaller ||
		!before.IsZero() && !after.IsZero() && !after.Before(before)
}

func least(have, v int64) int64 {
	if have < 0 || v < have {
		return v
	}
	return have
}
