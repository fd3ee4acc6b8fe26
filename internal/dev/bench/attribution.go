package bench

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"mailsweep/internal/sim/google"
)

// attribution is what share of the mail is told to be of the sender that the simulator knows, and of another, in percent.
type attribution struct{ right, wrong float64 }

func (a attribution) String() string {
	return fmt.Sprintf("%.1f %% to their sender, %.2f %% to another", a.right, a.wrong)
}

// senders judges all senders that are told by the truth.
func (m *mailboxRig) senders(ctx context.Context, f google.Facts) (a attribution, err error) {
	for cursor := ""; ; {
		var page struct {
			Items []struct {
				Address  string `json:"address"`
				Messages int    `json:"messages"`
			} `json:"items"`
			NextCursor string `json:"next_cursor"`
		}
		if err := m.c.Do(ctx, http.MethodGet, "/api/v1/mailboxes/"+m.mailbox+"/senders?limit=200&cursor="+url.QueryEscape(cursor), nil, &page); err != nil {
			return a, err
		}
		for _, s := range page.Items {
			right := min(s.Messages, f.Senders[s.Address].Messages)
			a.right += 100 * float64(right) / float64(f.Messages)
			a.wrong += 100 * float64(s.Messages-right) / float64(f.Messages)
		}
		if cursor = page.NextCursor; cursor == "" {
			return a, nil
		}
	}
}

// attributed measures how much of smaller mailboxes is attributed.
func (m *mailboxRig) attributed(ctx context.Context, peer perMessage) (lines []line, err error) {
	for _, of := range []struct {
		senders int
		goal    float64
	}{{1_000, 95}, {3_000, 85}} {
		other := *m
		other.email = fmt.Sprintf("%d@mail.example", of.senders)
		if other.mailbox, err = m.connect(ctx, other.email, google.Generate{Messages: smallerMailbox, Senders: of.senders, Zipf: 1.1, Seed: gmailSeed, Now: time.Now()}); err != nil {
			return lines, err
		}
		var a analyzed
		at, err := other.analyze(ctx, &a)
		if err != nil {
			return lines, err
		}
		facts, err := m.Sim.Facts(other.email)
		if err != nil {
			return lines, fmt.Errorf("read the truth: %w", err)
		}
		senders, err := other.senders(ctx, facts)
		if err != nil {
			return lines, err
		}
		every := peer.read * smallerMailbox
		lines = append(lines, goal(line{what: fmt.Sprintf("attributed to senders, %d messages of %d", smallerMailbox, of.senders), ours: fmt.Sprintf("%s for %s", senders, at.whole),
			limit: "get every message " + hours(every), ratio: fmt.Sprintf("%.0fx fewer", every/float64(at.whole.units)),
			goal: fmt.Sprintf("≥ %.0f %% in 5 minutes of quota, 30,000 units", of.goal)}, senders.right >= of.goal && at.whole.units <= 30_000))
	}
	return lines, nil
}
