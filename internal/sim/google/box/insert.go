package box

import (
	"fmt"

	"mailsweep/internal/sim/google/mbox"
)

// Insertion is a mail that a client puts into the mailbox.
type Insertion struct {
	Raw        []byte
	Labels     []string
	Thread     string // id of an existing thread, or "" for a new one
	ByHeader   bool   // its date is that of its header, else now
	Categorize bool   // it gets a category as imported mail does
}

// Insert adds a mail and gives its id, which carries the time of now whatever the mail's date is. ErrInvalidLabel, ErrNotFound for a thread.
func (b *Box) Insert(in Insertion) (string, error) {
	m := mbox.Parse(in.Raw)
	content := m.Content()
	b.mu.Lock()
	defer b.mu.Unlock()
	row := newMessage{idTime: b.opt.Now().UnixMilli(), thread: none, size: len(in.Raw)}
	row.date = row.idTime
	if at, ok := m.When(); ok && in.ByHeader {
		row.date = at.UnixMilli()
	}
	if content.Attachment {
		row.flags |= flagAttachment
	}
	var err error
	if row.labels, row.thread, err = b.placed(in.Labels, in.Thread); err != nil {
		return "", err
	}
	if in.Categorize {
		row.labels = append(row.labels, categoryOf(m)...)
	}
	row.sender, row.subject = b.senderRow(ParseSender(m.Get("From"))), b.subjectRow(DecodeWords(m.Get("Subject")))
	r := b.add(row)
	b.side[r] = newSide(m, content)
	b.insert(r)
	b.record(r, setGone, b.set[r])
	return FormatID(b.id[r]), nil
}

// placed reads the labels and the thread of a mail to come.
func (b *Box) placed(labels []string, thread string) (numbers []uint16, t uint32, err error) {
	for _, id := range labels {
		n, ok := b.labels.byID[id]
		if !ok {
			return nil, none, fmt.Errorf("%w: %s", ErrInvalidLabel, id)
		}
		numbers = append(numbers, n)
	}
	if thread == "" {
		return numbers, none, nil
	}
	n, err := ParseID(thread)
	t, ok := b.findThread(n)
	if err != nil || !ok {
		return nil, none, fmt.Errorf("thread %s: %w", thread, ErrNotFound)
	}
	return numbers, t, nil
}
