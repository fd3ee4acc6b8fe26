package bench

import (
	"context"
	"errors"
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

// giant measures the most memory that the worker needs for one giant mailbox: what is its own. The pages of its program's file, which it shares
// with the other workers and the kernel may drop, are told beside.
func giant(ctx context.Context, b *bench) ([]line, error) {
	m, err := b.startGmail(ctx, settings{scale: timeScale, plan: "free", first: google.Generate{Messages: giantMessages, Seed: gmailSeed, Now: time.Now()}})
	if err != nil {
		return nil, err
	}
	defer m.stop()
	idle, err := memoryOf(m.Children["worker"].Pid(), peak)
	if err != nil {
		return nil, err
	}
	var a analyzed
	own, err := mostOf(m.Children["worker"].Pid(), func() error {
		_, _, err := m.job(ctx, "/api/v1/gmail/analyze", struct{}{}, &a)
		return err
	})
	if err != nil {
		return nil, err
	}
	most, err := memoryOf(m.Children["worker"].Pid(), peak)
	if err != nil {
		return nil, err
	}
	lines := []line{goal(line{what: fmt.Sprintf("worker's memory, analysis of %d messages", a.Messages), ours: fmt.Sprintf("%d MiB of its own at most; %d MiB with its program's file", own>>20, most>>20),
		limit: fmt.Sprintf("%d MiB with the file before", idle>>20), ratio: times(float64(most) / float64(idle)), goal: "≤ 64 MiB of its own"}, own <= 64<<20)}
	cleaned := 0
	own, err = mostOf(m.Children["worker"].Pid(), func() error {
		cleaned, err = m.cleanedAndUndone(ctx)
		return err
	})
	return append(lines, goal(line{what: fmt.Sprintf("the same, preview, execute of %d messages, and undo", cleaned), ours: fmt.Sprintf("%d MiB of its own at most", own>>20),
		limit: "–", ratio: "–", goal: "≤ 64 MiB of its own"}, own <= 64<<20)), err
}

// cleanedAndUndone cleans what is older than a year, and takes it back.
func (m *mailboxRig) cleanedAndUndone(ctx context.Context) (cleaned int, err error) {
	run, _, cleaned, err := m.cleanOld(ctx, m.mailbox)
	if err != nil {
		return 0, err
	}
	var undone struct{ Restored int }
	if _, _, err := m.job(ctx, "/api/v1/jobs/"+run.ID+"/undo", struct{}{}, &undone); err != nil {
		return 0, err
	}
	if undone.Restored != cleaned {
		return 0, fmt.Errorf("%d messages were cleaned and %d restored", cleaned, undone.Restored)
	}
	return cleaned, nil
}

// mostOf is the most memory of its own that a process has while f runs, in bytes.
func mostOf(pid int, f func() error) (most int64, err error) {
	over, seen := make(chan struct{}), make(chan error, 1)
	go func() {
		for {
			now, err := memoryOf(pid, ownMemory)
			most = max(most, now)
			select {
			case <-over:
				seen <- err
				return
			case <-time.After(2 * time.Millisecond):
			}
		}
	}()
	err = f()
	close(over)
	err = errors.Join(err, <-seen)
	return most, err
}

// many measures the memory that the analyses of many mailboxes at the same time need. A worker keeps a quarter of its places for them.
func many(ctx context.Context, b *bench) ([]line, error) {
	m, err := b.startGmail(ctx, settings{scale: timeScale, plan: "free", concurrency: 4 * manyMailboxes, first: google.Generate{Messages: 100, Seed: gmailSeed, Now: time.Now()}})
	if err != nil {
		return nil, err
	}
	defer m.stop()
	var jobs []customer.Job
	for i := range manyMailboxes {
		email := fmt.Sprintf("many%d@mail.example", i)
		if _, err := m.Sim.AddGenerated(email, google.Generate{Messages: manyMessages, Seed: uint64(i), Now: time.Now()}); err != nil {
			return nil, fmt.Errorf("fill the mailbox: %w", err)
		}
		if err := m.consent(ctx, email); err != nil {
			return nil, err
		}
	}
	for i := range manyMailboxes {
		id, err := m.mailboxOf(ctx, fmt.Sprintf("many%d@mail.example", i))
		if err != nil {
			return nil, err
		}
		var j customer.Job
		if err := m.c.Do(ctx, http.MethodPost, "/api/v1/gmail/analyze", map[string]string{"mailbox_id": id}, &j); err != nil {
			return nil, err
		}
		jobs = append(jobs, j)
	}
	running := 0
	for _, j := range jobs {
		n, err := m.count(ctx, "state = 'running'")
		if err != nil {
			return nil, err
		}
		running = max(running, n)
		if _, err := m.c.Follow(ctx, j, func(customer.Job) {}); err != nil {
			return nil, err
		}
	}
	most, err := memoryOf(m.Children["worker"].Pid(), peak)
	return []line{goal(line{what: fmt.Sprintf("worker's memory, %d mailboxes of %d messages at once", manyMailboxes, manyMessages), ours: fmt.Sprintf("%d MiB at most, %d ran at once", most>>20, running),
		limit: "–", ratio: "–", goal: "≤ 512 MiB"}, most <= 512<<20)}, err
}
