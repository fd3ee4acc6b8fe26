package mailindex

import (
	"cmp"
	"slices"
	"strings"

	"mailsweep/internal/sweep"
)

// maxLists is how many lists of one sender are known by name.
const maxLists = 20

// ParseListID reads the header List-Id (RFC 2919): what stands in angle brackets, or all of it where there are none, in lower case.
func ParseListID(raw string) string {
	raw = raw[:min(len(raw), maxHeader)]
	if i := strings.LastIndexByte(raw, '<'); i >= 0 {
		raw, _, _ = strings.Cut(raw[i+1:], ">")
	}
	return strings.ToLower(strings.ToValidUTF8(strings.Join(strings.Fields(raw), ""), "\uFFFD"))
}

// describeList adds what a header says of one of the sender's lists.
func (p *person) describeList(id string, way sweep.UnsubscribeMethod) {
	i := slices.IndexFunc(p.lists, func(l sweep.MailingList) bool { return l.ID == id })
	switch {
	case id == "" || i < 0 && len(p.lists) == maxLists:
	case i < 0:
		p.lists = append(p.lists, sweep.MailingList{ID: id, Unsubscribe: cmp.Or(way, sweep.NoWay)})
	default:
		p.lists[i].Unsubscribe = easier(p.lists[i].Unsubscribe, way)
	}
}

// packLists is the stored form of a sender's lists: a line for each, its id and how to leave it.
func packLists(lists []sweep.MailingList) string {
	var lines []string
	for _, l := range lists {
		lines = append(lines, l.ID+" "+string(l.Unsubscribe))
	}
	return strings.Join(lines, "\n")
}

// unpackLists reads it. Before there was a line for each there was one id, left in the sender's way.
func unpackLists(text string, way sweep.UnsubscribeMethod) []sweep.MailingList {
	var p person
	if text == "" {
		return nil
	}
	for line := range strings.SplitSeq(text, "\n") {
		id, own, found := strings.Cut(line, " ")
		if !found || !slices.Contains(methods[:], sweep.UnsubscribeMethod(own)) {
			id, own = ParseListID(line), string(way)
		}
		p.describeList(id, sweep.UnsubscribeMethod(own))
	}
	return p.lists
}

// listsOf groups senders by the lists that their mail names, those whose senders have most mail first.
func listsOf(senders []sweep.Sender) []sweep.MailingListGroup {
	byID := map[string]*sweep.MailingListGroup{}
	for _, s := range senders {
		for _, l := range s.Lists {
			g := byID[l.ID]
			if g == nil {
				g = &sweep.MailingListGroup{ID: l.ID, Unsubscribe: sweep.NoWay}
				byID[l.ID] = g
			}
			g.Senders++
			g.SenderMessages += s.Messages
			g.Unsubscribe = easier(g.Unsubscribe, l.Unsubscribe)
		}
	}
	out := make([]sweep.MailingListGroup, 0, len(byID))
	for _, g := range byID {
		out = append(out, *g)
	}
	slices.SortFunc(out, func(a, b sweep.MailingListGroup) int {
		return cmp.Or(cmp.Compare(b.SenderMessages, a.SenderMessages), cmp.Compare(a.ID, b.ID))
	})
	return out
}
