package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// redisSays runs one command at the Redis itself, past the weather.
func (d *drill) redisSays(ctx context.Context, words ...any) (string, error) {
	answer, err := d.redis.Do(ctx, words...).Text()
	if err != nil {
		return "", fmt.Errorf("%v: %w", words[0], err)
	}
	return strings.TrimSpace(answer), nil
}

// flushed is F-09: Redis is emptied while jobs run and wait.
func flushed(ctx context.Context, d *drill) error {
	return d.rounds(ctx, 10, 3000, func([]*cleanup) error {
		struck := time.Now()
		if _, err := d.redisSays(ctx, "FLUSHALL"); err != nil {
			return err
		}
		return d.dispatchedAgain(ctx, struck)
	})
}

// forgetful is F-08: Redis is killed and comes back with an empty disk.
func forgetful(ctx context.Context, d *drill) error {
	return d.rounds(ctx, 10, 3000, func([]*cleanup) error {
		if _, err := d.redisSays(ctx, "CONFIG", "SET", "appendonly", "no"); err != nil {
			return err
		}
		dir, err := d.redis.ConfigGet(ctx, "dir").Result()
		if err != nil {
			return fmt.Errorf("ask where Redis keeps its data: %w", err)
		}
		struck := time.Now()
		d.Services.Redis.Kill()
		if err := os.RemoveAll(filepath.Join(dir["dir"], "appendonlydir")); err != nil {
			return fmt.Errorf("empty the disk of Redis: %w", err)
		}
		if err := d.Services.Redis.Restart(ctx); err != nil {
			return err
		}
		return d.dispatchedAgain(ctx, struck)
	})
}

// without is F-10: Redis is away for a while; submits are taken all the same, and done when it is back.
func without(ctx context.Context, d *drill) error {
	away := 12 * time.Second
	if d.full {
		away = 10 * time.Minute
	}
	people, err := d.join(ctx, 4, 300)
	for i := 0; i < d.n && err == nil; i++ {
		err = d.taken(ctx, people, away)
	}
	return err
}

func (d *drill) taken(ctx context.Context, people []*person, away time.Duration) error {
	before, err := d.jobsOf(ctx, people)
	if err != nil {
		return err
	}
	d.v.Strikes++
	mark := d.calls.mark()
	d.weather.cut(redis)
	submits := 0
	for end := time.Now().Add(away); time.Now().Before(end) && submits < 400; submits++ {
		if err := people[submits%len(people)].submit(ctx); err != nil {
			return err
		}
	}
	t := d.calls.since(mark)
	d.v.note("%d submits taken within %s without Redis: %s", submits, away, t)
	if t.slowest > 5*time.Second {
		d.v.wrong("an answer took %s", t.slowest)
	}
	if err := d.weather.mend(redis); err != nil {
		return err
	}
	back := time.Now()
	if err := d.quiet(ctx); err != nil {
		return err
	}
	d.v.recovered(back)
	after, err := d.jobsOf(ctx, people)
	if after-before != submits {
		d.v.lost("%d submits, %d jobs", submits, after-before)
	}
	return err
}

// crammed is F-11: Redis has no memory left, and a process meets a Redis that would forget.
func crammed(ctx context.Context, d *drill) error {
	people, err := d.join(ctx, 4, 300)
	if err != nil {
		return err
	}
	for range d.n {
		if err := d.refusesEviction(ctx); err != nil {
			return err
		}
		if _, err := d.redisSays(ctx, "CONFIG", "SET", "maxmemory", "1"); err != nil {
			return err
		}
		d.v.Strikes++
		for i := range 40 {
			if err := people[i%len(people)].submit(ctx); err != nil {
				return err
			}
		}
		if _, err := d.redisSays(ctx, "CONFIG", "SET", "maxmemory", "0"); err != nil {
			return err
		}
		back := time.Now()
		if err := d.quiet(ctx); err != nil {
			return err
		}
		d.v.recovered(back)
	}
	return nil
}

// refusesEviction: no process starts on a Redis that drops what it was given.
func (d *drill) refusesEviction(ctx context.Context) error {
	defer d.redisSays(ctx, "CONFIG", "SET", "maxmemory-policy", "noeviction") //nolint:errcheck // the next drill's processes would not start
	for _, policy := range []string{"allkeys-lru", "volatile-ttl"} {
		if _, err := d.redisSays(ctx, "CONFIG", "SET", "maxmemory-policy", policy); err != nil {
			return err
		}
		d.Children["worker"].Kill()
		if err := d.spawn("worker"); err != nil {
			return err
		}
		if err := until(ctx, 20*time.Second, "the worker refuses "+policy, func() bool { return d.Children["worker"].Failed() != nil }); err != nil {
			d.v.wrong("%s", err)
		}
	}
	if _, err := d.redisSays(ctx, "CONFIG", "SET", "maxmemory-policy", "noeviction"); err != nil {
		return err
	}
	if err := d.spawn("worker"); err != nil {
		return err
	}
	return d.Await(ctx, "worker")
}

// dispatchedAgain waits until no job is left that had been handed to the Redis that is gone: each was claimed, or handed out anew.
func (d *drill) dispatchedAgain(ctx context.Context, struck time.Time) error {
	err := until(ctx, repeatLimit, "every open job is back in Redis or at work", func() bool {
		var lost int
		err := d.judge.QueryRow(ctx, `SELECT count(*) FROM jobs WHERE state = 'dispatched' AND dispatched_at <= $1`, struck).Scan(&lost)
		return err == nil && lost == 0
	})
	if err != nil {
		d.v.lost("%s", err)
		return nil
	}
	d.v.recovered(struck)
	return nil
}
