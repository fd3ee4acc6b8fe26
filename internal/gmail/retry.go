package gmail

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// maxTries of one call, so few that the pauses between them stay within its patience. The client library repeats no Gmail call by itself; all our calls are safe to repeat.
const maxTries = 5

// stoppedPause is how long a project whose day is used up asks nobody, all its mailboxes together, unless Google tells a time.
const stoppedPause = 10 * time.Minute

// call makes one Gmail call and repeats it as long as that can help. This is the only retry layer; the queue's works on whole jobs.
func call[T any](ctx context.Context, m *Mailbox, method Method, do func(context.Context) (T, error)) (T, error) {
	var none T
	if m.broken != nil {
		return none, m.broken
	}
	ctx, patience := m.client.patient(ctx)
	attempts := attempts{mailbox: m, method: method, pauses: m.client.pauses(), patience: patience}
	for {
		if m.lost.Load() {
			return none, needsReconnect()
		}
		began := time.Now()
		v, err := do(ctx)
		if err == nil {
			return v, nil
		}
		if ctx.Err() != nil {
			return none, fmt.Errorf("%s: %w", method, ctx.Err())
		}
		if err := attempts.failed(ctx, began, err); err != nil {
			return none, err
		}
	}
}

// attempts counts the failures of one call. Being told to slow down is no failure.
type attempts struct {
	mailbox   *Mailbox
	method    Method
	pauses    *backoff.ExponentialBackOff
	tries     int
	patience  *patience
	refreshed bool
}

// failed returns nil when the call should be made again now, after having slept; else the error to give to the caller.
func (a *attempts) failed(ctx context.Context, began time.Time, cause error) error {
	v := judge(a.method, cause)
	switch v.step {
	case giveUp:
		return errors.Join(v.err, a.close(ctx, v, time.Now().Add(a.mailbox.client.scaled(stoppedPause))))
	case refresh:
		if a.refreshed {
			return v.err
		}
		a.refreshed = true
		return nil
	case crowded:
		a.mailbox.client.Pacer.Crowded(ctx, a.mailbox.account, began)
	case tryAgain:
		a.tries++
	}
	until := a.until(v)
	if v.step == throttled {
		a.mailbox.client.compare(ctx, v, cause)
		if !v.project && v.told.IsZero() {
			a.mailbox.client.Pacer.Slow(ctx, a.mailbox.account, began)
		}
	}
	if v.step == throttled || !v.told.IsZero() { // a time that was told is told to all who call for the account
		if err := a.close(ctx, v, until); err != nil {
			return errors.Join(&Wait{Until: until}, err)
		}
	}
	if a.tries >= maxTries {
		return v.err
	}
	pause := time.Until(until)
	switch longer := pause > a.patience.left(); {
	case longer && v.step == tryAgain && v.told.IsZero():
		return v.err
	case longer:
		return fmt.Errorf("%s: %w", a.method, &Wait{Until: until})
	}
	return a.patience.sleep(ctx, pause)
}

// compare looks whether Google's limit is the one that we go by.
func (c *Client) compare(ctx context.Context, v verdict, cause error) {
	ours := c.Tariff.PerUserMinute
	if v.project {
		ours = c.Tariff.PerProjectMinute
	}
	if told := toldLimit(cause); told > 0 && told != ours && c.OffTariff != nil {
		c.OffTariff(ctx, told)
	}
}

// close stops the calls of whom the refusal speaks of.
func (a *attempts) close(ctx context.Context, v verdict, until time.Time) (err error) {
	switch {
	case v.project:
		err = a.mailbox.client.Pacer.CloseProject(ctx, later(v.told, until))
	case v.step != giveUp:
		err = a.mailbox.client.Pacer.CloseUntil(ctx, a.mailbox.account, until)
	}
	if err != nil {
		return &paceError{err}
	}
	return nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// until is when to try again: by our own growing pauses, or when Google said if that is later. A rate refusal that outlasts our patience
// waits for a fresh minute of quota.
func (a *attempts) until(v verdict) time.Time {
	now, c := time.Now(), a.mailbox.client
	until := now.Add(a.pauses.NextBackOff())
	if v.step != tryAgain && until.Sub(now) > a.patience.left() {
		until = now.Add(c.scaled(time.Minute))
	}
	if v.told.After(until) {
		// Everyone was told the same moment.
		until = v.told.Add(rand.N(c.scaled(time.Second)))
	}
	return until
}
