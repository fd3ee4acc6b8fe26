package box

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Message is one message as the mailbox itself knows it.
type Message struct {
	ID         string    `json:"id"`
	Thread     string    `json:"thread"`
	History    uint64    `json:"history"`
	Labels     []string  `json:"labels"` // ids, sorted
	From       string    `json:"from"`   // lower-cased addr-spec, "" when there is none
	Name       string    `json:"name"`
	Subject    string    `json:"subject"` // decoded
	Date       time.Time `json:"date"`
	Size       int       `json:"size"`
	Attachment bool      `json:"attachment"`
	Snippet    string    `json:"snippet"`
}

// Message gives one message and its header fields.
func (b *Box) Message(id string) (Message, []Header, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	r, ok := b.find(id)
	if !ok {
		return Message{}, nil, ErrNotFound
	}
	if side, ok := b.side[r]; ok {
		return b.view(r), side.Headers, nil
	}
	return b.view(r), b.generatedHeaders(r), nil
}

// Files gives one message and the names of its attachments.
func (b *Box) Files(id string) (Message, []string, error) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	r, ok := b.find(id)
	if !ok {
		return Message{}, nil, ErrNotFound
	}
	return b.view(r), b.files(r), nil
}

func (b *Box) view(r uint32) Message {
	s := &b.senders[b.sender[r]]
	snippet := b.subjects[b.subject[r]].text + " " + habits[s.kind].body
	if side, ok := b.side[r]; ok {
		snippet = side.snippet
	}
	return Message{
		Snippet: snippet,
		ID:      FormatID(b.id[r]), Thread: FormatID(b.threadID(r)), History: b.hist[r], Labels: b.labels.names(b.set[r]),
		From: s.Addr, Name: s.Name, Subject: b.subjects[b.subject[r]].text, Date: time.UnixMilli(b.date[r]).UTC(),
		Size: int(b.size[r]), Attachment: b.flags[r]&flagAttachment != 0,
	}
}

// Messages gives every message that exists, newest first.
func (b *Box) Messages() []Message {
	var out []Message
	b.each(func(m Message) { out = append(out, m) })
	return out
}

// each calls f for every message that exists, newest first, and holds only one of them at a time.
func (b *Box) each(f func(Message)) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	for i := len(b.order) - 1; i >= 0; i-- {
		if r := b.order[i]; b.set[r] != setGone {
			f(b.view(r))
		}
	}
}

// Totals counts messages and threads, spam and trash included unless the options say otherwise.
func (b *Box) Totals() (messages, threads int) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	if b.opt.ProfileSkipsHidden {
		return b.shown()
	}
	return b.alive, b.liveThreads
}

// shown counts what is not in spam and trash.
func (b *Box) shown() (messages, threads int) {
	visible := b.labels.where(func(set []uint16) bool { return !hides(set) })
	seen := make([]bool, len(b.threads))
	for r, set := range b.set {
		if !visible[set] {
			continue
		}
		messages++
		if t := b.thread[r]; !seen[t] {
			seen[t] = true
			threads++
		}
	}
	return messages, threads
}

// Changes tells how many calls really changed each message's labels; messages never changed are left out.
func (b *Box) Changes() map[string]int {
	b.mu.RLock()
	defer b.mu.RUnlock()
	out := map[string]int{}
	for r, n := range b.changed {
		if n > 0 {
			out[FormatID(b.id[r])] = int(n)
		}
	}
	return out
}

// Truth is a mailbox's own count of itself, spam and trash included.
type Truth struct {
	Messages int            `json:"messages"`
	Threads  int            `json:"threads"`
	Labels   map[string]int `json:"labels"` // messages by label id
	Digest   string         `json:"digest"` // SHA-256 over "id label label…\n" of all messages in the order of their ids, labels sorted
}

// Truth counts the mailbox.
func (b *Box) Truth() Truth {
	b.mu.RLock()
	defer b.mu.RUnlock()
	t := Truth{Messages: b.alive, Threads: b.liveThreads, Labels: map[string]int{}}
	rows := slices.Clone(b.order)
	slices.SortFunc(rows, func(x, y uint32) int { return cmp.Compare(b.id[x], b.id[y]) })
	sum := sha256.New()
	for _, r := range rows {
		if b.set[r] == setGone {
			continue
		}
		labels := b.labels.names(b.set[r])
		fmt.Fprintf(sum, "%x %s\n", b.id[r], strings.Join(labels, " "))
		for _, l := range labels {
			t.Labels[l]++
		}
	}
	t.Digest = hex.EncodeToString(sum.Sum(nil))
	return t
}

// Block counts part of a mailbox.
type Block struct {
	Messages int   `json:"messages"`
	Unread   int   `json:"unread"`
	Bytes    int64 `json:"bytes"`
}

// Facts are exact counts of everything outside spam and trash.
type Facts struct {
	Block
	Threads    int              `json:"threads"`
	Senders    map[string]Block `json:"senders"` // by address, "" for mail without one
	Domains    map[string]Block `json:"domains"`
	Categories map[string]Block `json:"categories"` // by label id, "" for none
	Age        map[string]Block `json:"age"`        // 7d, 30d, 90d, 1y, older: disjoint, days of 24 h before now, 1y = 365 d
	Size       map[string]Block `json:"size"`       // 10k, 100k, 1m, 10m, more: disjoint, up to that many bytes (1k = 1,024), as larger: tells them apart
}

// Facts counts by sender, domain, category, age and size.
func (b *Box) Facts() Facts {
	f := Facts{Senders: map[string]Block{}, Domains: map[string]Block{}, Categories: map[string]Block{}, Age: map[string]Block{}, Size: map[string]Block{}}
	threads := map[string]bool{}
	now := b.opt.Now()
	b.each(func(m Message) {
		if slices.Contains(m.Labels, "TRASH") || slices.Contains(m.Labels, "SPAM") {
			return
		}
		one := Block{Messages: 1, Bytes: int64(m.Size)}
		if slices.Contains(m.Labels, "UNREAD") {
			one.Unread = 1
		}
		f.add(m, one, now)
		threads[m.Thread] = true
	})
	f.Threads = len(threads)
	return f
}

func (f *Facts) add(m Message, one Block, now time.Time) {
	f.Block = f.Block.plus(one)
	_, domain, _ := strings.Cut(m.From, "@")
	category := ""
	for _, l := range m.Labels {
		if strings.HasPrefix(l, "CATEGORY_") {
			category = l
		}
	}
	count := func(in map[string]Block, key string) { in[key] = in[key].plus(one) }
	count(f.Senders, m.From)
	count(f.Domains, domain)
	count(f.Categories, category)
	count(f.Age, ageClass(now.Sub(m.Date)))
	count(f.Size, sizeClass(m.Size))
}

func (b Block) plus(o Block) Block {
	return Block{b.Messages + o.Messages, b.Unread + o.Unread, b.Bytes + o.Bytes}
}

func ageClass(age time.Duration) string {
	for _, c := range []struct {
		days int
		name string
	}{{7, "7d"}, {30, "30d"}, {90, "90d"}, {365, "1y"}} {
		if age < time.Duration(c.days)*24*time.Hour {
			return c.name
		}
	}
	return "older"
}

func sizeClass(n int) string {
	for _, c := range []struct {
		most int
		name string
	}{{10 << 10, "10k"}, {100 << 10, "100k"}, {1 << 20, "1m"}, {10 << 20, "10m"}} {
		if n <= c.most {
			return c.name
		}
	}
	return "more"
}
