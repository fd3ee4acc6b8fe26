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

// Freeze fixes the ages at now: older_than_days and newer_than_days become before and after, to the second and not before 1970, as
// Gmail counts dates in epoch seconds.
func (c Criteria) Freeze(now time.Time) Criteria {
	cut := now.UTC().Truncate(time.Second).Add(-time.Duration(c.Number) * 24 * time.Hour)
	if epoch := time.Unix(0, 0).UTC(); cut.Before(epoch) {
		cut = epoch
	}
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
