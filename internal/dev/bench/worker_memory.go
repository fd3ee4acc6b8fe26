package bench

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"mailsweep/internal/dev/customer"
	"mailsweep/internal/sim/google"
)

const (
	giantMessages = 1_000_000
	manyMailboxes = 200
	manyMessages  = 30_000
)

// workerMemory measures the most memory that the worker needs: for one giant mailbox, and for many at once.
func workerMemory(ctx context.Context, b *bench) ([]line, error) {
	giant, err := b.giant(ctx)
	if err != nil {
		return nil, err
	}
	many, err := b.many(ctx)
	if err != nil {
		return []line{giant}, err
	}
	return []line{giant, many}, nil
}

func (b *bench) giant(ctx context.Context) (line, error) {
	m, err := b.startGmail(ctx, settings{scale: timeScale, plan: "free", first: google.Generate{Messages: giantMessages, Seed: gmailSeed, Now: time.Now()}})
	if err != nil {
		return line{}, err
	}
	defer m.stop()
	idle, err := memoryOf(m.Children["worker"].Pid(), peak)
	if err != nil {
		return line{}, err
	}
	var a analyzed
	if _, _, err := m.job(ctx, "/api/v1/gmail/analyze", struct{}{}, &a); err != nil {
		return line{}, err
	}
	most, err := memoryOf(m.Children["worker"].Pid(), peak)
	return goal(line{what: fmt.Sprintf("worker's memory, analysis of %d messages", a.Messages), ours: fmt.Sprintf("%d MiB at most", most>>20),
		limit: fmt.Sprintf("%d MiB before", idle>>20), ratio: times(float64(most) / float64(idle)), goal: "≤ 64 MiB"}, most <= 64<<20), err
}

// many analyzes many mailboxes at the same time.
func (b *bench) many(ctx context.Context) (line, error) {
	m, err := b.startGmail(ctx, settings{scale: timeScale, plan: "free", concurrency: manyMailboxes, first: google.Generate{Messages: 100, Seed: gmailSeed, Now: time.Now()}})
	if err != nil {
		return line{}, err
	}
	defer m.stop()
	var jobs []customer.Job
	for i := range manyMailboxes {
		email := fmt.Sprintf("many%d@mail.example", i)
		if _, err := m.Sim.AddGenerated(email, google.Generate{Messages: manyMessages, Seed: uint64(i), Now: time.Now()}); err != nil {
			return line{}, fmt.Errorf("fill the mailbox: %w", err)
		}
		if _, err := until(ctx, 2*time.Minute, "the API takes another consent from this address", func() (bool, error) { return m.c.Connect(ctx, email) == nil, nil }); err != nil {
			return line{}, err
		}
	}
	for i := range manyMailboxes {
		id, err := m.mailboxOf(ctx, fmt.Sprintf("many%d@mail.example", i))
		if err != nil {
			return line{}, err
		}
		var j customer.Job
		if err := m.c.Do(ctx, http.MethodPost, "/api/v1/gmail/analyze", map[string]string{"mailbox_id": id}, &j); err != nil {
			return line{}, err
		}
		jobs = append(jobs, j)
	}
	running := 0
	for _, j := range jobs {
		n, err := m.count(ctx, "state = 'running'")
		if err != nil {
			return line{}, err
		}
		running = max(running, n)
		if _, err := m.c.Follow(ctx, j, func(customer.Job) {}); err != nil {
			return line{}, err
		}
	}
	most, err := memoryOf(m.Children["worker"].Pid(), peak)
	return goal(line{what: fmt.Sprintf("worker's memory, %d mailboxes of %d messages at once", manyMailboxes, manyMessages), ours: fmt.Sprintf("%d MiB at most, %d ran at once", most>>20, running),
		limit: "–", ratio: "–", goal: "≤ 512 MiB"}, most <= 512<<20), err
}
