// Package box keeps one simulated mailbox in memory: messages as columns, labels as interned sets, a
// history, and the search over them.
package box

import (
	"fmt"
	"math/rand/v2"
	"sort"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Options are the choices in which Gmail's behaviour is unknown, and the mailbox's clock.
type Options struct {
	Now                func() time.Time
	Seed               uint64
	TrashDropsInbox    bool // adding TRASH alone removes INBOX
	TrashLabelHidden   bool // Search.Labels with TRASH or SPAM needs SpamTrash too
	LabelsSkipHidden   bool // a label's counts leave mail in spam and trash out, but for those two labels
	ProfileSkipsHidden bool // Totals leave it out
	ListsChats         bool // listings show mail with CHAT
	AfterExcludes      bool // after: leaves its own second out
	BeforeIncludes     bool // before: takes its own second in
	LargerIncludes     bool // larger: takes its own size in
	SmallerIncludes    bool // so does smaller:
	DecimalSizes       bool // larger:1K means 1,000 bytes, not 1,024
	UnknownFindsNone   bool // a word with an unknown operator finds nothing
	HistoryLimit       int  // records kept before the floor moves; 0 means 2,000,000

	Changed func() // is told of each record, under the mailbox's lock; nil means nobody is
}

// Box is one mailbox. All methods are safe for concurrent use.
type Box struct {
	Email string
	opt   Options

	mu  sync.RWMutex
	rng *rand.Rand

	// columns, one entry per message, in the order in which they were added
	id      []uint64
	date    []int64 // internalDate, epoch ms
	hist    []uint64
	set     []uint32 // label set; setGone when the message does not exist any more
	thread  []uint32
	next    []uint32 // next message of the same thread, or none
	size    []uint32
	sender  []uint32
	subject []uint32
	flags   []uint8
	changed []uint16

	row         idIndex
	order       []uint32 // rows by (date, id), oldest first
	alive       int
	threads     []threadCol
	liveThreads int
	senders     []Sender
	subjects    []subjectCol
	side        map[uint32]*Imported

	labels  labelTable
	log     history
	tells   sync.Map // *Change by tellKey
	results resultCache
	counts  threadCounts
	frozen  frozen
}

// threadCol heads the list of a thread's messages. Its id is that of its first message.
type threadCol struct{ first, head, live uint32 }

type subjectCol struct {
	text   string
	tokens string
}

const (
	none    = ^uint32(0)
	setGone = 0
)

const flagAttachment uint8 = 1

// New makes an empty mailbox.
func New(email string, o Options) *Box {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.HistoryLimit == 0 {
		o.HistoryLimit = 2_000_000
	}
	b := &Box{
		Email: email, opt: o, rng: rand.New(rand.NewPCG(o.Seed, hashString(email))), side: map[uint32]*Imported{},
	}
	b.labels = newLabelTable()
	b.log = history{limit: o.HistoryLimit, last: 1_000_000 + b.rng.Uint64N(9_000_000)}
	b.log.floor = b.log.last
	b.results.byKey = map[string]*result{}
	return b
}

// newMessage is what a row starts with.
type newMessage struct {
	idTime  int64 // epoch ms carried by the id
	date    int64
	thread  uint32 // none starts one
	size    int
	sender  uint32
	subject uint32
	flags   uint8
	labels  []uint16
}

// reserve makes room for exactly n more messages, so that a big mailbox carries no slack.
func (b *Box) reserve(n int) {
	b.id, b.date, b.hist = grown(b.id, n), grown(b.date, n), grown(b.hist, n)
	b.set, b.thread, b.next = grown(b.set, n), grown(b.thread, n), grown(b.next, n)
	b.size, b.sender, b.subject = grown(b.size, n), grown(b.sender, n), grown(b.subject, n)
	b.flags, b.changed, b.order = grown(b.flags, n), grown(b.changed, n), grown(b.order, n)
	b.row.fit(len(b.id)+n, b.id)
}

func grown[T any](column []T, n int) []T {
	return append(make([]T, 0, len(column)+n), column...)
}

// add appends a message; the caller holds the lock and sees to order and history.
func (b *Box) add(m newMessage) uint32 {
	r := uint32(len(b.id))
	b.id = append(b.id, b.freshID(m.idTime))
	b.row.put(r, b.id)
	b.date = append(b.date, m.date)
	b.hist = append(b.hist, b.log.last)
	b.set = append(b.set, b.labels.intern(m.labels))
	b.next = append(b.next, none)
	b.size = append(b.size, uint32(m.size))
	b.sender = append(b.sender, m.sender)
	b.subject = append(b.subject, m.subject)
	b.flags = append(b.flags, m.flags)
	b.changed = append(b.changed, 0)
	b.thread = append(b.thread, m.thread)
	b.joinThread(r)
	b.labels.count[b.set[r]]++
	b.alive++
	return r
}

// joinThread puts a new row into its thread, or starts one.
func (b *Box) joinThread(r uint32) {
	t := b.thread[r]
	if t == none {
		t = uint32(len(b.threads))
		b.thread[r] = t
		b.threads = append(b.threads, threadCol{first: r, head: none})
	}
	b.tally(t, -1)
	b.next[r] = b.threads[t].head
	b.threads[t].head = r
	if b.threads[t].live++; b.threads[t].live == 1 {
		b.liveThreads++
	}
	b.tally(t, 1)
}

// threadID is how a row's thread is called.
func (b *Box) threadID(r uint32) uint64 { return b.id[b.threads[b.thread[r]].first] }

// findThread gives the thread that begins with a message of this id.
func (b *Box) findThread(id uint64) (uint32, bool) {
	r, ok := b.row.find(id, b.id)
	if !ok || b.threads[b.thread[r]].first != r {
		return 0, false
	}
	return b.thread[r], true
}

// freshID makes an id that carries its time: id>>20 is the epoch in milliseconds.
func (b *Box) freshID(ms int64) uint64 {
	for {
		id := uint64(ms)<<20 | b.rng.Uint64N(1<<20)
		if _, taken := b.row.find(id, b.id); !taken {
			return id
		}
	}
}

// less orders rows by date and id, as a listing shows them from its end.
func (b *Box) less(x, y uint32) bool {
	if b.date[x] != b.date[y] {
		return b.date[x] < b.date[y]
	}
	return b.id[x] < b.id[y]
}

// insert puts a row into the order.
func (b *Box) insert(r uint32) {
	i := sort.Search(len(b.order), func(i int) bool { return b.less(r, b.order[i]) })
	b.order = append(b.order, 0)
	copy(b.order[i+1:], b.order[i:])
	b.order[i] = r
}

// sortAll orders all rows at once, after a bulk load.
func (b *Box) sortAll() {
	b.order = b.order[:0]
	for r := range b.id {
		b.order = append(b.order, uint32(r))
	}
	sort.Slice(b.order, func(i, j int) bool { return b.less(b.order[i], b.order[j]) })
}

// find gives the row of a message that exists.
func (b *Box) find(id string) (uint32, bool) {
	n, err := ParseID(id)
	if err != nil {
		return 0, false
	}
	r, ok := b.row.find(n, b.id)
	return r, ok && b.set[r] != setGone
}

// ParseID reads a message or thread id: lower-case hex.
func ParseID(s string) (uint64, error) {
	if s == "" || strings.ToLower(s) != s {
		return 0, fmt.Errorf("id %q is not lower-case hex", s)
	}
	return strconv.ParseUint(s, 16, 64)
}

// TimeOf is the arrival time that an id carries.
func TimeOf(id uint64) time.Time { return time.UnixMilli(int64(id >> 20)) }

// FormatID writes an id as Gmail shows it.
func FormatID(id uint64) string { return strconv.FormatUint(id, 16) }

func (b *Box) senderRow(s Sender) uint32 {
	b.senders = append(b.senders, s)
	return uint32(len(b.senders) - 1)
}

func (b *Box) subjectRow(text string) uint32 {
	b.subjects = append(b.subjects, subjectCol{text: text, tokens: tokenLine(text)})
	return uint32(len(b.subjects) - 1)
}

func hashString(s string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(s) {
		h = (h ^ uint64(s[i])) * 1099511628211
	}
	return h
}
