package box

import (
	"slices"
	"strings"
)

// byLabel is the predicate of one label.
func (b *index) byLabel(l uint16) predicate {
	return b.bySet(func(s []uint16) bool { return contains(s, l) })
}

func (b *index) bySet(f func([]uint16) bool) predicate {
	hit := b.labels.where(f)
	return func(r uint32) bool { return hit[b.set[r]] }
}

var categoryNames = map[string]uint16{"primary": personal, "personal": personal, "social": social,
	"promotions": promotions, "updates": updates, "forums": forums}

var placeNames = map[string]uint16{"inbox": inbox, "sent": sent, "draft": draft, "drafts": draft, "trash": trash,
	"spam": spam, "chat": chat, "chats": chat, "starred": starred, "unread": unread, "important": important}

// stateTerm answers label:, category:, in:, is: and has:. What it does not know matches nothing.
func (b *index) stateTerm(op, value string) predicate {
	switch op {
	case "category":
		if l, ok := categoryNames[value]; ok {
			return b.byLabel(l)
		}
		return never
	case "label":
		return b.labelTerm(value)
	case "has":
		return b.hasTerm(value)
	case "is":
		if value == "read" {
			return b.bySet(func(s []uint16) bool { return !contains(s, unread) })
		}
	}
	return b.placeTerm(value)
}

func (b *index) placeTerm(value string) predicate {
	switch value {
	case "anywhere":
		return always
	case "archive":
		return b.bySet(func(s []uint16) bool {
			return !slices.ContainsFunc([]uint16{inbox, spam, trash, sent, draft}, func(l uint16) bool { return contains(s, l) })
		})
	}
	if l, ok := placeNames[value]; ok {
		return b.byLabel(l)
	}
	return b.labelTerm(value)
}

// labelTerm finds a label by id or by name, where spaces and slashes may be written as dashes.
func (b *index) labelTerm(value string) predicate {
	plain := func(s string) string { return strings.NewReplacer(" ", "-", "/", "-").Replace(strings.ToLower(s)) }
	for n, l := range b.labels.all {
		if !l.gone && (strings.EqualFold(l.ID, value) || plain(l.Name) == plain(value)) {
			return b.byLabel(uint16(n))
		}
	}
	return never
}

func (b *index) hasTerm(value string) predicate {
	switch value {
	case "attachment":
		return func(r uint32) bool { return b.flags[r]&flagAttachment != 0 }
	case "userlabels":
		return b.bySet(b.labels.hasUser)
	case "nouserlabels":
		return b.bySet(func(s []uint16) bool { return !b.labels.hasUser(s) })
	case "yellow-star":
		return b.byLabel(starred)
	}
	return never
}
