// Package rollover does what falls due: when a period turns, when a trial ends, when what a customer left behind has lost its use.
package rollover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"mailsweep/internal/mail"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

const (
	lease     = 2 * time.Minute // renewed with each page of customers
	afterFail = 30 * time.Second
	pageSize  = 200
	day       = 24 * time.Hour
)

// Service does duties. Any number of processes may run one: each duty's row in the database is taken by one of them at a time, and
// what a duty tells a customer is noted in the same transaction as the mail, so it is told once whatever happens in between.
type Service struct {
	DB    *store.DB
	Plans sweep.Plans
	// Post puts a mail to a user (zero: the customer's owner) into the outbox, within the transaction.
	Post func(tx *store.Tx, kind mail.Kind, user sweep.ID, data mail.Data) error
	Keep int // full months that stay in reach before they are archived; 0: 13
	// Bought compares what customers have bought with what Stripe has, repairs it, and says how many differed; renew is asked after each page whether to go
	// on. nil: nothing is sold.
	Bought func(ctx context.Context, renew func() error) (int, error)
	// Head keeps the end of a customer's audit chain where nobody who writes the database reaches it; nil: it goes to the log.
	Head func(customer sweep.ID, head store.AuditHead) error
	// Close keeps a month's figures for good; nil: nobody does.
	Close func(ctx context.Context, month sweep.Period) error
	Log   *slog.Logger
}

// duty is timed work. A duty that was missed is caught up with its own due time; next says whether each missed one counts.
type duty struct {
	name  string
	spec  string // cron form, for the queue page
	first func(now time.Time) time.Time
	next  func(due, now time.Time) time.Time
	do    func(*Service, context.Context, store.Duty) error
}

// duties in the order in which they are looked at: rows of a new month need their partition first.
func duties() []duty {
	return []duty{
		{"partitions", "17 2 * * *", atOnce, every(day), (*Service).partitions},
		{"monthly", "0 0 1 * *", turnOfPeriod, nextPeriod, (*Service).monthly},
		{"figures", "37 5 2 * *", dayAfterTurn, dayAfterNextTurn, (*Service).figures},
		{"trials", "*/5 * * * *", atOnce, every(5 * time.Minute), (*Service).trials},
		{"books", "*/15 * * * *", atOnce, every(15 * time.Minute), (*Service).books},
		{"plans", "43 3 * * *", atOnce, every(day), (*Service).plans},
		{"purge", "*/10 * * * *", atOnce, every(10 * time.Minute), (*Service).purge},
		{"billing", "37 * * * *", atOnce, every(time.Hour), (*Service).bought},
		{"heads", "29 3 * * *", atOnce, every(day), (*Service).heads},
		{"retention", "11 4 * * *", atOnce, every(day), (*Service).retention},
	}
}

func atOnce(now time.Time) time.Time       { return now }
func turnOfPeriod(now time.Time) time.Time { return sweep.PeriodAt(now).End }

// nextPeriod skips no period: each has its closing.
func nextPeriod(due, _ time.Time) time.Time { return sweep.PeriodAt(due).End }

// dayAfterTurn is when a month's figures are closed: what ran over its end has been counted.
func dayAfterTurn(now time.Time) time.Time { return sweep.PeriodAt(now.Add(-settled)).End.Add(settled) }

func dayAfterNextTurn(due, _ time.Time) time.Time { return dayAfterTurn(due) }

const settled = 29*time.Hour + 37*time.Minute

// every counts from now: of several missed times one doing is enough.
func every(d time.Duration) func(due, now time.Time) time.Time {
	return func(_, now time.Time) time.Time { return now.Add(d) }
}

// Specs are the duties as cron entries, by name.
func Specs() map[string]string {
	specs := map[string]string{}
	for _, d := range duties() {
		specs[d.name] = d.spec
	}
	return specs
}

// Plan makes the rows of duties that are new. Nothing is done before that.
func (s *Service) Plan(ctx context.Context) error {
	for _, d := range duties() {
		if err := s.DB.PlanDuty(ctx, d.name, d.first); err != nil {
			return err
		}
	}
	return nil
}

// Due does every duty that is due and that nobody else has in hand. One that fails does not keep the others from being done.
func (s *Service) Due(ctx context.Context) error {
	var failed error
	for _, d := range duties() {
		failed = errors.Join(failed, s.run(ctx, d))
	}
	return failed
}

// Do does the named duty if it is due.
func (s *Service) Do(ctx context.Context, name string) error {
	for _, d := range duties() {
		if d.name == name {
			return s.run(ctx, d)
		}
	}
	return sweep.Errorf(sweep.NotFound, "there is no duty %q", name)
}

// run repeats a duty until it has caught up.
func (s *Service) run(ctx context.Context, d duty) error {
	for {
		took, err := s.once(ctx, d)
		if err != nil {
			return fmt.Errorf("duty %s: %w", d.name, err)
		}
		if !took {
			return nil
		}
	}
}

func (s *Service) once(ctx context.Context, d duty) (took bool, err error) {
	turn, took, err := s.DB.TakeDuty(ctx, d.name, lease)
	if err != nil || !took {
		return false, err
	}
	begin := time.Now()
	if err := d.do(s, ctx, turn); err != nil {
		return true, errors.Join(err, s.drop(ctx, turn))
	}
	ours, err := s.DB.FinishDuty(ctx, turn, d.next(turn.Due, turn.Now))
	if ours {
		s.Log.InfoContext(ctx, "duty done", "duty", d.name, "due", turn.Due, "late", turn.Now.Sub(turn.Due).String(), "took", time.Since(begin).String())
	}
	return true, err
}

// drop lets another process go on at once when this one is stopping.
func (s *Service) drop(ctx context.Context, turn store.Duty) error {
	wait := afterFail
	if ctx.Err() != nil {
		wait = 0
	}
	short, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	_, err := s.DB.DropDuty(short, turn, wait)
	return err
}

var errTaken = errors.New("another scheduler has taken over")

// each runs f in a transaction of every customer. One that fails does not keep the others from theirs; the duty is then not done.
func (s *Service) each(ctx context.Context, turn store.Duty, f func(*store.Tx) error) error {
	var failed error
	for after := (sweep.ID{}); ; {
		ids, err := s.DB.Customers(ctx, after, pageSize)
		if err != nil {
			return err
		}
		for _, id := range ids {
			if err := s.DB.Tenant(ctx, id, f); err != nil {
				failed = fmt.Errorf("customer %s: %w", sweep.CustomerID.Show(id), err)
			}
		}
		if len(ids) < pageSize || ctx.Err() != nil {
			return errors.Join(failed, ctx.Err())
		}
		after = ids[len(ids)-1]
		if ours, err := s.DB.RenewDuty(ctx, turn, lease); err != nil || !ours {
			return errors.Join(errTaken, err)
		}
	}
}

// Ticker looks for what is due by its process' own clock.
type Ticker struct {
	Service *Service
	Every   time.Duration // 0: 5 s
}

// Run looks until ctx ends.
func (t *Ticker) Run(ctx context.Context) error {
	every := t.Every
	if every == 0 {
		every = 5 * time.Second
	}
	for planned := false; ; {
		err := t.tick(ctx, &planned)
		if err != nil && ctx.Err() == nil {
			t.Service.Log.ErrorContext(ctx, "duties failed", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
	}
}

func (t *Ticker) tick(ctx context.Context, planned *bool) error {
	if !*planned {
		if err := t.Service.Plan(ctx); err != nil {
			return err
		}
		*planned = true
	}
	return t.Service.Due(ctx)
}
