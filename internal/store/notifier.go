package store

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"mailsweep/internal/sweep"
)

const (
	notifyLimit = 2 * time.Second
	notifyPause = 100 * time.Millisecond
)

// notifier tells the listeners of all processes which jobs changed, after the change is committed: inside the transaction a pg_notify
// costs more than half of the rate, because commits that notify queue for one lock. The first change goes at once; those that come while
// it is under way go together as the next, of one job the newest version only. What a dying process does not send is found by whoever
// waits at the next look.
type notifier struct {
	pool *pgxpool.Pool

	mu      sync.Mutex
	pending map[jobKey]int64
	sending sync.WaitGroup
	busy    bool
}

func newNotifier(pool *pgxpool.Pool) *notifier {
	return &notifier{pool: pool, pending: map[jobKey]int64{}}
}

// put says that the job has a new version; 0: it changed, look.
func (n *notifier) put(customer, job sweep.ID, version int64) {
	n.mu.Lock()
	defer n.mu.Unlock()
	key := jobKey{customer, job}
	n.pending[key] = max(version, n.pending[key])
	if !n.busy {
		n.busy = true
		n.sending.Go(n.drain)
	}
}

func (n *notifier) drain() {
	for {
		messages := n.take()
		if messages == nil {
			return
		}
		if n.send(messages) != nil {
			// once more is enough: a database that stays away has nobody who listens, and they all look again when they are back
			time.Sleep(notifyPause)
			_ = n.send(messages)
		}
	}
}

func (n *notifier) send(messages []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), notifyLimit)
	defer cancel()
	_, err := n.pool.Exec(ctx, "SELECT pg_notify($1, m) FROM unnest($2::text[]) m", jobChannel, messages)
	return err
}

func (n *notifier) take() (messages []string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for key, version := range n.pending {
		messages = append(messages, fmt.Sprintf("%s %s %d", key.customer, key.job, version))
	}
	clear(n.pending)
	n.busy = messages != nil
	return messages
}

// wait returns when everything put before is sent.
func (n *notifier) wait() { n.sending.Wait() }
