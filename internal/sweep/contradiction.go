package sweep

import (
	"slices"
	"time"
)

// MatchesAll says whether the structure alone shows that c matches every message. It errs towards false.
func (c Criteria) MatchesAll() bool { return c.negate().MatchesNone() }

// negate is the criteria of the other messages, with every not pushed down to leaves that have no opposite.
func (c Criteria) negate() Criteria {
	switch c.Op {
	case All, Any:
		out := Criteria{Op: All}
		if c.Op == All {
			out.Op = Any
		}
		for _, k := range c.Kids {
			out.Kids = append(out.Kids, k.negate())
		}
		return out
	case Not:
		return c.Kids[0]
	case ByUnread, HasAttachment, Replied:
		c.Flag = !c.Flag
		return c
	case LargerThan:
		return Criteria{Op: SmallerThan, Number: c.Number + 1}
	case SmallerThan:
		return Criteria{Op: LargerThan, Number: c.Number - 1}
	}
	if op, ok := opposites(c.Op); ok {
		c.Op = op
		return c
	}
	return Criteria{Op: Not, Kids: []Criteria{c}}
}

// opposites pairs the leaves that split the mailbox at one time.
func opposites(op Op) (Op, bool) {
	switch op {
	case OlderThanDays:
		return NewerThanDays, true
	case NewerThanDays:
		return OlderThanDays, true
	case Before:
		return After, true
	case After:
		return Before, true
	}
	return "", false
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
		if n := c.Kids[0].negate(); !n.Equal(c) {
			return n.MatchesNone()
		}
		return c.Kids[0].Op == In && c.Kids[0].Text == "anywhere"
	}
	return false
}

// flatten gives the conjuncts of nested alls.
func flatten(c Criteria) (flat []Criteria) {
	for _, k := range c.Kids {
		if k.Op == Not {
			k = k.Kids[0].negate()
		}
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
			if k.Text == "anywhere" {
				continue
			}
			if was, seen := one[k.Op]; seen && was != k.Text {
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
