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

// Send puts a sent message in the place of a draft: as Gmail does, under another id and in the same thread. ErrNotFound.
func (b *Box) Send(draftID string) (string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	d, ok := b.find(draftID)
	if !ok || !b.labels.has(b.set[d], draft) {
		return "", ErrNotFound
	}
	now := b.opt.Now().UnixMilli()
	r := b.add(newMessage{idTime: now, date: now, thread: b.thread[d], size: int(b.size[d]), sender: b.sender[d], subject: b.subject[d], flags: b.flags[d], labels: []uint16{sent}})
	if m, ok := b.side[d]; ok {
		b.side[r] = m
	}
	b.insert(r)
	b.record(r, setGone, b.set[r])
	b.remove(d)
	return FormatID(b.id[r]), nil
}
