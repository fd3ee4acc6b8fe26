package ratelimit

import (
	"context"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"mailsweep/internal/testkit"
)

// trips counts what goes to Redis: a pipeline is one.
type trips struct{ n atomic.Int64 }

func (h *trips) DialHook(next redis.DialHook) redis.DialHook {
	return func(ctx context.Context, network, addr string) (net.Conn, error) { return next(ctx, network, addr) }
}

func (h *trips) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error { h.n.Add(1); return next(ctx, cmd) }
}

func (h *trips) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { h.n.Add(1); return next(ctx, cmds) }
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkACall is what the governor costs a call: eight at a time, each a millisecond long.
func BenchmarkACall(b *testing.B) {
	options, err := redis.ParseURL(testkit.Redis(b))
	if err != nil {
		b.Fatal(err)
	}
	options.ContextTimeoutEnabled = true
	c, h := redis.NewClient(options), &trips{}
	defer c.Close()
	c.AddHook(h)
	g := &Governor{Redis: c, Account: Rate{1e9, 1e9}, Project: Rate{1e9, 1e9}}
	b.SetParallelism(4) // times two cores
	b.ResetTimer()
	began := cpu()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			leave, _, err := g.Enter(context.Background(), "sub", 5, time.Second)
			if err != nil {
				b.Error(err)
				return
			}
			time.Sleep(time.Millisecond)
			leave(true)
		}
	})
	b.ReportMetric(float64(h.n.Load())/float64(b.N), "trips/op")
	b.ReportMetric(float64((cpu()-began).Microseconds())/float64(b.N), "cpu-µs/op")
}
