package mailindex

import (
	"slices"
	"strings"
	"unicode"

	"mailsweep/internal/sweep"
)

// Sweep takes in what Gmail's from: search for an address listed; whole: to its end. The search may list mail of others, those whose From
// holds the address's words as a run. So nobody gets anything as long as there are strangers: senders with mail in the listing, or whose
// address holds this one, who were not swept since the newest message listed came. Sweep those first.
//
// Without strangers, messages that have no sender get this one, and so do those of a sender whose search must list this one's mail too.
// What two searches claim, neither of which must list the other's mail, belongs to nobody until it is read. What was read stays.
func (ix *Index) Sweep(address string, ids []sweep.MessageID, whole bool) (gained int, strangers []string) {
	ix.learned = true
	n := ix.person(address)
	rows := ix.Rows(ids).ToArray()
	if strangers = ix.strangers(n, rows); len(strangers) > 0 {
		return 0, strangers
	}
	for _, row := range rows {
		if ix.read.Contains(row) || ix.disputed.Contains(row) || ix.senders[row] == n {
			continue
		}
		switch was := ix.senders[row]; {
		case was == 0 || ix.finds(was, n):
			ix.senders[row] = n
			gained++
		case !ix.finds(n, was):
			ix.dispute(row)
		}
	}
	if whole {
		ix.people[n].swept = uint32(len(ix.ids))
	}
	return gained, nil
}

// strangers are the addresses of those who have mail among the rows of n's search, or must have, and whose own search does not cover it.
func (ix *Index) strangers(n uint32, rows []uint32) (list []string) {
	newest, seen := uint32(0), map[uint32]bool{0: true, n: true}
	if len(rows) > 0 {
		newest = rows[len(rows)-1]
	}
	add := func(m uint32) {
		if !seen[m] && ix.people[m].swept <= newest {
			list = append(list, ix.people[m].address)
		}
		seen[m] = true
	}
	for _, row := range rows {
		if m := ix.senders[row]; ix.read.Contains(row) || !ix.finds(m, n) {
			add(m)
		}
	}
	mine := tokens(ix.people[n].address)
	for m := 1; m < len(ix.people); m++ {
		if len(mine) > 0 && strings.Contains(ix.people[m].address, mine[0]) && holdsRun(tokens(ix.people[m].address), mine) {
			add(uint32(m))
		}
	}
	return list
}

// meet notes that sender n has mail: searches for others that must list it too are believed only if its own was listed before them.
func (ix *Index) meet(n uint32) {
	for _, m := range ix.finders(ix.people[n].address) {
		if m != n && (ix.people[n].swept == 0 || ix.people[m].swept > ix.people[n].swept) {
			ix.distrust(m)
		}
	}
}

// finders are the senders the search for whom must list all mail of an address.
func (ix *Index) finders(address string) (list []uint32) {
	if ix.byWords == nil {
		ix.byWords = map[string][]uint32{}
		for n := range ix.people[1:] {
			ix.nameByWords(uint32(n + 1))
		}
	}
	words := tokens(address)
	for i := range words {
		for j := i + 1; j <= len(words); j++ {
			list = append(list, ix.byWords[strings.Join(words[i:j], " ")]...)
		}
	}
	return list
}

// name makes a sender known by address and by words.
func (ix *Index) name(p person) (n uint32) {
	n = uint32(len(ix.people))
	ix.people = append(ix.people, p)
	ix.byAddr[p.address] = n
	if ix.byWords != nil {
		ix.nameByWords(n)
	}
	return n
}

func (ix *Index) nameByWords(n uint32) {
	if words := strings.Join(tokens(ix.people[n].address), " "); words != "" {
		ix.byWords[words] = append(ix.byWords[words], n)
	}
}

// finds says whether the search for sender a must list all mail of sender b.
func (ix *Index) finds(a, b uint32) bool {
	return runsWithin(tokens(ix.people[a].address), tokens(ix.people[b].address))
}

func (ix *Index) dispute(row uint32) {
	ix.senders[row] = 0
	ix.disputed.Add(row)
}

// distrust takes from a sender what only a search gave it.
func (ix *Index) distrust(n uint32) {
	if n == 0 {
		return
	}
	ix.people[n].swept = 0
	for row, sender := range ix.senders {
		if sender == n && !ix.read.Contains(uint32(row)) {
			ix.senders[row] = 0
		}
	}
}

// Distrust takes from an address what only a search gave it.
func (ix *Index) Distrust(address string) {
	if n, ok := ix.byAddr[strings.ToLower(address)]; ok {
		ix.distrust(n)
	}
}

// Swept gives, by id, the messages that only a search gave to the address, and how many of its messages were read.
func (ix *Index) Swept(address string) (unread []sweep.MessageID, read int) {
	number, ok := ix.byAddr[strings.ToLower(address)]
	if !ok {
		return nil, 0
	}
	for row, sender := range ix.senders {
		switch {
		case sender != number || !ix.live.Contains(uint32(row)):
		case ix.read.Contains(uint32(row)):
			read++
		default:
			unread = append(unread, ix.ids[row])
		}
	}
	return unread, read
}

// tokens cuts a text as Gmail's search does: at everything but letters, digits and underscore.
func tokens(s string) []string {
	return strings.FieldsFunc(strings.ToLower(s), func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '_' })
}

// runsWithin says whether part occurs as a run in all, which has more.
func runsWithin(part, all []string) bool { return len(part) < len(all) && holdsRun(all, part) }

// holdsRun says whether part occurs in all as a run.
func holdsRun(all, part []string) bool {
	if len(part) == 0 {
		return false
	}
	for i := 0; i+len(part) <= len(all); i++ {
		if slices.Equal(all[i:i+len(part)], part) {
			return true
		}
	}
	return false
}
