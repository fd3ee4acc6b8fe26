package bench

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"mailsweep/internal/sim/google"
)

// The workbench's mailbox: nearly every sender writes twice, which is the most that a list of senders can be for its mail.
const (
	benchMessages = 150_000
	benchSenders  = 56_000
	benchLooks    = 24 // each learns some thousand senders more; the largest plan has 8 a day
	benchAsks     = 15
	benchPage     = 100 // senders, as the page shows them
)

// workbench measures how long a page of all senders takes to answer, sorted and filtered in every way, the index opened anew each time.
func workbench(ctx context.Context, b *bench) ([]line, error) {
	m, err := b.startGmail(ctx, settings{scale: timeScale, plan: "enterprise", looks: benchLooks, first: google.Generate{Messages: benchMessages, Senders: benchSenders, Zipf: 0.01, Seed: gmailSeed, Now: time.Now()}})
	if err != nil {
		return nil, err
	}
	defer m.stop()
	var a struct {
		Messages int
		Senders  int `json:"senders_total"`
	}
	for range benchLooks {
		if _, _, err := m.job(ctx, "/api/v1/gmail/analyze", struct{}{}, &a); err != nil {
			return nil, err
		}
	}
	worst, worstOf, all := time.Duration(0), "", []time.Duration(nil)
	for _, asked := range []url.Values{{"sort": {"messages"}}, {"sort": {"unread"}}, {"sort": {"bytes"}}, {"sort": {"last"}}, {"sort": {"address"}}, {"filter": {"er"}}, {"safety": {"safe"}}} {
		took, err := m.sendersIn(ctx, asked)
		if err != nil {
			return nil, err
		}
		if all = append(all, took...); took[len(took)/2] > worst {
			worst, worstOf = took[len(took)/2], asked.Encode()
		}
	}
	slices.Sort(all)
	p95 := all[len(all)*95/100]
	return []line{goal(line{what: fmt.Sprintf("a page of %d of %d senders of %d messages, in each of 5 orders and 2 filters", benchPage, a.Senders, a.Messages),
		ours:  fmt.Sprintf("p50 %s, p95 %s; slowest p50 %s (%s)", ms(all[len(all)/2]), ms(p95), ms(worst), worstOf),
		limit: "–", ratio: "–", goal: "≤ 200 ms"}, p95 <= 200*time.Millisecond)}, nil
}

// sendersIn asks for a page of senders some times and gives how long each answer took, the shortest first.
func (m *mailboxRig) sendersIn(ctx context.Context, asked url.Values) (took []time.Duration, err error) {
	asked.Set("limit", fmt.Sprint(benchPage))
	for range benchAsks {
		var page struct{ Items []struct{ Address string } }
		began := time.Now()
		if err := m.c.Do(ctx, http.MethodGet, "/api/v1/mailboxes/"+m.mailbox+"/senders?"+asked.Encode(), nil, &page); err != nil {
			return nil, err
		}
		took = append(took, time.Since(began))
		if len(page.Items) != benchPage {
			return nil, fmt.Errorf("%s: a page of %d senders", asked.Encode(), len(page.Items))
		}
	}
	slices.Sort(took)
	return took, nil
}
