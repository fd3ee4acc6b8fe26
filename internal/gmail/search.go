package gmail

import (
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"mailsweep/internal/sweep"
)

// Search is what Gmail can be asked: search text and labels, all of which must hold. The zero Search finds all mail but spam and
// trash.
type Search struct {
	Q        string
	LabelIDs []string
}

// And finds what both find.
func (s Search) And(t Search) Search {
	return Search{Q: strings.TrimSpace(s.Q + " " + t.Q), LabelIDs: slices.Concat(s.LabelIDs, t.LabelIDs)}
}

// WithLabel finds the messages that carry a label. Trash and Spam are asked by name: that a search for their labels looks where others do not
// is undocumented.
func WithLabel(id string) Search {
	switch id {
	case sweep.LabelTrash:
		return Search{Q: "in:trash"}
	case sweep.LabelSpam:
		return Search{Q: "in:spam"}
	}
	return Search{LabelIDs: []string{id}}
}

// During finds the mail of [from, to); a zero time leaves that side open. Whether Gmail counts the edges in is undocumented, so
// the early end reaches a second further and the late end to a whole second: neighbouring ranges lose nothing. An id that two of
// them list belongs to the older one.
func During(from, to time.Time) Search {
	s := Search{}
	if !from.IsZero() {
		s = s.And(number("after:", from.Unix()-1))
	}
	if !to.IsZero() {
		s = s.And(number("before:", ceilSecond(to)))
	}
	return s
}

// SearchOf says a frozen leaf in Gmail's words. It is false for what Gmail cannot be asked: connectives, ages that are not frozen,
// primary (a complement), replied (a fact of threads), text without a single word, a query whose brackets or quotes do not pair.
//
// Sizes and dates are said one byte or second tighter where it is undocumented on which side Gmail counts the edge: nothing
// beyond the leaf is found, at worst the edge itself is missed. from and label match runs of words (Gmail help, "Refine searches"): they
// may find more than the leaf means.
func SearchOf(leaf sweep.Criteria) (Search, bool) {
	switch leaf.Op {
	case sweep.ByCategory:
		category := sweep.Category(leaf.Text)
		return Search{LabelIDs: []string{category.CategoryLabel()}}, category != sweep.Primary && slices.Contains(sweep.Categories(), category)
	case sweep.ByFrom:
		return quoted("from:", strings.TrimPrefix(leaf.Text, "@"))
	case sweep.ByListID:
		return quoted("list:", leaf.Text)
	case sweep.BySubject:
		return quoted("subject:", leaf.Text)
	case sweep.ByLabel:
		return quoted("label:", leaf.Text)
	case sweep.ByQuery:
		return Search{Q: "(" + strings.TrimSpace(leaf.Text) + ")"}, hasWord(leaf.Text) && paired(leaf.Text)
	case sweep.In:
		return place(leaf.Text)
	case sweep.ByUnread:
		return flag(leaf.Flag, "is:unread", "is:read"), true
	case sweep.HasAttachment:
		return flag(leaf.Flag, "has:attachment", "-has:attachment"), true
	case sweep.LargerThan:
		return number("larger:", leaf.Number+1), true
	case sweep.SmallerThan:
		return number("smaller:", max(0, leaf.Number-1)), true
	case sweep.After:
		return number("after:", ceilSecond(leaf.Time)), true
	case sweep.Before:
		return number("before:", leaf.Time.Unix()-1), true
	}
	return Search{}, false
}

func number(operator string, n int64) Search { return Search{Q: operator + strconv.FormatInt(n, 10)} }

func ceilSecond(t time.Time) int64 {
	if t.Nanosecond() > 0 {
		return t.Unix() + 1
	}
	return t.Unix()
}

func flag(on bool, yes, no string) Search {
	if on {
		return Search{Q: yes}
	}
	return Search{Q: no}
}

func place(name string) (Search, bool) {
	switch name {
	case "inbox":
		return Search{LabelIDs: []string{sweep.LabelInbox}}, true
	case "archive":
		return Search{Q: "-in:inbox -in:sent -in:drafts"}, true
	case "anywhere":
		return Search{}, true
	}
	return Search{}, false
}

// quoted puts a text behind an operator as one phrase. Quotes of every script, backslashes and control characters become blanks,
// so that the text cannot leave the phrase; inside it nothing else has a meaning.
func quoted(operator, text string) (Search, bool) {
	plain := strings.Map(func(r rune) rune {
		primes := r == '\\' || r == '`' || r == '\u2033' || r == '\u2036'
		if primes || r != '\'' && unicode.In(r, unicode.Quotation_Mark, unicode.Cc, unicode.Cf, unicode.Z) {
			return ' '
		}
		return r
	}, text)
	plain = strings.Join(strings.Fields(plain), " ")
	return Search{Q: operator + `"` + plain + `"`}, hasWord(plain)
}

// hasWord says whether Gmail would find a word to look for: it splits on everything but letters, digits and the underscore.
func hasWord(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) })
}

// paired says whether brackets and quotes close in order, so that a customer's query stays inside the brackets around it.
func paired(text string) bool {
	var open []rune
	inQuotes := false
	for _, r := range text {
		switch {
		case unicode.Is(unicode.Cc, r):
			return false
		case r == '"':
			inQuotes = !inQuotes
		case inQuotes:
		case r == '(' || r == '{':
			open = append(open, r)
		case r == ')' || r == '}':
			if len(open) == 0 || open[len(open)-1] == '(' != (r == ')') {
				return false
			}
			open = open[:len(open)-1]
		}
	}
	return len(open) == 0 && !inQuotes
}
