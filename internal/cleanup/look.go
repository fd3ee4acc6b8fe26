package cleanup

import (
	"context"
	"errors"
	"time"

	"mailsweep/internal/gmail"
	"mailsweep/internal/mailindex"
	"mailsweep/internal/sweep"
)

// A batch leaves only while the last look at Gmail's history is no older than this, and no more messages were changed since. A look is
// begun well before that, while other batches are on their way.
const (
	lookLives = 10 * time.Second
	lookHolds = 10 * sweep.BatchSize
	lookAfter = 5 * time.Second
	lookEvery = 5 * sweep.BatchSize
)

// look is a run's one reader of Gmail's history. What it reads is both what the mailbox is now and what the run really did to it.
type look struct {
	reader    *gmail.Reader
	began     time.Time // of the last whole round
	beganWith int       // messages sent before it
	next      time.Time // of the round that is read
	nextWith  int
	sent      int               // messages that calls were made for
	answered  int               // … and whose answer came after the last round began
	foreign   mailindex.Touched // by others since the freeze
	recent    mailindex.Touched // … and since the leaves were listed
	news      int               // grows with foreign
	broken    bool              // history did not reach back over the run: it proves nothing
	anew      int               // how often the mailbox was listed because history did not reach back
}

// fresh says that a batch may leave on what is known.
func (l *look) fresh() bool {
	return !l.began.IsZero() && time.Since(l.began) < lookLives && l.sent-l.beganWith < lookHolds
}

// due says that it is time to read on.
func (l *look) due() bool {
	return l.reader.Midway() || time.Since(l.began) > lookAfter || l.answered >= lookEvery
}

// lookFirst begins to read history where the freeze, or the index, left off. Where history does not reach back the mailbox is listed anew:
// never act on a stale protection. If that cannot be done the job fails.
func (x *execution) lookFirst(ctx context.Context) error {
	if x.ix == nil {
		return x.lookAnew(ctx)
	}
	x.look.reader = x.mbox.Reader(min(x.plan.HistoryID, x.ix.HistoryID))
	return x.catchUp(ctx)
}

// catchUp reads all that has happened until now.
func (x *execution) catchUp(ctx context.Context) error {
	for {
		whole := !x.look.reader.Midway()
		last, err := x.read(ctx)
		for err == nil && !last {
			last, err = x.read(ctx)
		}
		if err != nil || whole {
			return err
		}
	}
}

// read reads a page.
func (x *execution) read(ctx context.Context) (last bool, err error) {
	l := &x.look
	if !l.reader.Midway() {
		l.next, l.nextWith, l.answered = time.Now(), l.sent, 0
	}
	changes, last, err := l.reader.Next(ctx)
	if errors.Is(err, gmail.ErrHistoryGone) {
		return true, x.lookAnew(ctx)
	}
	if err != nil {
		return false, err
	}
	if err := x.take(changes); err != nil {
		return false, err
	}
	if last {
		l.began, l.beganWith = l.next, l.nextWith
		x.ix.HistoryID = max(x.ix.HistoryID, l.reader.At())
		x.ix.Categories = x.ix.Categories || hasCategories(x.ix)
	}
	return last, nil
}

// take brings changes into the index, piece by piece: what is ours finds the protections as they stood just before.
func (x *execution) take(changes []mailindex.Change) error {
	for len(changes) > 0 {
		ours, n := x.proof.ours(changes[0]), 1
		for n < len(changes) && x.proof.ours(changes[n]) == ours {
			n++
		}
		if ours {
			x.shield(changes[:n])
		}
		t := x.ix.Apply(changes[:n])
		if !ours {
			x.heed(changes[:n], t)
		}
		changes = changes[n:]
	}
	return nil
}

// heed takes in what somebody else did.
func (x *execution) heed(changes []mailindex.Change, t mailindex.Touched) {
	for _, c := range changes {
		x.proof.follow(c)
	}
	for _, all := range []*mailindex.Touched{&x.look.foreign, &x.look.recent} {
		all.IDs, all.Threads = append(all.IDs, t.IDs...), append(all.Threads, t.Threads...)
	}
	x.look.news++
}

// shield notes changes of ours, and which of them came too late: to a message that was protected by then. Only what somebody else has
// touched can be.
func (x *execution) shield(changes []mailindex.Change) {
	var first []sweep.MessageID
	for _, c := range changes {
		if x.proof.changed.at(c.ID) == nil {
			first = append(first, c.ID)
		}
		x.proof.note(c)
	}
	if x.look.news == 0 || len(first) == 0 || !x.ix.Rows(first).Intersects(x.ix.Changed(x.look.foreign)) {
		return
	}
	o := x.options()
	o.Listed = x.listed
	for _, id := range x.ix.Recheck(x.head.Spec, o, first).Skipped[sweep.ProtectedSince] {
		x.proof.late[id] = true
	}
}

// lookAnew lists the mailbox. Listings leave Trash and Spam out: what of the plan lies there is listed by name. PlanExpired when Gmail's
// history does not hold for as long as that takes.
func (x *execution) lookAnew(ctx context.Context) error {
	known := x.ix != nil
	ix, err := x.rebuild(ctx, x.ix)
	if x.look.anew++; x.look.anew > listTries || errors.Is(err, gmail.ErrHistoryGone) {
		return sweep.Errorf(sweep.PlanExpired, "Gmail's history does not reach back far enough to tell what is protected now: please preview again")
	}
	if err != nil {
		return err
	}
	x.away = map[sweep.MessageID]string{}
	for _, label := range []string{sweep.LabelSpam, sweep.LabelTrash} {
		found, err := x.collect(ctx, gmail.WithLabel(label))
		if err != nil {
			return err
		}
		for _, id := range found {
			x.away[id] = label
		}
	}
	x.ix, x.anyMay = ix, true
	x.clean, x.listed = table[bool]{}, nil
	from := ix.HistoryID
	if len(x.asked) > 0 && !known { // history may still reach over what an earlier claim did
		from = min(from, x.run.HistoryFrom)
	}
	x.look.broken = x.look.broken || len(x.asked) > 0 && known
	x.look.reader = x.mbox.Reader(from)
	return x.catchUp(ctx)
}
