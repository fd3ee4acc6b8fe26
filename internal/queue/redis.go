// Package queue carries tasks through Redis: it dispatches, works, sweeps and shows them. Redis holds ids only; losing it loses nothing.
package queue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"mailsweep/internal/sweep"
)

// Connect makes a Redis client that obeys its callers' deadlines: asynq's own connection settings cannot, and hold a caller for five
// seconds when Redis hangs. The caller closes it. Nothing is dialled yet.
func Connect(url string) (*redis.Client, error) {
	o, err := redis.ParseURL(url)
	if err != nil {
		return nil, sweep.Errorf(sweep.Invalid, "the Redis URL cannot be parsed")
	}
	o.ContextTimeoutEnabled = true
	o.MaxRetries = 1
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = 500*time.Millisecond, time.Second, time.Second
	o.PoolSize = 48
	return redis.NewClient(o), nil
}

// CheckRedis refuses a server that may throw keys away when its memory is full: asynq would lose leases and with them tasks. A server
// that does not let itself be asked is taken on trust, with a line in the log.
func CheckRedis(ctx context.Context, c *redis.Client, log *slog.Logger) error {
	const key = "maxmemory-policy"
	got, err := c.ConfigGet(ctx, key).Result()
	var refused redis.Error
	if errors.As(err, &refused) {
		log.WarnContext(ctx, "Redis does not tell its settings; make sure that maxmemory-policy is noeviction")
		return nil
	}
	if err != nil {
		return fmt.Errorf("ask Redis for its settings: %w", err)
	}
	if policy := got[key]; policy != "noeviction" {
		return fmt.Errorf("refusing to start: Redis has %s %q and may throw tasks away; set it to noeviction", key, policy)
	}
	return nil
}

// shared lets asynq's constructors that insist on making and closing a client of their own have one with our deadlines.
type shared struct{ options redis.Options }

func sharedOptions(c *redis.Client) shared { return shared{options: *c.Options()} }

// MakeRedisClient implements asynq.RedisConnOpt.
func (s shared) MakeRedisClient() any {
	o := s.options
	return redis.NewClient(&o)
}

// asynqLog hands asynq's messages to our log. What it says of its own coming and going is for debugging.
type asynqLog struct{ log *slog.Logger }

func (l asynqLog) Debug(args ...any) { l.log.Debug(line(args)) }
func (l asynqLog) Info(args ...any)  { l.log.Debug(line(args)) }
func (l asynqLog) Warn(args ...any)  { l.log.Debug(line(args)) }
func (l asynqLog) Error(args ...any) { l.log.Warn(line(args)) }
func (l asynqLog) Fatal(args ...any) { l.log.Error(line(args)) }

func line(args []any) string { return "asynq: " + strings.TrimSpace(fmt.Sprint(args...)) }

var _ asynq.Logger = asynqLog{}
