package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
)

// payload is as long as ours.
const payload = `{"customer_id":"01890000-0000-7000-8000-000000000000","job_id":"01890000-0000-7000-8000-000000000000","epoch":1}`

// plain is asynq alone.
type plain struct {
	redis  *redis.Client
	client *asynq.Client
	server *asynq.Server
}

func newAsynq(url string) (*plain, error) {
	o, err := redis.ParseURL(url)
	if err != nil {
		return nil, fmt.Errorf("read the Redis URL: %w", err)
	}
	o.PoolSize = 64
	c := redis.NewClient(o)
	return &plain{redis: c, client: asynq.NewClientFromRedisClient(c)}, nil
}

func (p *plain) one(ctx context.Context) error {
	_, err := p.client.EnqueueContext(ctx, asynq.NewTask("job", []byte(payload)), asynq.Queue("peer"), asynq.MaxRetry(1000))
	return err
}

func (p *plain) insert(ctx context.Context, n int) error {
	var all sync.WaitGroup
	errs := make([]error, 16)
	for i := range errs {
		all.Go(func() {
			for range n / len(errs) {
				if errs[i] = p.one(ctx); errs[i] != nil {
					return
				}
			}
		})
	}
	all.Wait()
	for range n % len(errs) {
		errs = append(errs, p.one(ctx))
	}
	for _, err := range errs {
		if err != nil {
			return fmt.Errorf("enqueue: %w", err)
		}
	}
	return nil
}

func (p *plain) work(_ context.Context, body func()) error {
	p.server = asynq.NewServerFromRedisClient(p.redis, asynq.Config{Concurrency: slots, Queues: map[string]int{"peer": 1},
		TaskCheckInterval: 5 * time.Millisecond, LogLevel: asynq.WarnLevel})
	return p.server.Start(asynq.HandlerFunc(func(context.Context, *asynq.Task) error { body(); return nil }))
}

func (p *plain) close() {
	if p.server != nil {
		p.server.Shutdown()
	}
	p.redis.Close()
}
