package box

import (
	"fmt"
	"slices"
	"strings"
	"sync"
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
	c := b.threadsOf(n)
	for s, count := range b.labels.count {
		if count == 0 || !contains(b.counted(uint32(s)), n) {
			continue
		}
		c.Messages += int(count)
		if b.labels.has(uint32(s), unread) {
			c.Unread += int(count)
		}
	}
	return *b.labels.all[n], c, nil
}

// counted are the labels under which a message with a set counts.
func (b *Box) counted(set uint32) []uint16 {
	labels := b.labels.sets[set]
	if b.opt.LabelsSkipHidden && hides(labels) {
		return slices.DeleteFunc(slices.Clone(labels), func(l uint16) bool { return l != trash && l != spam })
	}
	return labels
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
	b.labels.version++
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
	b.labels.version++
	return *b.labels.all[n], nil
}

// DeleteLabel removes a user label from the mailbox and from its messages.
func (b *Box) DeleteLabel(id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.deleteLabel(id)
}

// DropLabel deletes a user label by its id or name; an unknown one is ignored.
func (b *Box) DropLabel(name string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n, ok := b.labels.named(name); ok {
		name = b.labels.all[n].ID
	}
	_ = b.deleteLabel(name)
}

func (b *Box) deleteLabel(id string) error {
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
	b.labels.version++
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

// threadCounts are the threads per label, by the label's number. They are worked out when first asked for and kept true by each change
// from then on.
type threadCounts struct {
	once    sync.Once
	byLabel []LabelCounts
	kept    bool
}

// threadsOf counts the threads of a label; a thread counts once however many of its messages bear it. The caller holds the read lock.
func (b *Box) threadsOf(label uint16) LabelCounts {
	b.counts.once.Do(func() {
		b.counts.kept = true
		for t := range b.threads {
			b.tally(uint32(t), 1)
		}
	})
	if int(label) < len(b.counts.byLabel) {
		return b.counts.byLabel[label]
	}
	return LabelCounts{}
}

// tally adds a thread to the counts of its labels, or takes it away.
func (b *Box) tally(t uint32, by int) {
	if !b.counts.kept {
		return
	}
	var all, withUnread []uint16
	for r := b.threads[t].head; r != none; r = b.next[r] {
		set := b.counted(b.set[r])
		all = append(all, set...)
		if b.labels.has(b.set[r], unread) {
			withUnread = append(withUnread, set...)
		}
	}
	for missing := len(b.labels.all) - len(b.counts.byLabel); missing > 0; missing-- {
		b.counts.byLabel = append(b.counts.byLabel, LabelCounts{})
	}
	slices.Sort(all)
	slices.Sort(withUnread)
	for _, l := range slices.Compact(all) {
		b.counts.byLabel[l].Threads += by
	}
	for _, l := range slices.Compact(withUnread) {
		b.counts.byLabel[l].ThreadsUnread += by
	}
}
