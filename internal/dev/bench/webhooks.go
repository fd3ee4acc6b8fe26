package bench

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mailsweep/internal/sim/stripe"
)

const (
	buying       = 200 // customers whom the events concern
	webhookConns = 40
	webhookTime  = time.Minute
	webhookRate  = 200 // a second, every other one for the second time
	shopping     = 5
	silentPairs  = 7 // of a run without and one with
)

// webhooks measures how fast Stripe's events are answered while they come at 200 a second, half of them told again: at the same moment, or a second
// later. Every customer must have then what it paid for, bought once.
func webhooks(ctx context.Context, b *bench) ([]line, error) {
	r, err := b.start(ctx, "api")
	if err != nil {
		return nil, err
	}
	defer r.stop()
	bodies, err := r.paidFor(ctx, buying)
	if err != nil {
		return nil, err
	}
	var n atomic.Int64
	secret := r.Env["STRIPE_WEBHOOK_SECRETS"]
	l, err := paced(ctx, addr(r.API), webhookConns, webhookTime, webhookConns*time.Second/webhookRate, func(int) []byte {
		i := int(n.Add(1)) - 1
		which := i / 2
		if i%4 == 3 { // of the repeats every other one comes a second late
			which = max(0, which-webhookRate/2)
		}
		body := fmt.Sprintf(bodies[which%len(bodies)], fmt.Sprintf("evt_bench%08d", which))
		return request("POST", "/webhooks/stripe", "", body, "Stripe-Signature", signature(secret, body, time.Now()))
	})
	if err == nil {
		err = l.only(http.StatusOK)
	}
	if err != nil {
		return nil, err
	}
	asked := len(l.took)
	if want := int(webhookRate * webhookTime.Seconds()); asked < want*97/100 {
		return nil, fmt.Errorf("only %d of %d could be sent: the answers were too slow, or this machine", asked, want)
	}
	late, err := until(ctx, 10*time.Minute, "every event is dealt with", func() (bool, error) { return r.none(ctx, "stripe_events WHERE state <> 'done'") })
	if err != nil {
		return nil, err
	}
	kept, wrong, err := r.appliedOnce(ctx)
	if err != nil {
		return nil, err
	}
	p95 := l.at(0.95)
	return []line{goal(line{what: "events of Stripe's, 200 a second for a minute, half of them again", ours: fmt.Sprintf("p50 %s, p95 %s, p99 %s; %d heard, %d kept, all done %.1f s after the last; %d of %d customers have not what they paid for, once",
		ms(l.at(0.5)), ms(p95), ms(l.at(0.99)), asked, kept, late.Seconds(), wrong, buying), limit: "–", ratio: "–", goal: "p95 ≤ 100 ms, applied once"}, p95 <= 100*time.Millisecond && wrong == 0 && kept == (asked+1)/2)}, nil
}

// paidFor makes customers who bought pro, of which no event has told yet, and gives what Stripe has to tell of them: each with a place for its id.
func (r *rig) paidFor(ctx context.Context, n int) (bodies []string, err error) {
	people, err := r.people(ctx, n)
	if err != nil {
		return nil, err
	}
	if err := r.exec(ctx, "UPDATE customers SET plan = 'free', plan_version = plan_version + 1"); err != nil {
		return nil, err
	}
	r.Pay.Strike(stripe.Faults{Webhooks: stripe.Webhooks{Drop: true}})
	w, err := dial(addr(r.API))
	if err != nil {
		return nil, err
	}
	defer w.Close()
	for _, p := range people {
		a, err := w.ask(request("POST", "/api/v1/billing/checkout", p.token, `{"plan":"pro"}`, "Idempotency-Key", p.email))
		if err != nil {
			return nil, err
		}
		var page struct{ URL string }
		if err := json.Unmarshal(a.body, &page); err != nil || a.status != http.StatusOK {
			return nil, fmt.Errorf("checkout: %d %s", a.status, a.body)
		}
		if _, err := r.Pay.Pay(page.URL[strings.LastIndex(page.URL, "/")+1:], "ok"); err != nil {
			return nil, fmt.Errorf("pay: %w", err)
		}
	}
	r.Pay.Strike(stripe.Faults{})
	return r.events(ctx)
}

// events reads all that Stripe has to tell.
func (r *rig) events(ctx context.Context) (bodies []string, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.Stripe+"/v1/events", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+r.Env["STRIPE_SECRET_KEY"])
	req.Header.Set("Stripe-Version", stripe.Version)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("read Stripe's events: %w", err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	var list struct{ Data []json.RawMessage }
	if err := errors.Join(err, json.Unmarshal(raw, &list)); err != nil {
		return nil, fmt.Errorf("read Stripe's events: %w", err)
	}
	for _, e := range list.Data {
		var one struct{ ID, Type string }
		if err := json.Unmarshal(e, &one); err != nil {
			return nil, fmt.Errorf("read an event: %w", err)
		}
		if strings.HasPrefix(one.Type, "customer.subscription.") || one.Type == "invoice.paid" || one.Type == "checkout.session.completed" {
			bodies = append(bodies, strings.Replace(strings.ReplaceAll(string(e), "%", "%%"), one.ID, "%s", 1))
		}
	}
	return bodies, nil
}

// signature is Stripe's for a body.
func signature(secret, body string, now time.Time) string {
	mac := hmac.New(sha256.New, []byte(secret))
	fmt.Fprintf(mac, "%d.%s", now.Unix(), body)
	return fmt.Sprintf("t=%d,v1=%s", now.Unix(), hex.EncodeToString(mac.Sum(nil)))
}

// none says whether a table has no row of a kind.
func (r *rig) none(ctx context.Context, rows string) (none bool, err error) {
	if err := r.root.QueryRow(ctx, "SELECT NOT EXISTS (SELECT FROM "+rows+")").Scan(&none); err != nil {
		return false, fmt.Errorf("look for %s: %w", rows, err)
	}
	return none, nil
}

// appliedOnce counts the events that were kept, and the customers who do not have what they paid for: pro, one subscription, bought once.
func (r *rig) appliedOnce(ctx context.Context) (kept, wrong int, err error) {
	err = r.root.QueryRow(ctx, `SELECT (SELECT count(*) FROM stripe_events), (SELECT count(*) FROM customers c WHERE c.plan <> 'pro'
		OR 1 <> (SELECT count(*) FROM subscriptions s WHERE s.customer_id = c.id AND s.tier = 'pro' AND s.status = 'active')
		OR 1 <> (SELECT count(*) FROM audit_logs a WHERE a.customer_id = c.id AND a.action = 'plan.bought'))`).Scan(&kept, &wrong)
	if err != nil {
		err = fmt.Errorf("compare the books: %w", err)
	}
	return kept, wrong, err
}

// silence measures what everything else costs while Stripe accepts connections and says nothing, and people keep on asking for a checkout.
func silence(ctx context.Context, b *bench) ([]line, error) {
	r, err := b.start(ctx, "api")
	if err != nil {
		return nil, err
	}
	defer r.stop()
	polls, _, err := r.polls(ctx, lightPolls)
	if err != nil {
		return nil, err
	}
	shoppers, err := r.people(ctx, shopping)
	if err != nil {
		return nil, err
	}
	mixed := r.others(polls, shoppers)
	var calm, silent []time.Duration
	var ratios []float64
	statuses := map[int]int{}
	for range silentPairs {
		l, err := mixed(ctx)
		if err != nil {
			return nil, err
		}
		calm = append(calm, l.at(0.95))
		r.Pay.Strike(stripe.Faults{Hang: time.Hour})
		l, err = r.beside(ctx, shoppers, statuses, mixed)
		r.Pay.Strike(stripe.Faults{})
		if err != nil {
			return nil, err
		}
		silent = append(silent, l.at(0.95))
		ratios = append(ratios, float64(silent[len(silent)-1])/float64(calm[len(calm)-1]))
	}
	if statuses[http.StatusServiceUnavailable] != sum(statuses) {
		return nil, fmt.Errorf("checkouts were answered with %v", statuses)
	}
	got := median(ratios)
	return []line{goal(line{what: fmt.Sprintf("Stripe says nothing, %d people ask for a checkout: everybody's other calls, p95", shopping), ours: fmt.Sprintf("%s (%d checkouts told to come back)", ms(middle(silent)), sum(statuses)),
		limit: "without that " + ms(middle(calm)), ratio: times(got), goal: "≤ 1.10x"}, got <= 1.1)}, nil
}

// others asks for all that does not need Stripe: a job, the usage, how the customer pays, and a submission.
func (r *rig) others(polls [][]byte, people []person) func(context.Context) (load, error) {
	var n atomic.Int64
	return func(ctx context.Context) (load, error) {
		l, err := paced(ctx, addr(r.API), lightPolls, 2*roundTime, 10*time.Millisecond, func(conn int) []byte {
			i := n.Add(1)
			p := people[i%int64(len(people))]
			switch i % 10 {
			case 0:
				return request("POST", "/api/v1/gmail/cleanup/execute", p.token, executeBody, "Idempotency-Key", fmt.Sprint("silence", i))
			case 1, 2:
				return request("GET", "/api/v1/gmail/usage", p.token, "")
			case 3, 4:
				return request("GET", "/api/v1/billing", p.token, "")
			}
			return polls[conn]
		})
		if err == nil && l.statuses[200]+l.statuses[202] != sum(l.statuses) {
			err = fmt.Errorf("the other calls were answered with %v", l.statuses)
		}
		return l, err
	}
}

// beside measures a load while each of the people asks for a checkout, and again once that was answered. All of them are answered before it returns.
func (r *rig) beside(ctx context.Context, people []person, statuses map[int]int, measured func(context.Context) (load, error)) (l load, err error) {
	inTime, stop := context.WithTimeout(ctx, 2*roundTime)
	defer stop()
	var all sync.WaitGroup
	var mu sync.Mutex
	var failed error
	for i, p := range people {
		all.Go(func() {
			one, err := paced(inTime, addr(r.API), 1, 2*roundTime, time.Second, func(int) []byte {
				return request("POST", "/api/v1/billing/checkout", p.token, `{"plan":"pro"}`, "Idempotency-Key", fmt.Sprint(i, time.Now().UnixNano()))
			})
			mu.Lock()
			defer mu.Unlock()
			failed = errors.Join(failed, err)
			for status, n := range one.statuses {
				statuses[status] += n
			}
		})
	}
	l, err = measured(ctx)
	all.Wait()
	return l, errors.Join(err, failed)
}
