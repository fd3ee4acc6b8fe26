// Package local finds, and where needed installs, PostgreSQL and Redis and runs them as private children of this process.
// It finds promtool too.
package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// Options says where the servers keep their data and how careful they are with it.
type Options struct {
	// Dir holds data, logs and unpacked packages; it is made where absent. Any number of processes may share it:
	// each takes a folder of its own inside.
	Dir string
	// Log is told what is being done, one line at a time and never with a secret. Nil is silent.
	Log func(line string)
	// Fresh makes the data throw-away: wiped before the start and after Stop.
	Fresh bool
	// InMemory keeps throw-away data in the machine's memory where that has room to spare: files are made and removed several times faster.
	InMemory bool
	// Fsync makes the data outlive a crash of the machine. Without it they outlive only a crash of the servers.
	Fsync bool
	// Private ignores DATABASE_URL and REDIS_URL, so that tests never touch somebody's data.
	Private bool

	redisArgs   []string // further settings of redis-server
	highestPort int      // 0: any
}

// Services are a running PostgreSQL and Redis.
type Services struct {
	// PostgresURL is the superuser's login to the database "postgres", or DATABASE_URL.
	PostgresURL string
	// RedisURL points at database 0, or is REDIS_URL.
	RedisURL string
	// Postgres and Redis are nil where the address came from the environment.
	Postgres, Redis *Server

	exited chan error
	place  *place
	once   sync.Once
}

// Start returns when both services answer. DATABASE_URL and REDIS_URL are used where given; what is missing on the
// machine is installed if that is possible, else the error names the line to type. ctx ends only the start: the
// services live until Stop, or until this process dies, however it dies.
func Start(ctx context.Context, o Options) (*Services, error) {
	o, err := o.absolute()
	if err != nil {
		return nil, err
	}
	s := &Services{exited: make(chan error, 2)}
	if !o.Private {
		s.PostgresURL, s.RedisURL = os.Getenv("DATABASE_URL"), os.Getenv("REDIS_URL")
	}
	if s.PostgresURL != "" {
		o.log("PostgreSQL: using DATABASE_URL")
	}
	if s.RedisURL != "" {
		o.log("Redis: using REDIS_URL")
	}
	if err := s.startMissing(ctx, o); err != nil {
		s.Stop()
		return nil, err
	}
	return s, nil
}

func (s *Services) startMissing(ctx context.Context, o Options) error {
	if s.PostgresURL != "" && s.RedisURL != "" {
		return nil
	}
	pg, redis, err := o.programs(ctx, s.PostgresURL == "", s.RedisURL == "")
	if err != nil {
		return err
	}
	if s.place, err = openPlace(o); err != nil {
		return err
	}
	if pg != nil {
		if s.Postgres, err = startPostgres(ctx, o, s.place, pg, s.exited); err != nil {
			return err
		}
		s.PostgresURL = s.Postgres.URL
	}
	if redis != nil {
		if s.Redis, err = startRedis(ctx, o, s.place, redis, s.exited); err != nil {
			return err
		}
		s.RedisURL = s.Redis.URL
	}
	return nil
}

// Stop ends what Start began and frees its folder. It may be called again.
func (s *Services) Stop() {
	s.once.Do(func() {
		for _, server := range []*Server{s.Redis, s.Postgres} {
			if server != nil {
				_ = server.Stop() // it is gone either way, by force if need be
			}
		}
		if s.place != nil {
			s.place.close()
		}
	})
}

// Exited gets one message for each server that ended without being asked to.
func (s *Services) Exited() <-chan error { return s.exited }

// StartPostgres starts PostgreSQL alone, whatever DATABASE_URL says.
func StartPostgres(ctx context.Context, o Options) (*Server, error) {
	return startAlone(ctx, o, true, startPostgres)
}

// StartRedis starts Redis alone, whatever REDIS_URL says.
func StartRedis(ctx context.Context, o Options) (*Server, error) {
	return startAlone(ctx, o, false, startRedis)
}

type starter func(context.Context, Options, *place, *program, chan<- error) (*Server, error)

func startAlone(ctx context.Context, o Options, postgres bool, start starter) (*Server, error) {
	o, err := o.absolute()
	if err != nil {
		return nil, err
	}
	pg, redis, err := o.programs(ctx, postgres, !postgres)
	if err != nil {
		return nil, err
	}
	if !postgres {
		pg = redis
	}
	p, err := openPlace(o)
	if err != nil {
		return nil, err
	}
	s, err := start(ctx, o, p, pg, nil)
	if err != nil {
		p.close()
		return nil, err
	}
	s.afterStop = p.close
	return s, nil
}

// Ensure installs PostgreSQL and Redis where they are missing and starts nothing.
func Ensure(ctx context.Context, o Options) error {
	o, err := o.absolute()
	if err != nil {
		return err
	}
	_, _, err = o.programs(ctx, true, true)
	return err
}

// absolute: the servers work in another folder than we.
func (o Options) absolute() (Options, error) {
	if o.Dir == "" {
		return o, errors.New("local.Options.Dir is empty")
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return o, fmt.Errorf("find the folder %s: %w", o.Dir, err)
	}
	o.Dir = dir
	return o, nil
}

func (o Options) log(format string, args ...any) {
	if o.Log != nil {
		o.Log(fmt.Sprintf(format, args...))
	}
}
