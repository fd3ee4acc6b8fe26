package demo

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"mailsweep/internal/mailindex"
	"mailsweep/internal/sweep"
)

// writer is somebody who writes to the mailbox.
type writer struct {
	address, name string
	category      sweep.Category
	mails         int
	days          int // how far back the mail goes
	unread        int // percent
	archived      int // percent
	kilobytes     int // of a typical message
	way           sweep.UnsubscribeMethod
}

func writers() []writer {
	return append([]writer{
		{"deals@brightwear.example", "Brightwear", sweep.Promotions, 1480, 1500, 93, 0, 64, sweep.OneClick},
		{"hello@cloudlamp.example", "Cloudlamp Home", sweep.Promotions, 960, 1100, 88, 0, 82, sweep.OneClick},
		{"offers@flightfare.example", "Flightfare", sweep.Promotions, 870, 1300, 90, 0, 58, sweep.Mailto},
		{"news@tastebox.example", "Tastebox", sweep.Promotions, 640, 900, 71, 0, 110, sweep.OneClick},
		{"team@runclub.example", "Run Club", sweep.Promotions, 380, 700, 62, 0, 47, sweep.Link},
		{"sale@papergoods.example", "Paper Goods", sweep.Promotions, 310, 1600, 84, 0, 71, sweep.NoWay},
		{"notify@circles.example", "Circles", sweep.Social, 1190, 1400, 79, 5, 22, sweep.OneClick},
		{"updates@workfolk.example", "Workfolk", sweep.Social, 720, 1600, 85, 3, 31, sweep.OneClick},
		{"photos@snapalbum.example", "Snapalbum", sweep.Social, 260, 800, 41, 20, 38, sweep.Link},
		{"orders@megastore.example", "Megastore", sweep.Updates, 690, 1500, 24, 35, 41, sweep.NoWay},
		{"tracking@parcelway.example", "Parcelway", sweep.Updates, 520, 1300, 30, 30, 29, sweep.NoWay},
		{"statements@citybank.example", "City Bank", sweep.Updates, 150, 1700, 12, 60, 180, sweep.NoWay},
		{"receipts@ridenow.example", "Ridenow", sweep.Updates, 430, 1200, 46, 25, 26, sweep.Link},
		{"alerts@statuspage.example", "Status alerts", sweep.Updates, 350, 600, 68, 10, 14, sweep.Mailto},
		{"digest@woodworkers.example", "Woodworkers’ forum", sweep.Forums, 610, 1500, 74, 15, 19, sweep.Mailto},
		{"list@localparents.example", "Local parents", sweep.Forums, 330, 900, 38, 20, 23, sweep.Mailto},
	}, people()...)
}

// people write now and then, some with pictures.
func people() (list []writer) {
	for i, name := range []string{"Ana Ruiz", "Ben Okafor", "Chloe Martin", "David Lindqvist", "Elif Kaya", "Farid Haddad", "Grace Lee", "Hiro Tanaka", "Ines Costa", "Jonas Weber", "Kemi Ade", "Lena Novak"} {
		list = append(list, writer{fmt.Sprintf("%c%02d@friends.example", 'a'+i, i), name, sweep.Primary, 30 + 11*(i%7), 1700, 6, 45, 90 + 160*(i%4), sweep.NoWay})
	}
	return list
}

// letter is one message.
type letter struct {
	id     sweep.MessageID
	thread sweep.ThreadID
	from   writer
	at     time.Time
	size   int64
	labels []string
}

// userLabel is the one label that the mailbox's owner has made.
const userLabel = "Label_1"

// letters draws the mail, oldest first.
func letters(now time.Time) (list []letter) {
	r := rand.New(rand.NewPCG(20, 26))
	for _, w := range writers() {
		for range w.mails {
			age := time.Duration(r.Float64() * float64(w.days) * 24 * float64(time.Hour))
			list = append(list, w.letter(r, now.Add(-age-time.Minute)))
		}
	}
	slices.SortFunc(list, func(a, b letter) int { return a.at.Compare(b.at) })
	for i := range list {
		l := &list[i]
		l.id = sweep.MessageID(uint64(l.at.UnixMilli())<<20 | uint64(i))
		l.thread = sweep.ThreadID(l.id)
	}
	return answered(r, list)
}

func (w writer) letter(r *rand.Rand, at time.Time) letter {
	l := letter{from: w, at: at.Truncate(time.Millisecond), size: 2_000 + int64(float64(w.kilobytes)*1000*(0.4+1.2*r.Float64()))}
	in := func(percent int, label string) {
		if r.IntN(100) < percent {
			l.labels = append(l.labels, label)
		}
	}
	in(w.unread, sweep.LabelUnread)
	in(100-w.archived, sweep.LabelInbox)
	if w.category == sweep.Primary {
		in(9, sweep.LabelStarred)
		in(35, sweep.LabelImportant)
		return l
	}
	l.labels = append(l.labels, w.category.CategoryLabel())
	in(1, sweep.LabelStarred)
	if w.category == sweep.Updates {
		in(4, sweep.LabelImportant)
		in(6, userLabel)
	}
	return l
}

// answered adds what the owner sent: an answer to some of what people wrote.
func answered(r *rand.Rand, list []letter) []letter {
	me := writer{address: Address, name: "Sam", category: sweep.Primary}
	for _, l := range list {
		if l.from.category == sweep.Primary && r.IntN(100) < 30 || r.IntN(400) == 0 {
			at := l.at.Add(time.Minute / 2)
			list = append(list, letter{id: sweep.MessageID(uint64(at.UnixMilli())<<20 | uint64(len(list))), thread: l.thread, from: me, at: at, size: 4_000, labels: []string{sweep.LabelSent}})
		}
	}
	return list
}

// index is what an analysis that read every header would know of the mail.
func index(list []letter, now time.Time) (*mailindex.Index, error) {
	bounds := []time.Time{{}}
	for _, days := range slices.Backward(mailindex.AgeCuts()) {
		bounds = append(bounds, now.AddDate(0, 0, -days))
	}
	bounds = append(bounds, now)
	b := mailindex.NewBuilder(bounds)
	for i := range len(bounds) - 1 {
		if err := b.AddSlice(i, within(list, bounds[i], bounds[i+1])); err != nil {
			return nil, fmt.Errorf("add mail: %w", err)
		}
	}
	ix := b.Finish(now, 1)
	ix.Categories = true
	ix.SetLabels([]mailindex.Label{{ID: userLabel, Name: "Taxes", User: true}})
	for name, ids := range dimensions(list) {
		ix.SetDimension(name, ids)
	}
	for _, l := range list {
		ix.Learn(l.id, mailindex.Header{Address: l.from.address, Name: l.from.name, Unsubscribe: l.from.way, Size: l.size, Date: l.at})
	}
	return ix, nil
}

func within(list []letter, from, to time.Time) (refs []mailindex.Ref) {
	for _, l := range list {
		if !l.at.Before(from) && l.at.Before(to) {
			refs = append(refs, mailindex.Ref{ID: l.id, Thread: l.thread})
		}
	}
	return refs
}

// dimensions are the sets that the mail lies in; one in which nothing lies is known to be empty.
func dimensions(list []letter) map[string][]sweep.MessageID {
	sets := map[string][]sweep.MessageID{mailindex.AttachmentDimension: nil, mailindex.EdgeDimension: nil, mailindex.UserLabelsDimension: nil}
	for _, label := range []string{sweep.LabelInbox, sweep.LabelUnread, sweep.LabelStarred, sweep.LabelImportant, sweep.LabelSent, sweep.LabelDraft, userLabel} {
		sets[mailindex.LabelDimension(label)] = nil
	}
	for _, step := range mailindex.Ladder() {
		sets[mailindex.LargerDimension(step)] = nil
	}
	for _, l := range list {
		for _, name := range l.sets() {
			sets[name] = append(sets[name], l.id)
		}
	}
	return sets
}

func (l letter) sets() (names []string) {
	for _, label := range l.labels {
		names = append(names, mailindex.LabelDimension(label))
		if label == userLabel {
			names = append(names, mailindex.UserLabelsDimension)
		}
	}
	for _, step := range mailindex.Ladder() {
		if l.size > step {
			names = append(names, mailindex.LargerDimension(step))
		}
	}
	if l.size > 200_000 {
		names = append(names, mailindex.AttachmentDimension)
	}
	return names
}
