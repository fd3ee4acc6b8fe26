package box

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Errors of changes and look-ups.
var (
	ErrNotFound     = errors.New("requested entity was not found")
	ErrInvalidLabel = errors.New("invalid label")
	ErrConflict     = errors.New("label name exists or conflicts")
	ErrNoChange     = errors.New("no label add or removes specified")
	ErrBothWays     = errors.New("cannot both add and remove the same label")
)

// change is a resolved wish to add and remove labels.
type change struct {
	add, remove []uint16
	done        map[uint32]uint32 // set before → set after
}

// resolve checks the labels of a change. SENT, DRAFT and CHAT cannot be applied by hand.
func (b *Box) resolve(add, remove []string) (*change, error) {
	c := &change{done: map[uint32]uint32{}}
	if len(add)+len(remove) == 0 {
		return nil, ErrNoChange
	}
	var err error
	if c.add, err = b.labelNumbers(add); err != nil {
		return nil, err
	}
	if c.remove, err = b.labelNumbers(remove); err != nil {
		return nil, err
	}
	for _, l := range c.add {
		if contains(c.remove, l) {
			return nil, ErrBothWays
		}
	}
	if b.opt.TrashDropsInbox && contains(c.add, trash) && !contains(c.add, inbox) {
		c.remove = append(c.remove, inbox)
	}
	return c, nil
}

func (b *Box) labelNumbers(ids []string) ([]uint16, error) {
	var out []uint16
	for _, id := range ids {
		n, ok := b.labels.byID[id]
		if !ok || n == sent || n == draft || n == chat {
			return nil, fmt.Errorf("%w: %s", ErrInvalidLabel, id)
		}
		out = append(out, n)
	}
	return out, nil
}

// apply changes one row and writes the history if that changed anything.
func (b *Box) apply(c *change, r uint32) bool {
	before := b.set[r]
	after, known := c.done[before]
	if !known {
		labels := slices.DeleteFunc(slices.Clone(b.labels.sets[before]), func(l uint16) bool { return contains(c.remove, l) })
		after = b.labels.intern(append(labels, c.add...))
		c.done[before] = after
	}
	if after == before {
		return false
	}
	b.move(r, after)
	return true
}

// move gives a row another label set.
func (b *Box) move(r, after uint32) {
	before, t := b.set[r], b.thread[r]
	b.labels.count[before]--
	b.labels.count[after]++
	b.tally(t, -1)
	b.set[r] = after
	b.tally(t, 1)
	b.record(r, before, after)
}

// Modify adds and removes labels on the messages that exist; unknown ids are ignored silently, as
// batchModify does. With count set, real changes are counted per message for the ledger.
func (b *Box) Modify(ids, add, remove []string, count bool) (changed int, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	c, err := b.resolve(add, remove)
	if err != nil {
		return 0, err
	}
	for _, id := range ids {
		r, ok := b.find(id)
		if !ok || !b.apply(c, r) {
			continue
		}
		changed++
		if count {
			b.changed[r]++
		}
	}
	return changed, nil
}

// ThreadMessages gives the ids of a thread's messages, oldest first.
func (b *Box) ThreadMessages(id string) ([]string, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	n, err := ParseID(id)
	t, ok := b.findThread(n)
	if err != nil || !ok || b.threads[t].live == 0 {
		return nil, ErrNotFound
	}
	var out []string
	for _, r := range b.threadRows(t) {
		out = append(out, FormatID(b.id[r]))
	}
	return out, nil
}

func (b *Box) threadRows(t uint32) []uint32 {
	var rows []uint32
	for r := b.threads[t].head; r != none; r = b.next[r] {
		if b.set[r] != setGone {
			rows = append(rows, r)
		}
	}
	slices.SortFunc(rows, func(x, y uint32) int {
		if b.less(x, y) {
			return -1
		}
		return 1
	})
	return rows
}

// Delete removes messages for good; unknown ids are ignored.
func (b *Box) Delete(ids []string) (deleted int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, id := range ids {
		if r, ok := b.find(id); ok {
			b.remove(r)
			deleted++
		}
	}
	return deleted
}

// remove takes a row away for good.
func (b *Box) remove(r uint32) {
	b.move(r, setGone)
	b.alive--
	if b.threads[b.thread[r]].live--; b.threads[b.thread[r]].live == 0 {
		b.liveThreads--
	}
}

// Incoming is a mail that arrives. Zero values: INBOX and UNREAD, 20,000 bytes, a new thread, now.
type Incoming struct {
	From    string    `json:"from"` // as in a From header
	Subject string    `json:"subject"`
	Labels  []string  `json:"labels"`
	Size    int       `json:"size"`
	Thread  string    `json:"thread"` // id of an existing thread
	Date    time.Time `json:"date"`
}

// Deliver lets a mail arrive and gives its id.
func (b *Box) Deliver(in Incoming) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m, err := b.incoming(in)
	if err != nil {
		return "", err
	}
	r := b.add(m)
	b.insert(r)
	b.record(r, setGone, b.set[r])
	return FormatID(b.id[r]), nil
}

func (b *Box) incoming(in Incoming) (newMessage, error) {
	if in.Labels == nil {
		in.Labels = []string{"INBOX", "UNREAD"}
	}
	if in.Date.IsZero() {
		in.Date = b.opt.Now()
	}
	if in.Size == 0 {
		in.Size = 20_000
	}
	m := newMessage{idTime: in.Date.UnixMilli(), date: in.Date.UnixMilli(), size: in.Size}
	var err error
	if m.labels, m.thread, err = b.placed(in.Labels, in.Thread); err != nil {
		return m, err
	}
	m.sender, m.subject = b.senderRow(ParseSender(in.From)), b.subjectRow(in.Subject)
	return m, nil
}

func contains(set []uint16, l uint16) bool { return slices.Contains(set, l) }

// ThreadState gives a thread's snippet and the history id of its last change, in decimal.
func (b *Box) ThreadState(id uint64) (snippet, history string) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	newest := uint64(0)
	t, ok := b.findThread(id)
	if !ok {
		return "", "0"
	}
	for _, r := range b.threadRows(t) {
		newest = max(newest, b.hist[r])
		snippet = b.view(r).Snippet
	}
	return snippet, strconv.FormatUint(newest, 10)
}
