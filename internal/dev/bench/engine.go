package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"mailsweep/internal/dev/customer"
	"mailsweep/internal/sim/google"
)

// engine measures what one mailbox of 100,000 messages costs, from the first look to the undo, on the basic plan: 25,000 units an analysis. The
// clock is Gmail's, as what we do ourselves would count several times on a faster one.
func engine(ctx context.Context, b *bench) ([]line, error) {
	return b.onGmail(ctx, 1, (*mailboxRig).analysis, (*mailboxRig).analyzedAgain, (*mailboxRig).preview, (*mailboxRig).cleanup)
}

// smallerMailboxes measures how much of smaller mailboxes is attributed.
func smallerMailboxes(ctx context.Context, b *bench) ([]line, error) {
	return b.onGmail(ctx, gmailScale, (*mailboxRig).attributed)
}

// onGmail takes measures of one stack, whose Gmail's clock runs scale times as fast.
func (b *bench) onGmail(ctx context.Context, scale float64, measures ...func(*mailboxRig, context.Context, perMessage) ([]line, error)) ([]line, error) {
	m, err := b.startGmail(ctx, settings{scale: scale, latency: true, plan: "basic",
		first: google.Generate{Messages: gmailMessages, Senders: gmailSenders, Zipf: 1.1, Seed: gmailSeed, Now: time.Now()}})
	if err != nil {
		return nil, err
	}
	defer m.stop()
	if err := m.idles(ctx); err != nil {
		return nil, err
	}
	peer, err := m.peers(ctx)
	if err != nil {
		return nil, err
	}
	var lines []line
	for _, measure := range measures {
		some, err := measure(m, ctx, peer)
		lines = append(lines, some...)
		if err != nil {
			return lines, err
		}
	}
	return lines, nil
}

// idles measures what the worker uses without a job.
func (m *mailboxRig) idles(ctx context.Context) error {
	before, err := m.read()
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(4 * time.Second):
	}
	after, err := m.read()
	m.idle = (after.cpu - before.cpu).Seconds() / after.at.Sub(before.at).Seconds()
	say("  the idle worker uses %.1f %% of a core", m.idle*100)
	return err
}

// perMessage is what one message costs the scanners, in units.
type perMessage struct{ read, batched, trashed float64 }

func (m *mailboxRig) peers(ctx context.Context) (e perMessage, err error) {
	s, err := m.scanner("scanner@mail.example")
	if err != nil {
		return e, err
	}
	if e.read, err = s.per(ctx, s.readAll); err != nil {
		return e, err
	}
	if e.batched, err = s.per(ctx, s.readBatches); err != nil {
		say("  no batches: %v", err)
	}
	e.trashed, err = s.per(ctx, s.trashAll)
	return e, err
}

// for n messages, told in hours of Gmail's quota.
func hours(units float64) string {
	return fmt.Sprintf("%.0f units, %.1f h of quota", units, units/unitsPerSecond/3600)
}

// marks are the moments of an analysis that somebody waits for.
type marks struct{ paint, facets, whole spent }

// analysis measures the first one: counts, facets, senders.
func (m *mailboxRig) analysis(ctx context.Context, peer perMessage) ([]line, error) {
	var a analyzed
	at, err := m.analyze(ctx, &a)
	if err != nil {
		return nil, err
	}
	facts, err := m.Sim.Facts(m.email)
	if err != nil {
		return nil, fmt.Errorf("read the truth: %w", err)
	}
	wrong, cells := a.differs(facts)
	senders, err := m.senders(ctx, facts)
	if err != nil {
		return nil, err
	}
	every := peer.read * gmailMessages
	return []line{
		goal(line{what: "first paint: counts of a mailbox never seen, 100k messages", ours: at.paint.String(), limit: "–", ratio: "–", goal: "≤ 20 units, ≤ 1 s"},
			at.paint.units <= 20 && at.paint.took <= time.Second),
		goal(line{what: "full facet report, 100k messages", ours: at.facets.String() + fmt.Sprintf("; %d of %d cells differ from the truth", wrong, cells),
			limit: "get every message " + hours(every) + "; batches of 100 " + hours(peer.batched*gmailMessages), ratio: times(at.facets.slow()) + " of the quota-bound time",
			goal: "≤ 3,600 units, ≤ 1.15x"}, at.facets.units <= 3600 && at.facets.slow() <= 1.15 && wrong == 0),
		goal(line{what: "80 % attributed to senders, 100k messages of 3,000 (Zipf 1.1)", ours: fmt.Sprintf("%s for %s", senders, at.whole),
			limit: "get every message " + hours(every), ratio: fmt.Sprintf("%.0fx fewer", every/float64(at.whole.units)), goal: "≤ 25,000 units, ≥ 80x fewer"},
			senders.right >= 80 && at.whole.units <= 25_000 && every >= 80*float64(at.whole.units)),
	}, nil
}

// analyzed is what the bench reads of an analysis.
type analyzed struct {
	Messages          int     `json:"messages"`
	Unread            int     `json:"unread"`
	AttributedPercent float64 `json:"attributed_percent"`
	ByCategory        map[string]struct {
		Messages, Unread int
	} `json:"by_category"`
	ByAge map[string]struct {
		Messages, Unread int
	} `json:"by_age"`
	BySize []struct {
		From, To int64
		Messages int
	} `json:"by_size"`
}

// differs counts the cells that differ from what the simulator knows, of how many.
func (a analyzed) differs(f google.Facts) (wrong, cells int) {
	cell := func(x, y int) {
		cells++
		if x != y {
			wrong++
		}
	}
	cell(a.Messages, f.Messages)
	cell(a.Unread, f.Unread)
	for id, name := range map[string]string{"CATEGORY_PROMOTIONS": "promotions", "CATEGORY_SOCIAL": "social", "CATEGORY_UPDATES": "updates", "CATEGORY_FORUMS": "forums"} {
		cell(a.ByCategory[name].Messages, f.Categories[id].Messages)
		cell(a.ByCategory[name].Unread, f.Categories[id].Unread)
	}
	for age, block := range f.Age {
		cell(a.ByAge[age].Messages, block.Messages)
		cell(a.ByAge[age].Unread, block.Unread)
	}
	for name, to := range map[string]int64{"100k": 100 << 10, "1m": 1 << 20, "10m": 10 << 20} {
		cell(a.upTo(to), under(f, name))
	}
	return wrong, cells
}

// upTo counts the messages of at most a size, at which the ladder has a step; -1 where it has none.
func (a analyzed) upTo(size int64) (n int) {
	for _, step := range a.BySize {
		if n += step.Messages; step.To == size+1 {
			return n
		}
	}
	return -1
}

func under(f google.Facts, name string) (n int) {
	for _, class := range []string{"10k", "100k", "1m", "10m"} {
		n += f.Size[class].Messages
		if class == name {
			return n
		}
	}
	return n
}

// analyze runs an analysis and reads the meters at its marks: when the job first shows counts, when it shows facets, and at the end.
func (m *mailboxRig) analyze(ctx context.Context, out *analyzed) (at marks, err error) {
	begin, err := m.read()
	if err != nil {
		return at, err
	}
	var j customer.Job
	if err := m.c.Do(ctx, http.MethodPost, "/api/v1/gmail/analyze", map[string]string{"mailbox_id": m.mailbox}, &j); err != nil {
		return at, err
	}
	ended, id := make(chan error, 1), j.ID
	go func() {
		var err error
		j, err = m.c.Follow(ctx, j, func(customer.Job) {})
		ended <- err
	}()
	for over := false; !over; time.Sleep(4 * time.Millisecond) {
		select {
		case err := <-ended:
			if err != nil {
				return at, err
			}
			over = true
		default:
		}
		if err := m.mark(ctx, id, &at, begin, over); err != nil {
			return at, err
		}
	}
	if err := json.Unmarshal(j.Result, out); err != nil {
		return at, fmt.Errorf("read the result: %w", err)
	}
	return at, nil
}

func (m *mailboxRig) mark(ctx context.Context, job string, at *marks, begin reading, over bool) error {
	now, err := m.read()
	if err != nil {
		return err
	}
	s := m.since(begin, now)
	if over {
		at.whole = s
	}
	if at.facets.took > 0 {
		return nil
	}
	stage, err := m.stage(ctx, job)
	if err != nil {
		return err
	}
	if at.paint.took == 0 && stage != "" {
		at.paint = s
	}
	if over || stage != "" && stage != "counts" {
		at.facets = s
	}
	return nil
}

// stage is how far the analysis is that callers are shown already; "" while there is none.
func (m *mailboxRig) stage(ctx context.Context, job string) (string, error) {
	var j struct {
		Result *struct {
			Stage string `json:"stage"`
		} `json:"result"`
	}
	if err := m.c.Do(ctx, http.MethodGet, "/api/v1/jobs/"+job, nil, &j); err != nil || j.Result == nil {
		return "", err
	}
	return j.Result.Stage, nil
}

// analyzedAgain measures a second analysis, after 300 changes of labels and none of the mail.
func (m *mailboxRig) analyzedAgain(ctx context.Context, _ perMessage) ([]line, error) {
	mail, err := m.Sim.Messages(m.email)
	if err != nil {
		return nil, fmt.Errorf("list the mailbox: %w", err)
	}
	var ids []string
	for _, one := range mail {
		if slices.Contains(one.Labels, "UNREAD") && len(ids) < 300 {
			ids = append(ids, one.ID)
		}
	}
	if err := m.Sim.Relabel(m.email, ids, nil, []string{"UNREAD"}); err != nil {
		return nil, fmt.Errorf("change the mailbox: %w", err)
	}
	var a analyzed
	at, err := m.analyze(ctx, &a)
	if err != nil {
		return nil, err
	}
	return []line{goal(line{what: "analysis again after 300 messages were read: labels, counts, ages", ours: at.facets.String(), limit: "–", ratio: "–", goal: "≤ 10 units, ≤ 1 s"},
		at.facets.units <= 10 && at.facets.took <= time.Second)}, nil
}

const previews = 20

// preview measures dry runs whose criteria the index knows.
func (m *mailboxRig) preview(ctx context.Context, _ perMessage) ([]line, error) {
	var s spent
	for range previews {
		var p frozen
		one, _, err := m.job(ctx, "/api/v1/gmail/cleanup/dry-run", json.RawMessage(`{"action":"trash","criteria":{"all":[{"category":"promotions"},{"unread":true}]}}`), &p)
		if err != nil {
			return nil, err
		}
		s.units, s.cpu = s.units+one.units, s.cpu+one.cpu
	}
	units, own := float64(s.units)/previews, s.cpu/previews
	return []line{goal(line{what: "dry run on an index of 100k, leaves that it knows", ours: fmt.Sprintf("%.1f units, %s of the worker's CPU", units, ms(own)),
		limit: "–", ratio: "–", goal: "≤ 4 units, ≤ 50 ms of our own time"}, units <= 4 && own <= 50*time.Millisecond)}, nil
}

// frozen is what the bench reads of a preview.
type frozen struct {
	ID      string `json:"cleanup_plan_id"`
	ToClean int    `json:"to_clean"`
}

// cleanup measures an execute of about half the mailbox, and its undo.
func (m *mailboxRig) cleanup(ctx context.Context, peer perMessage) ([]line, error) {
	var p frozen
	if _, _, err := m.job(ctx, "/api/v1/gmail/cleanup/dry-run", json.RawMessage(`{"action":"trash","criteria":{"older_than_days":365},"confirm_all":true}`), &p); err != nil {
		return nil, err
	}
	before, err := m.Sim.Truth(m.email)
	if err != nil {
		return nil, fmt.Errorf("read the truth: %w", err)
	}
	var did struct {
		Cleaned int
		Proof   struct{ Confirmed int }
	}
	m.rest()
	run, j, err := m.job(ctx, "/api/v1/gmail/cleanup/execute", map[string]string{"cleanup_plan_id": p.ID}, &did)
	if err != nil {
		return nil, err
	}
	m.rest()
	back, _, err := m.job(ctx, "/api/v1/jobs/"+j.ID+"/undo", struct{}{}, &struct{}{})
	if err != nil {
		return nil, err
	}
	after, err := m.Sim.Truth(m.email)
	if err != nil {
		return nil, fmt.Errorf("read the truth: %w", err)
	}
	batches, proof := run.calls["messages.batchModify"]*50, run.calls["history.list"]*2
	least := float64(p.ToClean) / 1000 * 50
	whole := did.Cleaned == p.ToClean && did.Proof.Confirmed == did.Cleaned
	one := peer.trashed * float64(p.ToClean)
	return []line{
		goal(line{what: fmt.Sprintf("execute %d messages", p.ToClean), ours: fmt.Sprintf("%s: %d for changes, %d for looks and proof; %d cleaned, %d confirmed", run, batches, proof, did.Cleaned, did.Proof.Confirmed),
			limit: "one by one " + hours(one), ratio: fmt.Sprintf("%s of the quota-bound time, %.0fx fewer units", times(run.slow()), one/float64(run.units)),
			goal: "≤ 1.05x 50 units a thousand + proof ≤ 220 for 50k, ≤ 1.15x, ≥ 350x fewer"},
			whole && float64(run.units) <= 1.05*least+220*float64(p.ToClean)/50_000 && run.slow() <= 1.15 && one >= 350*float64(run.units)),
		goal(line{what: "undo of it", ours: back.String() + same(before.Digest == after.Digest), limit: "–", ratio: times(back.slow()) + " of the quota-bound time", goal: "≤ 1.05x 50 units a thousand + proof"},
			before.Digest == after.Digest && float64(back.units) <= 1.05*least+220*float64(p.ToClean)/50_000),
	}, nil
}

func same(yes bool) string {
	if yes {
		return "; every label as before"
	}
	return "; NOT every label as before"
}

// rest lets Gmail's minute pass, so that a time begins with the whole quota.
func (m *mailboxRig) rest() { time.Sleep(time.Duration(float64(time.Minute) / m.scale)) }
