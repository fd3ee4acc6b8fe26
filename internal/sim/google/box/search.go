package box

import (
	"fmt"
	"hash/fnv"
	"slices"
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

// Hash identifies the listing that a page token belongs to.
func (s Search) Hash() uint32 {
	h := fnv.New32a()
	fmt.Fprintf(h, "%q %q %v %v", s.Query, s.Labels, s.SpamTrash, s.Threads)
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

// List gives up to limit matches behind a place: after the row `after` in newest-first order, wherever that
// row is now (cursor), or after skipping `skip` matches (offset). ErrInvalidLabel names an unknown label.
func (b *Box) List(s Search, after uint32, skip, limit int) (Page, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	rows, err := b.matches(s)
	if err != nil {
		return Page{}, err
	}
	start := skip
	if after != none {
		if int(after) >= len(b.id) {
			return Page{}, ErrNotFound
		}
		start, _ = slices.BinarySearchFunc(rows, after, func(r, at uint32) int {
			if b.less(r, at) {
				return 1
			}
			return -1
		})
	}
	start = min(start, len(rows))
	end := min(start+limit, len(rows))
	page := Page{More: end < len(rows), Total: len(rows)}
	for _, r := range rows[start:end] {
		page.Items = append(page.Items, Item{Row: r, ID: b.id[r], Thread: b.threads[b.thread[r]].id})
	}
	return page, nil
}

// Top is the place before the first match.
const Top = none

// result is a listing worked out for one version of the mailbox.
type result struct {
	version uint64
	at      time.Time
	rows    []uint32
	used    uint64
}

// resultCache keeps recent listings so that a page costs its own items only.
type resultCache struct {
	mu    sync.Mutex
	byKey map[string]*result
	kept  int // rows in all results
	clock uint64
}

const maxKeptRows = 4_000_000

// matches gives all matching rows, newest first. The caller holds the read lock.
func (b *Box) matches(s Search) ([]uint32, error) {
	key := fmt.Sprintf("%q %q %v %v %v", s.Query, s.Labels, s.SpamTrash, s.Threads, s.Swallow)
	now := b.opt.Now()
	if rows, ok := b.results.get(key, b.version, now); ok {
		return rows, nil
	}
	match, err := b.compile(s)
	if err != nil {
		return nil, err
	}
	var rows []uint32
	for i := len(b.order) - 1; i >= 0; i-- {
		if r := b.order[i]; b.set[r] != setGone && match(r) {
			rows = append(rows, r)
		}
	}
	if s.Threads {
		rows = b.firstOfThread(rows)
	}
	b.results.put(key, &result{version: b.version, at: now, rows: rows})
	return rows, nil
}

func (b *Box) firstOfThread(rows []uint32) []uint32 {
	seen := make([]bool, len(b.threads))
	return slices.DeleteFunc(rows, func(r uint32) bool {
		old := seen[b.thread[r]]
		seen[b.thread[r]] = true
		return old
	})
}

// get gives a result of this version. It is not used for long, since older_than moves with the clock.
func (c *resultCache) get(key string, version uint64, now time.Time) ([]uint32, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r, ok := c.byKey[key]
	if !ok || r.version != version || now.Sub(r.at).Abs() > 10*time.Second {
		return nil, false
	}
	c.clock++
	r.used = c.clock
	return r.rows, true
}

func (c *resultCache) put(key string, r *result) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.clock++
	r.used = c.clock
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
func (b *Box) compile(s Search) (predicate, error) {
	root := query.Parse(s.Query, s.Swallow)
	wanted, err := b.listLabels(s.Labels)
	if err != nil {
		return nil, err
	}
	hidden := !s.SpamTrash && !seesHidden(root) && !contains(wanted, trash) && !contains(wanted, spam)
	sets := b.labels.where(func(set []uint16) bool {
		for _, l := range wanted {
			if !contains(set, l) {
				return false
			}
		}
		return !contains(set, chat) && !(hidden && (contains(set, trash) || contains(set, spam)))
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
