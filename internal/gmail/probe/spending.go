package probe

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

// spending is what was seen when the mailbox's minute of quota was used up, three times.
type spending struct {
	status map[int]int     // refusals
	header int             // how many of them bore Retry-After
	waits  []time.Duration // from the first call that was counted until calls were taken again
	slow   bool            // using it up took so much of a minute that waits tell nothing
}

const tooSlow = "the quota cannot be used up fast enough from here"

// enough refusals to tell one kind from a mixture.
const enough = 24

// spend uses the minute up: how Gmail refuses, and when it takes calls again.
func (p *probe) spend(ctx context.Context) (*spending, error) {
	if p.spent != nil {
		return p.spent, nil
	}
	id, _, err := p.insert(ctx, mail{subject: "spending"})
	if err != nil {
		return nil, err
	}
	s := &spending{status: map[int]int{}}
	for n := range 3 {
		time.Sleep(p.Minute * 12 / 10) // what came before is forgotten; where minutes are fixed, this one is young
		began := time.Now()
		if err := s.burn(ctx, p, id, began.Add(p.Minute*3/10)); err != nil {
			return nil, err
		}
		if s.slow = time.Since(began) > p.Minute*3/10; s.slow {
			break
		}
		if n == 2 {
			time.Sleep(p.Minute * 4 / 10)
			if err := s.refusedMore(ctx, p, id); err != nil {
				return nil, err
			}
		}
		if err := p.accepted(ctx); err != nil {
			return nil, err
		}
		s.waits = append(s.waits, time.Since(began))
	}
	time.Sleep(p.Minute * 12 / 10) // the calls that come after are to be taken
	p.spent = s
	return s, nil
}

// burn makes the dearest call of a mailbox, some at a time, until enough were refused or it takes too long.
func (s *spending) burn(ctx context.Context, p *probe, id string, limit time.Time) error {
	return s.calls(ctx, p, id, func(refused int) bool { return refused >= enough || time.Now().After(limit) })
}

// refusedMore makes calls that would cost another minute, were they charged.
func (s *spending) refusedMore(ctx context.Context, p *probe, id string) error {
	made := 0
	return s.calls(ctx, p, id, func(int) bool { made++; return made > 320 })
}

func (s *spending) calls(ctx context.Context, p *probe, id string, over func(refused int) bool) error {
	var mu sync.Mutex
	var all sync.WaitGroup
	var failed error
	refused, ended := 0, false
	for range 4 { // below the cap of calls at once
		all.Go(func() {
			for {
				mu.Lock()
				ended = ended || failed != nil || over(refused)
				stop := ended
				mu.Unlock()
				if stop {
					return
				}
				err := p.call(ctx, http.MethodGet, "messages/"+id+"?format=minimal", nil, nil)
				mu.Lock()
				var r *refusal
				if errors.As(err, &r) && (r.status == http.StatusTooManyRequests || r.status == http.StatusForbidden) {
					refused++
					s.status[r.status]++
					if r.header.Get("Retry-After") != "" {
						s.header++
					}
				} else if err != nil {
					failed = err
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return failed
}

// accepted waits until the cheapest call is taken again.
func (p *probe) accepted(ctx context.Context) error {
	for end := time.Now().Add(3 * p.Minute); time.Now().Before(end); time.Sleep(p.Minute / 100) {
		err := p.call(ctx, http.MethodGet, "profile", nil, nil)
		var r *refusal
		if err == nil || !errors.As(err, &r) {
			return err
		}
	}
	return errors.New("the mailbox is still refused after three minutes")
}

func refusals(p *probe, ctx context.Context) (string, string, error) {
	s, err := p.spend(ctx)
	if err != nil {
		return "", "", err
	}
	saw := fmt.Sprintf("refusals for quota by status: %v", s.status)
	if len(s.status) > 1 {
		return "mixed", saw, nil
	}
	if s.slow {
		return "", tooSlow, nil // too few to tell one kind from a mixture
	}
	for status := range s.status {
		return fmt.Sprint(status), saw, nil
	}
	return "", tooSlow, nil
}

func retryHeader(p *probe, ctx context.Context) (string, string, error) {
	s, err := p.spend(ctx)
	if err != nil {
		return "", "", err
	}
	if len(s.status) == 0 {
		return "", tooSlow, nil
	}
	return told(s.header > 0, fmt.Sprintf("%d refusals bore Retry-After", s.header))
}

// fixedWindow: a sliding minute takes calls again a minute after it was used up, a fixed one at its end, which is sooner but for chance.
func fixedWindow(p *probe, ctx context.Context) (string, string, error) {
	s, err := p.spend(ctx)
	if err != nil {
		return "", "", err
	}
	if s.slow {
		return "", tooSlow, nil
	}
	return told(min(s.waits[0], s.waits[1]) < p.Minute*95/100, s.waited(p.Minute))
}

// chargeRefused cannot be told of a fixed window: its end forgets refused calls too.
func chargeRefused(p *probe, ctx context.Context) (string, string, error) {
	fixed, saw, err := fixedWindow(p, ctx)
	if err != nil || fixed != "false" {
		return "", saw, err
	}
	return told(p.spent.waits[2] > p.Minute*12/10, p.spent.waited(p.Minute)+", the last with refused calls meanwhile")
}

func (s *spending) waited(minute time.Duration) string {
	var list []string
	for _, w := range s.waits {
		list = append(list, fmt.Sprintf("%.2f", w.Seconds()/minute.Seconds()))
	}
	return "calls were taken again after " + strings.Join(list, ", ") + " minutes"
}
