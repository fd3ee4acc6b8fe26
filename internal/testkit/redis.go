package testkit

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"sync"
	"testing"

	"github.com/redis/go-redis/v9"
)

// Redis is the URL of an empty numbered database that no other test of this process uses. Numbers share one server:
// FLUSHALL and PUBLISH reach every test, so a test that flushes wants OwnRedis.
func Redis(t testing.TB) string {
	t.Helper()
	n, err := sharedRedis()
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	url, release, err := n.take(t.Context())
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	t.Cleanup(release)
	return url
}

// numbers hands out a server's numbered databases, each to one test at a time.
type numbers struct {
	base   url.URL
	client *redis.Client // database 0, where a server shared by several processes keeps its marks
	shared bool
	count  int

	mu   sync.Mutex
	held map[int]bool
	turn int64
}

// newNumbers asks the server how many databases it has. Number 0 is never handed out.
func newNumbers(address string, shared bool) (*numbers, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, fmt.Errorf("TEST_REDIS_URL is no URL: %w", err)
	}
	u.Path = "/0"
	o, err := redis.ParseURL(u.String())
	if err != nil {
		return nil, fmt.Errorf("TEST_REDIS_URL: %w", err)
	}
	n := &numbers{base: *u, client: redis.NewClient(o), shared: shared, held: map[int]bool{}}
	got, err := n.client.ConfigGet(context.Background(), "databases").Result()
	if err != nil {
		return nil, fmt.Errorf("ask Redis for its number of databases: %w", err)
	}
	if n.count, err = strconv.Atoi(got["databases"]); err != nil || n.count < 2 {
		return nil, fmt.Errorf("Redis has %q databases: at least two are needed", got["databases"])
	}
	return n, nil
}

// take flushes the number before it hands it out: its last user may have died in the middle.
func (n *numbers) take(ctx context.Context) (address string, release func(), err error) {
	number, err := n.next(ctx)
	if err != nil {
		return "", nil, err
	}
	u := n.base
	u.Path = "/" + strconv.Itoa(number)
	o, err := redis.ParseURL(u.String())
	if err != nil {
		return "", nil, fmt.Errorf("address of a test's Redis: %w", err)
	}
	client := redis.NewClient(o)
	defer client.Close()
	if err := client.FlushDB(ctx).Err(); err != nil {
		return "", nil, fmt.Errorf("empty a test's Redis: %w", err)
	}
	return u.String(), func() { n.release(number) }, nil
}

// next goes round, past the numbers that this process holds.
func (n *numbers) next(ctx context.Context) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for range n.count {
		turn, err := n.nextTurn(ctx)
		if err != nil {
			return 0, err
		}
		number := 1 + int(turn%int64(n.count-1))
		if !n.held[number] {
			n.held[number] = true
			return number, nil
		}
	}
	return 0, fmt.Errorf("all %d databases of Redis are in use", n.count-1)
}

// nextTurn counts in Redis itself when other processes use it too.
func (n *numbers) nextTurn(ctx context.Context) (int64, error) {
	if !n.shared {
		n.turn++
		return n.turn, nil
	}
	turn, err := n.client.Incr(ctx, "testkit:turn").Result()
	if err != nil {
		return 0, fmt.Errorf("take a number of a shared Redis: %w", err)
	}
	return turn, nil
}

func (n *numbers) release(number int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	delete(n.held, number)
}
