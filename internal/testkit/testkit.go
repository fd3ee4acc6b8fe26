// Package testkit gives each test a real PostgreSQL database and a real Redis of its own, and finds promtool.
package testkit

import (
	"context"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"mailsweep/internal/dev/local"
)

// services are one per test process and cannot belong to any one test: hence package variables. The servers die with
// the process.
var (
	sharedPostgres = sync.OnceValues(startPostgres)
	sharedRedis    = sync.OnceValues(startRedis)
)

const startLimit = 5 * time.Minute // a machine without the programs gets them first

func startPostgres() (url string, err error) {
	if url := os.Getenv("TEST_DATABASE_URL"); url != "" {
		return url, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	s, err := local.StartPostgres(ctx, options())
	if err != nil {
		return "", err
	}
	return s.URL, nil
}

func startRedis() (*numbers, error) {
	if url := os.Getenv("TEST_REDIS_URL"); url != "" {
		return newNumbers(url, true)
	}
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	s, err := local.StartRedis(ctx, options())
	if err != nil {
		return nil, err
	}
	return newNumbers(s.URL, false)
}

func options() local.Options {
	return local.Options{Dir: devDir(), Private: true, Fresh: true, Log: progress}
}

// progress keeps silent about what takes no time: a test's output is read by people.
func progress(line string) {
	if os.Getenv("TESTKIT_VERBOSE") != "" {
		_, _ = os.Stderr.WriteString(line + "\n") // nothing can be done about a closed stderr
	}
}

// devDir is .dev at the top of the clone, wherever the test runs, so that unpacked packages are found again.
func devDir() string {
	dir, err := os.Getwd()
	for err == nil && dir != filepath.Dir(dir) {
		if _, missing := os.Stat(filepath.Join(dir, "go.mod")); missing == nil {
			return filepath.Join(dir, ".dev")
		}
		dir = filepath.Dir(dir)
	}
	return filepath.Join(os.TempDir(), "mailsweep-dev")
}

// OwnPostgres is a cluster that only this test uses, to be killed and restarted. Its URL is the superuser's.
func OwnPostgres(t testing.TB) *local.Server {
	t.Helper()
	s, err := local.StartPostgres(t.Context(), options())
	return own(t, s, err)
}

// OwnRedis is a redis-server that only this test uses, to be flushed, killed and restarted. What it acknowledged
// outlives a kill.
func OwnRedis(t testing.TB) *local.Server {
	t.Helper()
	s, err := local.StartRedis(t.Context(), options())
	return own(t, s, err)
}

// RedisNode is a redis-server of a test's own that can become a node of a cluster.
func RedisNode(t testing.TB) *local.Server {
	t.Helper()
	s, err := local.StartRedisNode(t.Context(), options())
	return own(t, s, err)
}

// Sentinel watches a master under a name, and puts a replica in its place within seconds of its death.
func Sentinel(t testing.TB, name string, master *local.Server) *local.Server {
	t.Helper()
	s, err := local.StartSentinel(t.Context(), options(), name, master)
	return own(t, s, err)
}

func own(t testing.TB, s *local.Server, err error) *local.Server {
	t.Helper()
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Stop(); err != nil {
			t.Errorf("testkit: %v", err)
		}
	})
	return s
}

// Promtool is the path of Prometheus's tool for rules. Where it cannot be had the test is skipped and says why.
func Promtool(t testing.TB) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	path, err := local.Promtool(ctx, options())
	if err != nil {
		t.Skipf("testkit: %v", err)
	}
	return path
}

// Eventually asks cond every 5 ms and fails the test when it is not true within the deadline.
func Eventually(t testing.TB, deadline time.Duration, cond func() bool, what string) {
	t.Helper()
	end := time.Now().Add(deadline)
	for !cond() {
		if time.Now().After(end) {
			t.Fatalf("not within %s: %s", deadline, what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Seed is a source of chance that tells its seed. SEED=n repeats it.
func Seed(t testing.TB) *rand.Rand {
	t.Helper()
	seed := rand.Uint64()
	if given := os.Getenv("SEED"); given != "" {
		n, err := strconv.ParseUint(given, 10, 64)
		if err != nil {
			t.Fatalf("testkit: SEED is no number: %v", err)
		}
		seed = n
	}
	t.Logf("SEED=%d", seed)
	return rand.New(rand.NewPCG(seed, seed))
}
