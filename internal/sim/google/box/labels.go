package box

import (
	"fmt"
	"slices"
	"strings"
)

// LabelCounts is what labels.get tells beside the label.
type LabelCounts struct{ Messages, Unread, Threads, ThreadsUnread int }

// Labels lists all labels, system labels first.
func (b *Box) Labels() []Label {
	b.mu.RLock()
	defer b.mu.RUnlock()
	var out []Label
	for _, l := range b.labels.all {
		if !l.gone {
			out = append(out, *l)
		}
	}
	return out
}

// Label gives one label with its exact counts.
func (b *Box) Label(id string) (Label, LabelCounts, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	n, ok := b.labels.byID[id]
	if !ok {
		return Label{}, LabelCounts{}, ErrNotFound
	}
	c := b.threadCountsNow()[n]
	for s, count := range b.labels.count {
		if count == 0 || !b.labels.has(uint32(s), n) {
			continue
		}
		c.Messages += int(count)
		if b.labels.has(uint32(s), unread) {
			c.Unread += int(count)
		}
	}
	return *b.labels.all[n], c, nil
}

// CreateLabel makes a user label. ErrConflict if the name is taken or is a system label's.
func (b *Box) CreateLabel(l Label) (Label, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.checkName(l.Name, ""); err != nil {
		return Label{}, err
	}
	n := b.labels.addUser(l.Name)
	b.setVisibility(n, l)
	b.version++
	return *b.labels.all[n], nil
}

// UpdateLabel renames a user label or changes its visibility; empty fields stay.
func (b *Box) UpdateLabel(id string, l Label) (Label, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, err := b.userLabel(id)
	if err != nil {
		return Label{}, err
	}
	if l.Name != "" {
		if err := b.checkName(l.Name, id); err != nil {
			return Label{}, err
		}
		b.labels.all[n].Name = l.Name
	}
	b.setVisibility(n, l)
	b.version++
	return *b.labels.all[n], nil
}

// DeleteLabel removes a user label from the mailbox and from its messages.
func (b *Box) DeleteLabel(id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	n, err := b.userLabel(id)
	if err != nil {
		return err
	}
	c := &change{remove: []uint16{n}, done: map[uint32]uint32{}}
	for _, r := range b.order {
		if b.set[r] != setGone {
			b.apply(c, r)
		}
	}
	delete(b.labels.byID, id)
	b.labels.all[n].gone = true
	b.version++
	return nil
}

func (b *Box) setVisibility(n uint16, l Label) {
	if l.ListVisibility != "" {
		b.labels.all[n].ListVisibility = l.ListVisibility
	}
	if l.MessageVisibility != "" {
		b.labels.all[n].MessageVisibility = l.MessageVisibility
	}
}

func (b *Box) userLabel(id string) (uint16, error) {
	n, ok := b.labels.byID[id]
	if !ok {
		return 0, ErrNotFound
	}
	if n < firstUser {
		return 0, fmt.Errorf("%w: %s", ErrInvalidLabel, id)
	}
	return n, nil
}

// checkName allows a name that no other label bears; own is the label that may keep it.
func (b *Box) checkName(name, own string) error {
	if strings.TrimSpace(name) == "" || len(name) > 225 {
		return fmt.Errorf("%w name", ErrInvalidLabel)
	}
	if n, taken := b.labels.named(name); taken && b.labels.all[n].ID != own {
		return ErrConflict
	}
	if len(b.labels.byID) >= 10_000 {
		return fmt.Errorf("%w: too many labels", ErrInvalidLabel)
	}
	return nil
}

// threadCounts keeps the threads per label of one version of the mailbox.
type threadCounts struct {
	version uint64
	byLabel map[uint16]LabelCounts
}

// threadCountsNow counts threads per label; a thread counts once however many of its messages bear it.
func (b *Box) threadCountsNow() map[uint16]LabelCounts {
	b.results.mu.Lock()
	defer b.results.mu.Unlock()
	if b.counts.byLabel != nil && b.counts.version == b.version {
		return b.counts.byLabel
	}
	out := map[uint16]LabelCounts{}
	var all, withUnread []uint16
	for t := range b.threads {
		all, withUnread = all[:0], withUnread[:0]
		for r := b.threads[t].head; r != none; r = b.next[r] {
			set := b.labels.sets[b.set[r]]
			all = append(all, set...)
			if contains(set, unread) {
				withUnread = append(withUnread, set...)
			}
		}
		countThread(out, all, withUnread)
	}
	b.counts = threadCounts{version: b.version, byLabel: out}
	return out
}

func countThread(out map[uint16]LabelCounts, all, withUnread []uint16) {
	slices.Sort(all)
	slices.Sort(withUnread)
	for _, l := range slices.Compact(all) {
		c := out[l]
		c.Threads++
		out[l] = c
	}
	for _, l := range slices.Compact(withUnread) {
		c := out[l]
		c.ThreadsUnread++
		out[l] = c
	}
}
