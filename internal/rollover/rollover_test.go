package rollover_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/mail"
	"mailsweep/internal/rollover"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
	"mailsweep/migrations"
)

const password = "test-only"

// calendar is a database whose business clock each scheduler is given anew.
type calendar struct {
	t    *testing.T
	d    testkit.Database
	conn *pgx.Conn
}

func newCalendar(t *testing.T) *calendar {
	t.Helper()
	d := testkit.Postgres(t, testkit.Schema{Files: migrations.SQL, Migrate: func(ctx context.Context, url string) error {
		return store.Migrate(ctx, url, store.Passwords{"mailsweep_app": password, "mailsweep_worker": password, "mailsweep_scheduler": password})
	}})
	conn, err := pgx.Connect(t.Context(), d.Bootstrap)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(context.Background()) })
	return &calendar{t, d, conn}
}

func (c *calendar) exec(query string, args ...any) {
	c.t.Helper()
	_, err := c.conn.Exec(c.t.Context(), query, args...)
	require.NoError(c.t, err)
}

func (c *calendar) newID() sweep.ID {
	c.t.Helper()
	id, err := sweep.NewID(time.Now(), rand.Reader)
	require.NoError(c.t, err)
	return id
}

func (c *calendar) customer() sweep.ID {
	c.t.Helper()
	id := c.newID()
	c.exec("INSERT INTO customers (id, name, data_key, created_at) VALUES ($1, 'Ada', '', now())", id.String())
	return id
}

// at is a scheduler for which it is now that time. What it posts goes into the outbox unsealed.
func (c *calendar) at(now time.Time) *rollover.Service {
	c.t.Helper()
	db, err := store.Open(c.t.Context(), store.Options{URL: c.d.URL("mailsweep_scheduler", password), Process: "test", ClockOffset: time.Until(now)})
	require.NoError(c.t, err)
	c.t.Cleanup(db.Close)
	return &rollover.Service{DB: db, Plans: sweep.DefaultPlans(), Log: slog.New(slog.DiscardHandler), Post: post}
}

func post(tx *store.Tx, kind mail.Kind, _ sweep.ID, data mail.Data) error {
	body, err := json.Marshal(data)
	if err != nil {
		return err
	}
	return tx.Exec("INSERT INTO outbox (customer_id, id, kind, data, run_at, created_at) VALUES (?, ?, ?, ?, clock_timestamp(), ?)",
		tx.Customer.String(), tx.NewID().String(), string(kind), body, tx.Now).Error
}

type letter struct {
	Customer sweep.ID
	Kind     mail.Kind
	Data     mail.Data
}

func (c *calendar) letters() (all []letter) {
	c.t.Helper()
	rows, err := c.conn.Query(c.t.Context(), "SELECT customer_id::text, kind, data FROM outbox ORDER BY created_at, id")
	require.NoError(c.t, err)
	for rows.Next() {
		var customer string
		var body []byte
		var l letter
		require.NoError(c.t, rows.Scan(&customer, &l.Kind, &body))
		require.NoError(c.t, json.Unmarshal(body, &l.Data))
		l.Customer, err = sweep.ParseUUID(customer)
		require.NoError(c.t, err)
		all = append(all, l)
	}
	require.NoError(c.t, rows.Err())
	return all
}

func (c *calendar) kinds() (kinds []string) {
	for _, l := range c.letters() {
		kinds = append(kinds, fmt.Sprintf("%s %d", l.Kind, l.Data.DaysLeft))
	}
	return kinds
}

func due(t *testing.T, services ...*rollover.Service) {
	t.Helper()
	var all sync.WaitGroup
	for _, s := range services {
		all.Go(func() {
			if err := errors.Join(s.Plan(t.Context()), s.Due(t.Context())); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func day(month time.Month, day, hour int) time.Time {
	return time.Date(2027, month, day, hour, 0, 0, 0, time.UTC)
}

func TestTheMonthTurnsOnceWithThreeSchedulersThatWereDownAtMidnight(t *testing.T) {
	t.Parallel()
	c := newCalendar(t)
	used, idle, suspended := c.customer(), c.customer(), c.customer()
	due(t, c.at(day(1, 20, 0)))
	for who, n := range map[sweep.ID]int{used: 120, idle: 0, suspended: 7} {
		c.exec("INSERT INTO usage_tracking (customer_id, period_start, used) VALUES ($1, $2, $3)", who.String(), day(1, 1, 0), n)
	}
	c.exec("UPDATE customers SET suspended_at = now() WHERE id = $1", suspended.String())
	due(t, c.at(time.Date(2027, 1, 31, 23, 59, 0, 0, time.UTC)))
	require.Empty(t, c.letters(), "the month has not turned")

	late := day(2, 1, 9)
	due(t, c.at(late), c.at(late), c.at(late))
	got := c.letters()
	require.Len(t, got, 1)
	require.Equal(t, used, got[0].Customer)
	require.Equal(t, mail.QuotaFresh, got[0].Kind)
	require.Equal(t, mail.Data{Name: "Ada", Plan: "free", Used: 120, Limit: 500, ResetsAt: day(3, 1, 0)}, got[0].Data)
	due(t, c.at(late.Add(time.Hour)))
	require.Len(t, c.letters(), 1)

	var last, next time.Time
	require.NoError(t, c.conn.QueryRow(t.Context(), "SELECT last_due, next_due FROM duties WHERE name = 'monthly'").Scan(&last, &next))
	require.Equal(t, day(2, 1, 0), last.UTC(), "caught up with its own due time")
	require.Equal(t, day(3, 1, 0), next.UTC())
}

func TestMissedMonthsAreAllClosedAndOldNewsIsNotSent(t *testing.T) {
	t.Parallel()
	c := newCalendar(t)
	who := c.customer()
	due(t, c.at(day(1, 20, 0)))
	for _, month := range []time.Month{1, 3} {
		c.exec("INSERT INTO usage_tracking (customer_id, period_start, used) VALUES ($1, $2, 5)", who.String(), day(month, 1, 0))
	}
	runs := func() (n int) {
		require.NoError(t, c.conn.QueryRow(t.Context(), "SELECT runs FROM duties WHERE name = 'monthly'").Scan(&n))
		return n
	}
	due(t, c.at(day(4, 2, 0)))
	require.Equal(t, 3, runs(), "February, March and April began")
	got := c.letters()
	require.Len(t, got, 1, "January's end is no news in April, March's is")
	require.Equal(t, day(5, 1, 0), got[0].Data.ResetsAt)
	var partition *string
	require.NoError(t, c.conn.QueryRow(t.Context(), "SELECT to_regclass('jobs_202710')::text").Scan(&partition))
	require.NotNil(t, partition, "months ahead have partitions")
}

// A month's figures are closed on the day after its end, each month once, also when the scheduler was down.
func TestEachMonthsFiguresAreClosedOnce(t *testing.T) {
	t.Parallel()
	c := newCalendar(t)
	var mu sync.Mutex
	var closed []string
	at := func(now time.Time) *rollover.Service {
		s := c.at(now)
		s.Close = func(_ context.Context, month sweep.Period) error {
			mu.Lock()
			defer mu.Unlock()
			closed = append(closed, month.Start.Format("2006-01"))
			return nil
		}
		return s
	}
	for _, now := range []time.Time{day(1, 20, 0), day(2, 1, 0), day(2, 2, 5)} {
		due(t, at(now))
	}
	require.Empty(t, closed, "what ran over the end is still counted")
	due(t, at(day(2, 2, 6)))
	due(t, at(day(2, 2, 6)))
	require.Equal(t, []string{"2027-01"}, closed)
	due(t, at(day(5, 1, 0)))
	require.Equal(t, []string{"2027-01", "2027-02", "2027-03"}, closed)
}

// trust: BIL-6
func TestATrialsEndIsToldInTimeAndOnce(t *testing.T) {
	t.Parallel()
	c := newCalendar(t)
	who, bought := c.customer(), c.customer()
	end := day(1, 15, 12)
	c.exec("UPDATE customers SET trial_ends_at = $1", end)
	c.exec("UPDATE customers SET plan = 'basic' WHERE id = $1", bought.String())
	for at := day(1, 11, 0); at.Before(day(1, 17, 0)); at = at.Add(6 * time.Hour) {
		due(t, c.at(at), c.at(at), c.at(at))
	}
	require.Equal(t, []string{"trial_ending 3", "trial_ending 1", "trial_ended 0"}, c.kinds())
	for _, l := range c.letters() {
		require.Equal(t, who, l.Customer, "who has a plan hears nothing")
		require.Equal(t, end, l.Data.EndsAt)
	}
}

func TestAfterADowntimeOnlyTheLatestOfATrialIsTold(t *testing.T) {
	t.Parallel()
	c := newCalendar(t)
	c.customer()
	c.exec("UPDATE customers SET trial_ends_at = $1", day(1, 15, 12))
	due(t, c.at(day(1, 5, 0)))
	due(t, c.at(day(1, 14, 0)), c.at(day(1, 14, 0)))
	require.Equal(t, []string{"trial_ending 2"}, c.kinds())
	due(t, c.at(day(1, 25, 0)))
	require.Equal(t, []string{"trial_ending 2", "trial_ended 0"}, c.kinds())
}

func TestAFailedDutyIsDoneAgainAndKeepsNobodyElseFromTheirs(t *testing.T) {
	t.Parallel()
	c := newCalendar(t)
	sick, well := c.customer(), c.customer()
	due(t, c.at(day(1, 20, 0)))
	for _, who := range []sweep.ID{sick, well} {
		c.exec("INSERT INTO usage_tracking (customer_id, period_start, used) VALUES ($1, $2, 5)", who.String(), day(1, 1, 0))
	}
	s := c.at(day(2, 1, 1))
	s.Post = func(tx *store.Tx, kind mail.Kind, user sweep.ID, data mail.Data) error {
		if tx.Customer == sick {
			return errors.New("no luck")
		}
		return post(tx, kind, user, data)
	}
	require.ErrorContains(t, s.Do(t.Context(), "monthly"), "no luck")
	require.Len(t, c.letters(), 1)
	healed := c.at(day(2, 1, 2))
	require.NoError(t, healed.Do(t.Context(), "monthly"))
	require.Len(t, c.letters(), 1, "a failed duty waits a while")
	c.exec("UPDATE duties SET taken_until = clock_timestamp() - interval '1 second'")
	require.NoError(t, healed.Do(t.Context(), "monthly"))
	require.Len(t, c.letters(), 2, "each heard once")
	require.Equal(t, sweep.NotFound, sweep.CodeOf(healed.Do(t.Context(), "nonsense")))
}

func TestTheTickerDoesWhatIsDue(t *testing.T) {
	t.Parallel()
	c := newCalendar(t)
	c.customer()
	c.exec("UPDATE customers SET trial_ends_at = $1", day(1, 15, 12))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	tick := &rollover.Ticker{Service: c.at(day(1, 15, 13)), Every: 20 * time.Millisecond}
	go func() { ended <- tick.Run(ctx) }()
	testkit.Eventually(t, 10*time.Second, func() bool { return len(c.letters()) == 1 }, "told")
	cancel()
	require.NoError(t, <-ended)
	require.Len(t, rollover.Specs(), 10)
}
