package cleanup

import (
	"slices"

	"mailsweep/internal/mailindex"
	"mailsweep/internal/sweep"
)

// evidence is what Gmail's own history says about the messages that a run asks for, in the order in which it happened.
type evidence struct {
	since   uint64 // history id before the first call
	add     []string
	remove  []string
	asked   table[*group]
	changed table[*group]                       // what really changed on each
	kinds   []*group                            // of changes: what happened to messages is mostly the same
	after   map[sweep.MessageID]map[string]bool // of those, the labels that came or went later, as they are
	late    map[sweep.MessageID]bool            // protected before our change
	stuck   []group                             // late, and not put back
}

// newEvidence is of a plan's messages.
func newEvidence(plan ids, since uint64, add, remove []string) evidence {
	return evidence{since: since, add: add, remove: remove, asked: over[*group](plan), changed: over[*group](plan),
		after: map[sweep.MessageID]map[string]bool{}, late: map[sweep.MessageID]bool{}}
}

// ask notes what is about to be asked of Gmail.
func (e *evidence) ask(set batchSet) {
	for _, g := range set.Groups {
		kind := e.kind(group{Added: g.Added, Removed: g.Removed})
		for _, id := range g.IDs {
			e.asked.put(id, kind)
		}
	}
}

// kind is g, without messages, shared by all messages to which the same happened.
func (e *evidence) kind(g group) *group {
	if i := slices.IndexFunc(e.kinds, func(k *group) bool { return k.like(g) }); i >= 0 {
		return e.kinds[i]
	}
	g.IDs = nil
	e.kinds = append(e.kinds, &g)
	return &g
}

// change is what really changed on a message.
func (e *evidence) change(id sweep.MessageID) group {
	if g := e.changed.at(id); g != nil {
		return *g
	}
	return group{}
}

// ours says that a change is what the run does, and of a message that it asked for. That somebody else did the same cannot be told.
func (e *evidence) ours(c mailindex.Change) bool {
	return e.asked.at(c.ID) != nil && c.At > e.since && len(c.Added)+len(c.Removed) > 0 && within(c.Added, e.add) && within(c.Removed, e.remove)
}

func within(labels, all []string) bool {
	return !slices.ContainsFunc(labels, func(l string) bool { return !slices.Contains(all, l) })
}

// note takes a change that is ours. What follows is kept from the second on: the first leaves a message as it says itself.
func (e *evidence) note(c mailindex.Change) {
	e.follow(c)
	g := e.change(c.ID)
	e.changed.put(c.ID, e.kind(group{Added: union(g.Added, c.Added), Removed: union(g.Removed, c.Removed)}))
}

// follow keeps what becomes of a message that the run has changed.
func (e *evidence) follow(c mailindex.Change) {
	if e.changed.at(c.ID) == nil || len(c.Added)+len(c.Removed) == 0 {
		return
	}
	if e.after[c.ID] == nil {
		e.after[c.ID] = map[string]bool{}
	}
	for _, l := range c.Added {
		e.after[c.ID][l] = true
	}
	for _, l := range c.Removed {
		e.after[c.ID][l] = false
	}
}

// disturbed says that somebody has changed the message again since the run did, or that it was put back.
func (e *evidence) disturbed(id sweep.MessageID) bool { return disturbed(e.change(id), e.after[id]) }

func common(a, b []string) (both []string) {
	for _, v := range a {
		if slices.Contains(b, v) {
			both = append(both, v)
		}
	}
	return both
}

// union is one of the two where it holds the other: nobody writes into it.
func union(a, b []string) []string {
	if len(a) == 0 && len(b) < 2 {
		return b
	}
	out := slices.Clip(a)
	for _, v := range b {
		if !slices.Contains(out, v) {
			out = append(out, v)
		}
	}
	return out
}
