package box

import (
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"sync"
	"time"

	"mailsweep/internal/sim/google/query"
)

// Search is one listing: a query, labels that all must be there, and whether spam and trash are wanted.
type Search struct {
	Query     string
	Labels    []string
	SpamTrash bool
	Threads   bool // one row per thread, its newest match
	Swallow   bool // see query.Parse
}

// Hash identifies the listing of a mailbox that a page token belongs to.
func (s Search) Hash(email string) uint32 {
	h := fnv.New32a()
	fmt.Fprintf(h, "%s %q %q %v %v", email, s.Query, s.Labels, s.SpamTrash, s.Threads)
	return h.Sum32()
}

// Item is one line of a listing.
type Item struct {
	Row        uint32
	ID, Thread uint64
}

// Page is part of a listing, newest first.
type Page struct {
	Items []Item
	More  bool
	Total int // all that match now
}

// Place is where a page begins: after a row in newest-first order, wherever that row is now (cursor), or after skipping some matches
// (offset); and so many matches before that.
type Place struct {
	After      uint32 // Top, or a row
	Skip, Back int
}

// List gives up to limit matches behind a place. ErrInvalidLabel names an unknown label.
func (b *Box) List(s Search, from Place, limit int) (Page, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	rows, err := b.matches(s)
	if err != nil {
		return Page{}, err
	}
	start := from.Skip
	if from.After != Top {
		if int(from.After) >= len(b.id) {
			return Page{}, ErrNotFound
		}
		at, found := slices.BinarySearchFunc(rows, from.After, b.newestFirst)
		if start = at; found {
			start++
		}
	}
	start = max(start-from.Back, 0)
	start = min(start, len(rows))
	end := min(start+limit, len(rows))
	page := Page{More: end < len(rows), Total: len(rows), Items: make([]Item, 0, end-start)}
	for _, r := range rows[start:end] {
		page.Items = append(page.Items, Item{Row: r, ID: b.id[r], Thread: b.threadID(r)})
	}
	return page, nil
}

// Top is the place before the first match.
const Top = none

// index is what a search sees of a mailbox.
type index struct {
	*Box
	set []uint32 // hides the box's own
}

// result is a listing worked out for one state of the mailbox.
type result struct {
	history uint64 // the newest record that it knows of
	labels  uint64 // version of the labels
	at      time.Time
	moves   bool // older_than and newer_than move with the clock
	rows    []uint32
	used    uint64
}

// resultCache keeps recent listings so that a page costs its own items only, and a change its own messages only.
type resultCache struct {
	mu    sync.Mutex
	byKey map[string]*result
	kept  int // rows in all results
	clock uint64
	scans int // how often all rows were gone through
}

const maxKeptRows = 4_000_000

// matches gives all matching rows, newest first. The caller holds the read lock.
func (b *Box) matches(s Search) ([]uint32, error) {
	key := fmt.Sprintf("%q %q %v %v %v", s.Query, s.Labels, s.SpamTrash, s.Threads, s.Swallow)
	now := b.opt.Now()
	if now.Before(b.frozen.until) {
		return b.matchesOf(s, &index{Box: b, set: b.frozen.set})
	}
	old := b.results.get(key, b.labels.version, now)
	if old != nil && old.history == b.log.last {
		return old.rows, nil
	}
	seen := &index{Box: b, set: b.set}
	match, err := seen.compile(s)
	if err != nil {
		return nil, err
	}
	fresh := &result{history: b.log.last, labels: b.labels.version, at: now, moves: strings.Contains(s.Query, "_than:")}
	changed, known := b.changedSince(old)
	if known && !s.Threads {
		fresh.at = old.at
		fresh.rows = b.patch(old.rows, changed, match)
	} else {
		fresh.rows = seen.scan(match)
	}
	if s.Threads {
		fresh.rows = b.firstOfThread(fresh.rows)
	}
	b.results.put(key, fresh, !known)
	return fresh.rows, nil
}

// matchesOf works a listing out for an index that is not the mailbox's own, and does not keep it.
func (b *Box) matchesOf(s Search, seen *index) ([]uint32, error) {
	match, err := seen.compile(s)
	if err != nil {
		return nil, err
	}
	rows := seen.scan(match)
	if s.Threads {
		rows = b.firstOfThread(rows)
	}
	return rows, nil
}

// scan goes through all rows.
func (b *index) scan(match predicate) (rows []uint32) {
	for i := len(b.order) - 1; i >= 0; i-- {
		if r := b.order[i]; int(r) < len(b.set) && match(r) {
			rows = append(rows, r)
		}
	}
	return rows
}

// changedSince gives the rows that changed after a result, newest first, unless the history does not reach back or they are too many.
func (b *Box) changedSince(old *result) (rows []uint32, known bool) {
	if old == nil || old.history < b.log.floor {
		return nil, false
	}
	entries := b.log.after(old.history)
	if len(entries) > len(b.order)/8 {
		return nil, false
	}
	for _, e := range entries {
		rows = append(rows, e.row)
	}
	slices.Sort(rows)
	rows = slices.Compact(rows)
	slices.SortFunc(rows, b.newestFirst)
	return rows, true
}

// patch puts the changed rows into a listing, or takes them out. The old listing stays as it is: others may be reading it.
func (b *Box) patch(old, changed []uint32, match predicate) []uint32 {
	rows := make([]uint32, 0, len(old)+len(changed))
	for _, r := range changed {
		at, found := slices.BinarySearchFunc(old, r, b.newestFirst)
		rows, old = append(rows, old[:at]...), old[at:]
		if found {
			old = old[1:]
		}
		if match(r) {
			rows = append(rows, r)
		}
	}
	return append(rows, old...)
}

func (b *Box) newestFirst(x, y uint32) int {
	switch {
	case x == y:
		return 0
	case b.less(y, x):
		return -1
	}
	return 1
}

func (b *Box) firstOfThread(rows []uint32) []uint32 {
	seen := make([]bool, len(b.threads))
	return slices.DeleteFunc(rows, func(r uint32) bool {
		old := seen[b.thread[r]]
		seen[b.thread[r]] = true
		return old
	})
}

// get gives a result that was worked out with these labels, or nil.
func (c *resultCache) get(key string, labels uint64, now time.Time) *result {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.byKey[key]
	if !ok || r.labels != labels || r.moves && now.Sub(r.at).Abs() > 10*time.Second {
		return nil
	}
	c.clock++
	r.used = c.clock
	return r
}

func (c *resultCache) put(key string, r *result, scanned bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock++
	r.used = c.clock
	if scanned {
		c.scans++
	}
	if old, ok := c.byKey[key]; ok {
		c.kept -= len(old.rows)
	}
	c.byKey[key] = r
	c.kept += len(r.rows)
	for (c.kept > maxKeptRows || len(c.byKey) > 256) && len(c.byKey) > 1 {
		c.dropOldest()
	}
}

func (c *resultCache) dropOldest() {
	oldest := ""
	for k, r := range c.byKey {
		if oldest == "" || r.used < c.byKey[oldest].used {
			oldest = k
		}
	}
	c.kept -= len(c.byKey[oldest].rows)
	delete(c.byKey, oldest)
}

// compile makes one predicate of a search.
func (b *index) compile(s Search) (predicate, error) {
	root := query.Parse(s.Query, s.Swallow)
	wanted, err := b.listLabels(s.Labels)
	if err != nil {
		return nil, err
	}
	named := !b.opt.TrashLabelHidden && hides(wanted)
	hidden := !s.SpamTrash && !seesHidden(root) && !named
	sets := b.labels.where(func(set []uint16) bool {
		for _, l := range wanted {
			if !contains(set, l) {
				return false
			}
		}
		return (b.opt.ListsChats || !contains(set, chat)) && !(hidden && hides(set))
	})
	match := b.predicate(root)
	return func(r uint32) bool { return sets[b.set[r]] && match(r) }, nil
}

func (b *Box) listLabels(ids []string) ([]uint16, error) {
	var out []uint16
	for _, id := range ids {
		n, ok := b.labels.byID[id]
		if !ok {
			return nil, fmt.Errorf("%w: %s", ErrInvalidLabel, id)
		}
		out = append(out, n)
	}
	return out, nil
}

// hides says that mail with these labels is shown only when asked for.
func hides(set []uint16) bool { return contains(set, trash) || contains(set, spam) }

// seesHidden: a query that names spam, trash or anywhere is not limited to the rest.
func seesHidden(n query.Node) bool {
	if n.Kind == query.Term {
		if n.Op == "in" || n.Op == "label" || n.Op == "is" {
			switch v := fold(n.Value); v {
			case "anywhere", "spam", "trash":
				return true
			}
		}
		return false
	}
	return n.Kind != query.Not && slices.ContainsFunc(n.Kids, seesHidden)
}

// FreezeIndex lets searches see the mailbox as it is now, until a time: Gmail's index lags behind changes now and then.
func (b *Box) FreezeIndex(until time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.frozen = frozen{set: slices.Clone(b.set), until: until}
}

// frozen is the mailbox as a lagging index sees it.
type frozen struct {
	set   []uint32
	until time.Time
}
