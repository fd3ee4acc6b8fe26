package bench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"mailsweep/internal/sim/google"
)

// How many random mailboxes the truth is asked about; FULL=1 runs a million messages through the second, and with SEED=1 to 6 one of its
// parts alone, so that none takes longer than some minutes.
const (
	countedMailboxes = 200
	cleanedMailboxes = 40
	cleanedFull      = 300
	cleanedParts     = 6
	cleanedMessages  = 3_400
)

// truth compares what the product tells and does with what the simulated Gmail knows, on random mailboxes.
func truth(ctx context.Context, b *bench) ([]line, error) {
	m, err := b.startMany(ctx)
	if err != nil {
		return nil, err
	}
	defer m.stop()
	if b.Full && b.Seed > 0 {
		return m.part(ctx, b.Seed)
	}
	told, err := m.told(ctx)
	if err != nil {
		return nil, err
	}
	n := cleanedMailboxes
	if b.Full {
		n = cleanedFull
	}
	did, err := m.did(ctx, 0, n)
	if err != nil {
		return []line{told}, err
	}
	return []line{told, did}, nil
}

// part cleans the n-th part of the mailboxes.
func (m *mailboxRig) part(ctx context.Context, n int) ([]line, error) {
	if n > cleanedParts {
		return nil, fmt.Errorf("there are %d parts: SEED=%d is none", cleanedParts, n)
	}
	const each = cleanedFull / cleanedParts
	did, err := m.did(ctx, (n-1)*each, n*each)
	if err != nil {
		return nil, err
	}
	return []line{did}, nil
}

// startMany starts everything for one customer with as many mailboxes as he likes, at a Gmail that takes no time.
func (b *bench) startMany(ctx context.Context) (*mailboxRig, error) {
	return b.startGmail(ctx, settings{scale: timeScale, plan: "free", first: google.Generate{Messages: 100, Seed: gmailSeed, Now: time.Now()}})
}

// told analyzes random mailboxes and counts the cells that are wrong.
func (m *mailboxRig) told(ctx context.Context) (line, error) {
	rng := rand.New(rand.NewPCG(gmailSeed, 1))
	wrong, cells, messages := 0, 0, 0
	for i := range countedMailboxes {
		g := google.Generate{Messages: 100 + rng.IntN(2900), Senders: 1 + rng.IntN(200), Years: 1 + rng.IntN(15), Seed: rng.Uint64(), NoCategories: i%5 == 0, Now: time.Now()}
		email := fmt.Sprintf("told%d@mail.example", i)
		var a analyzed
		if _, err := m.another(ctx, email, g, &a); err != nil {
			return line{}, err
		}
		f, err := m.Sim.Facts(email)
		if err != nil {
			return line{}, fmt.Errorf("read the truth: %w", err)
		}
		bad, all := a.differs(f)
		wrong, cells, messages = wrong+bad, cells+all, messages+f.Messages
	}
	return goal(line{what: fmt.Sprintf("facets of %d random mailboxes, a fifth without categories, imported mail and dates in 2037 among them", countedMailboxes),
		ours: fmt.Sprintf("%d of %d cells differ, over %d messages", wrong, cells, messages), limit: "–", ratio: "–", goal: "0"}, wrong == 0), nil
}

// connect makes and connects one more mailbox.
func (m *mailboxRig) connect(ctx context.Context, email string, g google.Generate) (mailbox string, err error) {
	if _, err := m.Sim.AddGenerated(email, g); err != nil {
		return "", fmt.Errorf("fill the mailbox: %w", err)
	}
	if err := m.consent(ctx, email); err != nil {
		return "", err
	}
	return m.mailboxOf(ctx, email)
}

// consent connects a mailbox that is there. A consent takes two requests of what the API allows an address that is not signed in: whoever
// asks again at once spends the first one each time, and never has two.
func (m *mailboxRig) consent(ctx context.Context, email string) error {
	const pause, most = 3 * time.Second, 40
	for try := 1; ; try++ {
		err := m.c.Connect(ctx, email)
		if err == nil || try == most {
			return err
		}
		select {
		case <-ctx.Done():
			return errors.Join(err, ctx.Err())
		case <-time.After(pause):
		}
	}
}

// another connects one more mailbox and analyzes it.
func (m *mailboxRig) another(ctx context.Context, email string, g google.Generate, out any) (mailbox string, err error) {
	if mailbox, err = m.connect(ctx, email, g); err != nil {
		return "", err
	}
	_, _, err = m.job(ctx, "/api/v1/gmail/analyze", map[string]string{"mailbox_id": mailbox}, out)
	return mailbox, err
}

// weather are faults of every kind, 5 % of all calls together; access tokens expire on top.
func (m *mailboxRig) weather() {
	kinds := []google.Fault{
		{Status: http.StatusTooManyRequests, TextRetryAfter: time.Second}, {Status: http.StatusForbidden, Reason: "rateLimitExceeded"}, {HTML503: true}, {Status: http.StatusInternalServerError},
		{Status: http.StatusForbidden, Reason: "userRateLimitExceeded", TextRetryAfter: time.Second}, {ResetBefore: true}, {ResetAfterEffect: true}, {TruncateJSON: true},
		{Method: "messages.batchModify", Partial: 300},
	}
	for _, f := range kinds {
		f.Probability = 0.05 / float64(len(kinds))
		m.Sim.Inject(f)
	}
}

// did cleans random mailboxes, from one number up to another, in bad weather, and counts the messages that were changed and should not have
// been, and those that should have been and were not.
func (m *mailboxRig) did(ctx context.Context, from, to int) (line, error) {
	m.weather()
	defer m.Sim.ClearFaults()
	var sum struct{ messages, planned, changed, left, outside, protected, twice int }
	for i := from; i < to; i++ {
		rng := rand.New(rand.NewPCG(gmailSeed, uint64(2+i)))
		email := fmt.Sprintf("did%d@mail.example", i)
		g := google.Generate{Messages: cleanedMessages, Senders: 50 + rng.IntN(400), Seed: rng.Uint64(), Now: time.Now()}
		var a analyzed
		mailbox, err := m.another(ctx, email, g, &a)
		if err != nil {
			return line{}, err
		}
		before, err := m.Sim.Messages(email)
		if err != nil {
			return line{}, fmt.Errorf("read the mailbox: %w", err)
		}
		m.Sim.ExpireAccess(email)
		plan, err := m.cleaned(ctx, mailbox, cleanups[rng.IntN(len(cleanups))])
		if err != nil {
			return line{}, err
		}
		l, err := m.Sim.Ledger(email)
		if err != nil {
			return line{}, fmt.Errorf("read the ledger: %w", err)
		}
		kept := protected(before)
		sum.messages, sum.planned, sum.changed = sum.messages+len(before), sum.planned+len(plan), sum.changed+len(l.Changes)
		for id := range plan {
			if l.Changes[id] == 0 {
				sum.left++
			}
		}
		for id, times := range l.Changes {
			if !plan[id] {
				sum.outside++
			}
			if kept[id] {
				sum.protected++
			}
			if times > 1 {
				sum.twice++
			}
		}
	}
	return goal(line{what: fmt.Sprintf("executed of %d random messages, 5 %% of all calls to Gmail failing in every way", sum.messages),
		ours:  fmt.Sprintf("%d planned, %d changed; %d left, %d outside the plan, %d protected, %d twice", sum.planned, sum.changed, sum.left, sum.outside, sum.protected, sum.twice),
		limit: "–", ratio: "–", goal: "0 left, 0 outside the plan, 0 protected, of 10^6 (FULL=1)"}, sum.left+sum.outside+sum.protected+sum.twice == 0 && sum.changed > 0), nil
}

var cleanups = []string{
	`{"action":"trash","criteria":{"category":"promotions"}`, `{"action":"archive","criteria":{"all":[{"older_than_days":90},{"not":{"category":"primary"}}]}`,
	`{"action":"mark_read","criteria":{"unread":true}`, `{"action":"trash","criteria":{"any":[{"category":"social"},{"larger_than":50000}]}`,
	`{"action":"archive","criteria":{"all":[{"unread":true},{"older_than_days":30}]}`,
}

// cleaned previews and executes, and gives the ids of the plan.
func (m *mailboxRig) cleaned(ctx context.Context, mailbox, body string) (map[string]bool, error) {
	var p frozen
	if _, _, err := m.job(ctx, "/api/v1/gmail/cleanup/dry-run", json.RawMessage(body+`,"confirm_all":true,"mailbox_id":"`+mailbox+`"}`), &p); err != nil {
		return nil, err
	}
	ids, err := m.planned(ctx, p.ID)
	if err != nil || len(ids) == 0 {
		return ids, err
	}
	_, _, err = m.job(ctx, "/api/v1/gmail/cleanup/execute", map[string]string{"cleanup_plan_id": p.ID}, &struct{}{})
	return ids, err
}

// planned are the ids of a plan that are to be cleaned, page by page.
func (m *mailboxRig) planned(ctx context.Context, plan string) (map[string]bool, error) {
	ids, cursor := map[string]bool{}, ""
	for {
		var page struct {
			Items []struct {
				ID string `json:"id"`
			} `json:"items"`
			NextCursor string `json:"next_cursor"`
		}
		if err := m.c.Do(ctx, http.MethodGet, "/api/v1/cleanup-plans/"+plan+"/messages?cursor="+url.QueryEscape(cursor), nil, &page); err != nil {
			return nil, err
		}
		for _, one := range page.Items {
			ids[one.ID] = true
		}
		if cursor = page.NextCursor; cursor == "" {
			return ids, nil
		}
	}
}

// protected are the ids that no cleanup may touch by default: own mail, drafts, threads that were written in or have a star, important,
// labeled and recent mail.
func protected(mail []google.Message) map[string]bool {
	threads := map[string]bool{}
	for _, m := range mail {
		if slices.Contains(m.Labels, "SENT") || slices.Contains(m.Labels, "STARRED") {
			threads[m.Thread] = true
		}
	}
	week, ids := time.Now().AddDate(0, 0, -7).Add(time.Hour), map[string]bool{}
	for _, m := range mail {
		if threads[m.Thread] || m.Date.After(week) || slices.ContainsFunc(m.Labels, func(l string) bool {
			return strings.HasPrefix(l, "Label_") || slices.Contains([]string{"SENT", "DRAFT", "IMPORTANT", "SPAM", "TRASH"}, l)
		}) {
			ids[m.ID] = true
		}
	}
	return ids
}
