package box

import (
	"cmp"
	"errors"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Generate describes a mailbox to make up. Zero values: seed 1, the box's clock, a sender per 30 messages
// (20 to 8,000), 8 years, Zipf exponent 1.1.
type Generate struct {
	Messages     int
	Seed         uint64
	Now          time.Time
	Senders      int
	Years        int
	Zipf         float64
	NoCategories bool // as an account with Smart features off
}

// generator fills one mailbox.
type generator struct {
	*Box
	spec    Generate
	rng     *rand.Rand
	reach   []float64 // cumulative weights of the senders
	first   uint32    // row of the first generated sender
	self    uint32
	subject [len(habits)][]uint32
	labels  []uint16
	recent  []openThread
}

// openThread is a conversation that may go on.
type openThread struct{ thread, sender, subject uint32 }

// Fill makes messages up by the rules of Generate. The same values give the same mailbox.
func (b *Box) Fill(g Generate) error {
	if g.Messages < 0 || g.Messages > 5_000_000 {
		return errors.New("generate mailbox: messages must be between 0 and 5,000,000")
	}
	g.Seed = cmp.Or(g.Seed, 1)
	g.Senders = cmp.Or(g.Senders, min(max(g.Messages/30, 20), 8000))
	g.Years = cmp.Or(g.Years, 8)
	g.Zipf = cmp.Or(g.Zipf, 1.1)
	if g.Now.IsZero() {
		g.Now = b.opt.Now()
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	gen := &generator{Box: b, spec: g, rng: rand.New(rand.NewPCG(g.Seed, 0x6d61696c))}
	b.rng = rand.New(rand.NewPCG(g.Seed, 0x6964))
	gen.prepare()
	b.reserve(g.Messages)
	imports := gen.spec.Now.AddDate(-1, 0, 0).UnixMilli()
	for _, at := range gen.dates() {
		m := gen.message(at)
		if gen.chance(0.03) && at < imports {
			m.idTime = imports + int64(len(b.id))
			if gen.chance(0.01) {
				m.date = time.Date(2037, 6, 1, 0, 0, 0, 0, time.UTC).UnixMilli() + int64(len(b.id))*1000
			}
		}
		b.add(m)
	}
	b.sortAll()
	return nil
}

func (g *generator) chance(p float64) bool { return g.rng.Float64() < p }

func pick[T any](r *rand.Rand, list []T) T { return list[r.IntN(len(list))] }

func (g *generator) prepare() {
	self := ParseSender(g.Email)
	g.self = g.senderRow(self)
	g.first = uint32(len(g.senders))
	total := 0.0
	for rank := range g.spec.Senders {
		total += 1 / math.Pow(float64(rank)+2.7, g.spec.Zipf)
		g.reach = append(g.reach, total)
		g.senderRow(g.newSender(rank))
	}
	for k := range habits {
		for _, head := range subjectHeads[k] {
			for _, tail := range subjectTails {
				g.subject[k] = append(g.subject[k], g.subjectRow(head+tail))
			}
		}
	}
	for _, name := range userLabels {
		if n, ok := g.Box.labels.named(name); ok {
			g.labels = append(g.labels, n)
			continue
		}
		g.labels = append(g.labels, g.Box.labels.addUser(name))
	}
}

// dates gives the arrival times, oldest first: growing over the years, fewer at weekends.
func (g *generator) dates() []int64 {
	span := g.spec.Now.Sub(g.spec.Now.AddDate(-g.spec.Years, 0, 0))
	out := make([]int64, 0, g.spec.Messages)
	for len(out) < g.spec.Messages {
		x := g.rng.Float64()
		at := g.spec.Now.Add(-time.Duration(float64(span) * (1 - x)))
		weight := 0.3 + 0.7*x
		if d := at.Weekday(); d == time.Saturday || d == time.Sunday {
			weight *= 0.45
		}
		if g.chance(weight) {
			out = append(out, at.UnixMilli())
		}
	}
	slices.Sort(out)
	return out
}

// message makes one message up that arrives at a time.
func (g *generator) message(at int64) newMessage {
	m := newMessage{idTime: at, date: at, thread: none, size: g.bytes()}
	if m.size > 150_000 {
		m.flags |= flagAttachment
	}
	if g.chance(0.08) {
		return g.sentMessage(m)
	}
	i, _ := slices.BinarySearch(g.reach, g.rng.Float64()*g.reach[len(g.reach)-1])
	m.sender = g.first + uint32(min(i, g.spec.Senders-1))
	k := g.senders[m.sender].kind
	m.subject = pick(g.rng, g.subject[k])
	if k == kindPerson {
		g.converse(&m)
	}
	m.labels = g.messageLabels(k, at)
	return m
}

// converse lets a personal mail continue a recent thread, or open one.
func (g *generator) converse(m *newMessage) {
	if len(g.recent) > 0 && g.chance(0.4) {
		t := pick(g.rng, g.recent)
		m.thread, m.sender, m.subject = t.thread, t.sender, t.subject
		return
	}
	g.open(openThread{thread: uint32(len(g.Box.threads)), sender: m.sender, subject: m.subject})
}

func (g *generator) open(t openThread) {
	if len(g.recent) < 200 {
		g.recent = append(g.recent, t)
		return
	}
	g.recent[g.rng.IntN(len(g.recent))] = t
}

func (g *generator) sentMessage(m newMessage) newMessage {
	m.labels = []uint16{sent}
	if g.chance(0.01) {
		m.labels = []uint16{draft}
	}
	m.sender, m.subject = g.self, pick(g.rng, g.subject[kindPerson])
	if len(g.recent) > 0 && g.chance(0.8) {
		t := pick(g.rng, g.recent)
		m.thread, m.subject = t.thread, t.subject
	}
	return m
}

// attachment sizes follow a Pareto law from 150 KB to 25 MB.
func attachment(r *rand.Rand) int {
	return int(min(150_000/math.Pow(1-r.Float64(), 1/1.1), 25_000_000))
}

// bytes is log-normal with a median of 33 KB; 12 % carry an attachment.
func (g *generator) bytes() int {
	size := int(math.Exp(math.Log(33_000) + g.rng.NormFloat64()*0.8))
	if g.chance(0.12) {
		return size + attachment(g.rng)
	}
	return min(max(size, 500), 149_000)
}

// messageLabels follows the reader's habits; old mail is read less often and archived more often.
func (g *generator) messageLabels(k kind, at int64) []uint16 {
	h := habits[k]
	age := float64(g.spec.Now.UnixMilli()-at) / float64(time.Duration(g.spec.Years)*365*24*time.Hour/time.Millisecond)
	var out []uint16
	add := func(p float64, l uint16) {
		if g.chance(p) {
			out = append(out, l)
		}
	}
	if !g.spec.NoCategories {
		out = append(out, h.category)
	}
	add(h.unread*(0.8+0.4*age), unread)
	switch p := g.rng.Float64(); {
	case p < 0.01:
		out = append(out, trash)
	case p < 0.02:
		out = append(out, spam)
	default:
		add(h.inbox*(1.1-0.4*age), inbox)
	}
	add(0.005, starred)
	add(h.important, important)
	add(h.userLabel, pick(g.rng, g.labels))
	return out
}
