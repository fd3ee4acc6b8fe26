package gmail

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"mailsweep/internal/mailindex"
	"mailsweep/internal/sweep"
)

// worthCutting is how many pages a listing must have left to be cut in two: a cut costs up to a page.
const worthCutting = 4

// pageTries is how often a listing is begun because Gmail forgot how far it was.
const pageTries = 3

// Part is one listing of a sweep: what a search finds of the mail of [From, To). A zero time leaves that side open.
type Part struct {
	Search
	From, To time.Time
}

// Sweep lists parts, each of them whole, by several calls of Work side by side. Where a part was cut, and where Gmail forgot a page, ids come
// twice. As long as there are parts to begin, each Work lists one of its own; then whoever is done takes from the listing with the most left
// the older half of that. The two meet because Gmail lists newest first.
type Sweep struct {
	Mailbox *Mailbox
	Parts   []Part
	Oldest  time.Time // about where the mailbox begins: of mail without a beginning, the middle is guessed by it; zero: it is not cut

	// They are called by all that Work; their errors end it.
	Page  func(part int, found []mailindex.Ref) error
	Whole func(part int) error // after the last page of a part

	mu     sync.Mutex
	begun  int           // parts
	active []*lister     // under way
	turn   chan struct{} // closed when one of them is not as it was
}

// Work lists until nothing is left to begin or to share. A label that is gone is on no message. After an error the other calls are to be
// ended by their ctx.
func (s *Sweep) Work(ctx context.Context) error {
	for {
		l, turn := s.next()
		switch {
		case l != nil:
			if err := s.list(ctx, l); err != nil {
				return err
			}
		case turn == nil:
			return nil
		default:
			select {
			case <-turn:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}
}

// lister lists one part, or the older end of one, page by page. What it guesses of times is by the ids, which tell when mail arrived:
// of imported mail that is not its date. A wrong guess costs pages, never a message.
type lister struct {
	part   int
	search Search
	since  time.Time // all older is somebody else's; zero: nothing is
	at     time.Time // guess: all later is listed
	top    time.Time // guess: nothing is later
	pages  int
	heirs  []*lister // they list the older end: this one is done where it meets what one of them found first

	first map[sweep.MessageID]bool // the first page
	ready chan struct{}            // closed once first is known
}

func newLister(part int, s Search, from, to time.Time) *lister {
	return &lister{part: part, search: s.And(During(from, to)), since: from, at: to, top: to, ready: make(chan struct{})}
}

// next is what to list now; else what tells that there may be something, nil when all is listed.
func (s *Sweep) next() (l *lister, turn <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l = s.begin(); l == nil {
		l = s.cut()
	}
	switch {
	case l != nil:
		s.active = append(s.active, l)
	case len(s.active) > 0:
		if s.turn == nil {
			s.turn = make(chan struct{})
		}
		turn = s.turn
	}
	return l, turn
}

// begin gives the next part that nobody lists.
func (s *Sweep) begin() *lister {
	if s.begun == len(s.Parts) {
		return nil
	}
	p := s.Parts[s.begun]
	s.begun++
	return newLister(s.begun-1, p.Search, p.From, p.To)
}

// cut takes the older half of what the listing with the most left has left.
func (s *Sweep) cut() *lister {
	var most *lister
	for _, l := range s.active {
		if s.left(l) >= worthCutting && (most == nil || s.left(l) > s.left(most)) {
			most = l
		}
	}
	if most == nil {
		return nil
	}
	begin := s.beginning(most)
	middle := begin.Add(most.at.Sub(begin) / 2).Truncate(time.Second)
	if !middle.After(begin) {
		return nil
	}
	heir := newLister(most.part, s.Parts[most.part].Search, most.since, middle)
	most.since, most.heirs = middle, append(most.heirs, heir)
	return heir
}

func (s *Sweep) beginning(l *lister) time.Time {
	if l.since.IsZero() {
		return s.Oldest
	}
	return l.since
}

// left guesses how many pages a listing has left; 0 while its first is on its way.
func (s *Sweep) left(l *lister) float64 {
	begin := s.beginning(l)
	if l.pages == 0 || begin.IsZero() || !l.at.After(begin) {
		return 0
	}
	return float64(l.pages) * l.at.Sub(begin).Seconds() / max(1, l.top.Sub(l.at).Seconds())
}

// list hands on the pages of a listing until the last, or until they are an heir's.
func (s *Sweep) list(ctx context.Context, l *lister) error {
	for token, try := "", 1; ; {
		found, next, err := s.Mailbox.ListPage(ctx, l.search, token)
		switch {
		case errors.Is(err, ErrPageGone) && try < pageTries:
			token, try = "", try+1
			continue
		case err != nil && !errors.Is(err, ErrLabelGone):
			return err
		case next != "" && next == token:
			return fmt.Errorf("%s: Gmail gave the same page token twice", MessagesList)
		}
		if err := s.Page(l.part, found); err != nil {
			return err
		}
		s.tell(func() { l.listed(found) })
		if token = next; token == "" || s.met(ctx, l, found) {
			return s.done(l)
		}
	}
}

// tell lets f change what others wait for.
func (s *Sweep) tell(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
	if s.turn != nil {
		close(s.turn)
		s.turn = nil
	}
}

// listed notes a page.
func (l *lister) listed(found []mailindex.Ref) {
	l.pages++
	if l.pages == 1 {
		l.first = make(map[sweep.MessageID]bool, len(found))
		for _, r := range found {
			l.first[r.ID] = true
		}
		close(l.ready)
	}
	if len(found) == 0 {
		return
	}
	if l.top.IsZero() {
		l.top = found[0].ID.Time()
	}
	if last := found[len(found)-1].ID.Time(); l.at.IsZero() || last.Before(l.at) {
		l.at = last
	}
}

// met says that a page holds what an heir has found first: from there on all is the heir's. As a page that is beyond tells nothing, it waits
// for what an heir finds first where it seems to be there.
func (s *Sweep) met(ctx context.Context, l *lister, found []mailindex.Ref) bool {
	s.mu.Lock()
	heirs, at := l.heirs, l.at
	s.mu.Unlock()
	for _, h := range heirs {
		if !at.Before(h.top) && !h.known() {
			continue
		}
		select {
		case <-h.ready:
		case <-ctx.Done():
			return false
		}
		if len(found) > 0 && (h.first[found[0].ID] || h.first[found[len(found)-1].ID]) {
			return true
		}
	}
	return false
}

func (l *lister) known() bool {
	select {
	case <-l.ready:
		return true
	default:
		return false
	}
}

// done says so once nobody lists anything of the part any more.
func (s *Sweep) done(l *lister) error {
	whole := false
	s.tell(func() {
		s.active = slices.DeleteFunc(s.active, func(a *lister) bool { return a == l })
		whole = !slices.ContainsFunc(s.active, func(a *lister) bool { return a.part == l.part })
	})
	if !whole {
		return nil
	}
	return s.Whole(l.part)
}
