package web

import (
	"math"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"mailsweep/internal/sweep"
)

// none is the group of which nothing may hold: the builder's word for not.
const none = "none"

// mostBlocks bounds a form: a tree has no more nodes.
const mostBlocks = 500

// block is a node of criteria as the builder shows it: a group (all, any, none) with what is in it, or one condition with its value.
type block struct {
	At    int // its place, depth first: what buttons name
	Depth int
	Op    string
	Value string
	Wrong string
	Fresh bool // just added: the focus goes there
	Kids  []*block
}

// condition is a kind of condition: what to call it, and how it is filled in.
type condition struct {
	Op      string
	Name    string
	Input   string // text, number, date or long; "": one of Choices
	Hint    string
	Choices [][2]string
}

// conditions are what can be said of mail, as people ask for it.
func conditions() []condition {
	tabs := [][2]string{}
	for _, c := range sweep.Categories() {
		tabs = append(tabs, [2]string{string(c), categoryName(c)})
	}
	return []condition{
		{Op: string(sweep.ByCategory), Name: "Category", Choices: tabs},
		{Op: string(sweep.ByFrom), Name: "From", Input: "long", Hint: "Addresses, or whole domains with an @ before them: any of them will do."},
		{Op: string(sweep.BySubject), Name: "Subject has", Input: "text"},
		{Op: string(sweep.OlderThanDays), Name: "Older than (days)", Input: "number"},
		{Op: string(sweep.NewerThanDays), Name: "Newer than (days)", Input: "number"},
		{Op: string(sweep.Before), Name: "Before the day", Input: "date"},
		{Op: string(sweep.After), Name: "From the day on", Input: "date"},
		{Op: string(sweep.LargerThan), Name: "Larger than (MB)", Input: "number"},
		{Op: string(sweep.SmallerThan), Name: "Smaller than (MB)", Input: "number"},
		{Op: string(sweep.ByUnread), Name: "Read or not", Choices: [][2]string{{"yes", "Unread"}, {"no", "Read"}}},
		{Op: string(sweep.HasAttachment), Name: "Attachment", Choices: [][2]string{{"yes", "With an attachment"}, {"no", "Without"}}},
		{Op: string(sweep.Replied), Name: "Answered", Choices: [][2]string{{"yes", "In a thread that you wrote in"}, {"no", "In a thread that you did not write in"}}},
		{Op: string(sweep.In), Name: "Where", Choices: [][2]string{{"inbox", "Inbox"}, {"archive", "Archive"}, {"anywhere", "Anywhere"}}},
		{Op: string(sweep.ByLabel), Name: "Label", Input: "text"},
		{Op: string(sweep.ByListID), Name: "Mailing list (List-Id)", Input: "text"},
		{Op: string(sweep.ByQuery), Name: "Found by Gmail’s search", Input: "text"},
	}
}

// groups are the ways in which blocks go together.
func groups() [][2]string {
	return [][2]string{{string(sweep.All), "All of these hold"}, {string(sweep.Any), "Any of these holds"}, {none, "None of these holds"}}
}

// Group says whether b holds other blocks.
func (b *block) Group() bool {
	return slices.Contains([]string{string(sweep.All), string(sweep.Any), none}, b.Op)
}

// Is is the kind of b's condition; an unknown one has no name.
func (b *block) Is() condition {
	all := conditions()
	if i := slices.IndexFunc(all, func(c condition) bool { return c.Op == b.Op }); i >= 0 {
		return all[i]
	}
	return condition{}
}

// Type is how a browser lets b's value be typed: a time that is no whole day stays text.
func (b *block) Type() string {
	if input := b.Is().Input; input != "date" || len(b.Value) <= len(time.DateOnly) {
		return input
	}
	return "text"
}

// Step is the steps of a number: whole days, or any part of a megabyte.
func (b *block) Step() string { return either(strings.HasSuffix(b.Op, "_than"), "any", "1") }

// walk calls f for b and every block below it, depth first.
func (b *block) walk(f func(*block)) {
	f(b)
	for _, k := range b.Kids {
		k.walk(f)
	}
}

// numbered gives every block its place.
func (b *block) numbered() *block {
	at := 0
	var number func(*block, int)
	number = func(n *block, depth int) {
		n.At, n.Depth = at, depth
		at++
		for _, k := range n.Kids {
			number(k, depth+1)
		}
	}
	number(b, 0)
	return b
}

// blocksOf reads the blocks of a form: each has a depth, an op and a value, and stands behind the group that holds it.
func blocksOf(form url.Values) (*block, error) {
	unread := sweep.Errorf(sweep.BadRequest, "the form could not be read")
	depths, ops, values := form["depth"], form["op"], form["value"]
	if len(ops) == 0 || len(depths) != len(ops) || len(values) != len(ops) {
		return nil, unread
	}
	if len(ops) > mostBlocks {
		return nil, sweep.Errorf(sweep.Invalid, "these are too many conditions: at most %d", mostBlocks)
	}
	var root *block
	var open []*block // the groups that hold the next block
	for i, op := range ops {
		depth, err := strconv.Atoi(depths[i])
		b := &block{Op: op, Value: values[i]}
		if err != nil || depth < 0 || depth > len(open) || (depth == 0) != (i == 0) || !b.Group() && (i == 0 || b.Is().Op == "") {
			return nil, unread
		}
		if i == 0 {
			root = b
		} else {
			open[depth-1].Kids = append(open[depth-1].Kids, b)
		}
		if open = open[:depth]; b.Group() {
			open = append(open, b)
		}
	}
	return root.numbered(), nil
}

// criteria makes a tree of b and what it holds. What is wrong is said at the blocks; then the tree is none.
func (b *block) criteria() (sweep.Criteria, error) {
	c := b.node()
	bad := 0
	b.walk(func(n *block) {
		if n.Wrong != "" {
			bad++
		}
	})
	if bad > 0 {
		return sweep.Criteria{}, sweep.Errorf(sweep.Invalid, "%s to be put right: see below", many(bad, "condition has", "conditions have"))
	}
	return checked(c)
}

func (b *block) node() sweep.Criteria {
	if !b.Group() {
		return b.leaf()
	}
	if len(b.Kids) == 0 {
		b.Wrong = "has to hold at least one condition"
		return sweep.Criteria{}
	}
	kids := make([]sweep.Criteria, 0, len(b.Kids))
	for _, k := range b.Kids {
		kids = append(kids, k.node())
	}
	switch {
	case b.Op != none:
		return sweep.Criteria{Op: sweep.Op(b.Op), Kids: kids}
	case len(kids) > 1:
		kids = []sweep.Criteria{{Op: sweep.Any, Kids: kids}}
	}
	return sweep.Criteria{Op: sweep.Not, Kids: kids}
}

// leaf is b's condition, held to the rules of every leaf.
func (b *block) leaf() sweep.Criteria {
	c, wrong := b.typed()
	if wrong == "" {
		var err error
		if c, err = checked(c); err != nil {
			wrong = wrongOf(err)
		}
	}
	b.Wrong = wrong
	return c
}

// typed reads what was typed into b. wrong: it is none.
func (b *block) typed() (c sweep.Criteria, wrong string) {
	text := strings.TrimSpace(b.Value)
	c = sweep.Criteria{Op: sweep.Op(b.Op), Text: text}
	if text == "" {
		return c, "is needed"
	}
	var err error
	switch c.Op {
	case sweep.ByFrom:
		list := anyOf(sweep.ByFrom, addresses([]string{text}))
		if list == nil {
			return c, "must be an address or @domain"
		}
		return *list, ""
	case sweep.OlderThanDays, sweep.NewerThanDays:
		if c.Number, err = strconv.ParseInt(text, 10, 32); err != nil {
			return c, "must be a whole number of days"
		}
	case sweep.LargerThan, sweep.SmallerThan:
		megabytes, err := strconv.ParseFloat(text, 64)
		if c.Number = int64(math.Round(megabytes * 1e6)); err != nil || math.IsNaN(megabytes) || math.Abs(megabytes) > 1e6 {
			return c, "must be a number of megabytes"
		}
	case sweep.Before, sweep.After:
		if c.Time, err = instantOf(text); err != nil {
			return c, "must be a day"
		}
	case sweep.ByUnread, sweep.HasAttachment, sweep.Replied:
		c.Flag = text == "yes"
	}
	return c, ""
}

// instantOf reads a day, which begins in UTC, or a time of day that a program gave.
func instantOf(text string) (time.Time, error) {
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		return day, nil
	}
	return time.Parse(time.RFC3339, text)
}

// rootOf shows a tree as blocks; a lone condition stands in a group.
func rootOf(c sweep.Criteria) *block {
	b := blockOf(c)
	if !b.Group() {
		b = &block{Op: string(sweep.All), Kids: []*block{b}}
	}
	return b.numbered()
}

func blockOf(c sweep.Criteria) *block {
	switch c.Op {
	case sweep.Not:
		inner := c.Kids[0]
		if b := blockOf(inner); inner.Op == sweep.Any && b.Group() {
			b.Op = none
			return b
		}
		return &block{Op: none, Kids: []*block{blockOf(inner)}}
	case sweep.All, sweep.Any:
		if from := joinedFrom(c); from != "" {
			return &block{Op: string(sweep.ByFrom), Value: from}
		}
		b := &block{Op: string(c.Op)}
		for _, k := range c.Kids {
			b.Kids = append(b.Kids, blockOf(k))
		}
		return b
	}
	return &block{Op: string(c.Op), Value: valueOf(c)}
}

// joinedFrom is the addresses of a group that holds several and nothing else, any of which will do.
func joinedFrom(c sweep.Criteria) string {
	var list []string
	for _, k := range c.Kids {
		if k.Op != sweep.ByFrom {
			return ""
		}
		list = append(list, k.Text)
	}
	if c.Op != sweep.Any || len(list) < 2 {
		return ""
	}
	return strings.Join(list, ", ")
}

// valueOf is a leaf's value as it is typed.
func valueOf(c sweep.Criteria) string {
	switch c.Op {
	case sweep.OlderThanDays, sweep.NewerThanDays:
		return strconv.FormatInt(c.Number, 10)
	case sweep.LargerThan, sweep.SmallerThan:
		return strconv.FormatFloat(float64(c.Number)/1e6, 'f', -1, 64)
	case sweep.Before, sweep.After:
		if at := c.Time.UTC(); !at.Equal(at.Truncate(24 * time.Hour)) {
			return at.Format(time.RFC3339)
		}
		return c.Time.UTC().Format(time.DateOnly)
	case sweep.ByUnread, sweep.HasAttachment, sweep.Replied:
		return either(c.Flag, "yes", "no")
	}
	return c.Text
}

// edit does what a button of the form says: add 3 puts a block, of the kind that is chosen there, into the group at 3; drop 5 takes the
// block at 5 away.
func (b *block) edit(button string, form url.Values) {
	verb, place, _ := strings.Cut(button, " ")
	at, err := strconv.Atoi(place)
	if err != nil {
		return
	}
	b.walk(func(n *block) {
		switch {
		case verb == "drop":
			n.Kids = slices.DeleteFunc(n.Kids, func(k *block) bool { return k.At == at })
		case verb == "add" && n.At == at && n.Group():
			added := &block{At: -1, Op: form.Get("kind." + place), Fresh: true}
			if choices := added.Is().Choices; len(choices) > 0 {
				added.Value = choices[0][0]
			}
			if added.Group() || added.Is().Op != "" {
				n.Kids = append(n.Kids, added)
			}
		}
	})
	b.numbered()
}
