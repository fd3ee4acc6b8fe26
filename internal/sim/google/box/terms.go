package box

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailsweep/internal/sim/google/query"
)

type predicate func(r uint32) bool

func always(uint32) bool { return true }
func never(uint32) bool  { return false }

func tokenLine(s string) string { return query.Line(s) }

func fold(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// predicate compiles a tree. The caller holds the read lock while it is used.
func (b *index) predicate(n query.Node) predicate {
	if n.Kind == query.Term {
		return b.term(n.Op, n.Value)
	}
	kids := make([]predicate, len(n.Kids))
	for i, k := range n.Kids {
		kids[i] = b.predicate(k)
	}
	switch n.Kind {
	case query.Not:
		return func(r uint32) bool { return !kids[0](r) }
	case query.Any:
		return func(r uint32) bool { return slices.ContainsFunc(kids, func(k predicate) bool { return k(r) }) }
	}
	if len(kids) == 0 {
		return always
	}
	return func(r uint32) bool {
		for _, k := range kids {
			if !k(r) {
				return false
			}
		}
		return true
	}
}

func (b *index) term(op, value string) predicate {
	switch op {
	case "":
		if b.opt.UnknownFindsNone && unknownOperator.MatchString(value) {
			return never
		}
		return b.anywhere(value)
	case "from":
		return b.fromTerm(value)
	case "subject":
		return b.subjectTerm(value)
	case "to", "cc", "bcc", "deliveredto":
		return b.recipientTerm(op, value)
	case "list":
		return b.listTerm(value)
	case "filename":
		return b.filenameTerm(value)
	case "rfc822msgid":
		want := strings.Trim(value, "<> ")
		return func(r uint32) bool { return b.messageID(r) == want }
	case "label", "category", "in", "is", "has":
		return b.stateTerm(op, fold(value))
	case "larger", "smaller", "size":
		return b.sizeTerm(op, value)
	}
	return b.timeTerm(op, fold(value))
}

// unknownOperator is a word that would have an operator if there were such a one.
var unknownOperator = regexp.MustCompile(`^[A-Za-z_]+:\S+$`)

// lineHas matches a run of whole tokens.
func lineHas(line, value string) bool { return strings.Contains(line, value) }

// perSender works a predicate over senders out once for all messages.
func (b *index) perSender(f func(*Sender) bool) predicate {
	hit := make([]bool, len(b.senders))
	for i := range b.senders {
		hit[i] = f(&b.senders[i])
	}
	return func(r uint32) bool { return hit[b.sender[r]] }
}

func (b *index) fromTerm(value string) predicate {
	if fold(value) == "me" {
		return b.perSender(func(s *Sender) bool { return strings.EqualFold(s.Addr, b.Email) })
	}
	want := tokenLine(value)
	return b.perSender(func(s *Sender) bool { return lineHas(s.tokens, want) })
}

func (b *index) subjectTerm(value string) predicate {
	want := tokenLine(value)
	hit := make([]bool, len(b.subjects))
	for i := range b.subjects {
		hit[i] = lineHas(b.subjects[i].tokens, want)
	}
	return func(r uint32) bool { return hit[b.subject[r]] }
}

// anywhere matches text in sender, recipients, subject and body.
func (b *index) anywhere(value string) predicate {
	want := tokenLine(value)
	from, subject, to := b.fromTerm(value), b.subjectTerm(value), b.recipientTerm("to", value)
	body := b.perSender(func(s *Sender) bool { return lineHas(s.bodyTokens(), want) })
	return func(r uint32) bool {
		if from(r) || subject(r) || to(r) {
			return true
		}
		if m, ok := b.side[r]; ok {
			return lineHas(m.textTokens, want)
		}
		return body(r)
	}
}

func (b *index) recipientTerm(op, value string) predicate {
	if fold(value) == "me" {
		value = b.Email
	}
	want := tokenLine(value)
	me := lineHas(tokenLine(b.Email), want)
	return func(r uint32) bool {
		if m, ok := b.side[r]; ok {
			return lineHas(m.recipients[op], want)
		}
		if b.labels.has(b.set[r], sent) {
			return op == "to" && lineHas(tokenLine(b.contact(r)), want)
		}
		return me && op != "cc" && op != "bcc"
	}
}

func (b *index) listTerm(value string) predicate {
	want := tokenLine(value)
	generated := b.perSender(func(s *Sender) bool { return s.ListID != "" && lineHas(tokenLine(s.ListID), want) })
	return func(r uint32) bool {
		if m, ok := b.side[r]; ok {
			return m.list != "" && lineHas(m.list, want)
		}
		return generated(r)
	}
}

func (b *index) filenameTerm(value string) predicate {
	want := tokenLine(value)
	return func(r uint32) bool {
		return slices.ContainsFunc(b.files(r), func(f string) bool { return lineHas(tokenLine(f), want) })
	}
}

// timeZone of dates in queries: "midnight on that date in the PST timezone" (Gmail API guide on filtering).
var timeZone = time.FixedZone("PST", -8*3600)

// timeTerm: after and newer include their second, before and older exclude it, unless the options say otherwise.
func (b *index) timeTerm(op, value string) predicate {
	var cut int64
	var ok bool
	if strings.HasSuffix(op, "_than") {
		cut, ok = ago(b.opt.Now(), value)
	} else {
		cut, ok = moment(value)
	}
	if !ok {
		return never
	}
	later := op == "after" || op == "newer" || op == "newer_than"
	if later && b.opt.AfterExcludes || !later && b.opt.BeforeIncludes {
		cut++
	}
	if later {
		return func(r uint32) bool { return b.date[r] >= cut*1000 }
	}
	return func(r uint32) bool { return b.date[r] < cut*1000 }
}

// moment reads epoch seconds or a date.
func moment(s string) (sec int64, ok bool) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil && len(s) > 4 {
		return n, true
	}
	s = strings.NewReplacer("-", "/", ".", "/").Replace(s)
	for _, layout := range []string{"2006/1/2", "1/2/2006", "2006/1", "2006"} {
		if t, err := time.ParseInLocation(layout, s, timeZone); err == nil {
			return t.Unix(), true
		}
	}
	return 0, false
}

// ago reads Nd, Nm or Ny as a calendar cut before now; h is known too.
func ago(now time.Time, s string) (sec int64, ok bool) {
	if s == "" {
		return 0, false
	}
	n, err := strconv.Atoi(s[:len(s)-1])
	if err != nil || n < 0 || n > 100_000 {
		return 0, false
	}
	now = now.In(timeZone)
	switch s[len(s)-1] {
	case 'h':
		return now.Add(-time.Duration(n) * time.Hour).Unix(), true
	case 'd':
		return now.AddDate(0, 0, -n).Unix(), true
	case 'w':
		return now.AddDate(0, 0, -7*n).Unix(), true
	case 'm':
		return now.AddDate(0, -n, 0).Unix(), true
	case 'y':
		return now.AddDate(-n, 0, 0).Unix(), true
	}
	return 0, false
}

// sizeTerm: larger and size want more than the value, smaller wants less.
func (b *index) sizeTerm(op, value string) predicate {
	n, ok := b.bytes(fold(value))
	if !ok {
		return never
	}
	if op == "smaller" {
		if b.opt.SmallerIncludes {
			n++
		}
		return func(r uint32) bool { return int64(b.size[r]) < n }
	}
	if b.opt.LargerIncludes {
		n--
	}
	return func(r uint32) bool { return int64(b.size[r]) > n }
}

func (b *Box) bytes(s string) (int64, bool) {
	s = strings.TrimSuffix(s, "b")
	k := int64(1024)
	if b.opt.DecimalSizes {
		k = 1000
	}
	unit := int64(1)
	switch {
	case strings.HasSuffix(s, "k"):
		unit = k
	case strings.HasSuffix(s, "m"):
		unit = k * k
	}
	n, err := strconv.ParseFloat(strings.TrimRight(s, "km"), 64)
	return int64(n * float64(unit)), err == nil && n >= 0 && n < 1e12
}
