// Package queue carries tasks through Redis: it dispatches, works, sweeps and shows them. Redis holds ids only; losing it loses nothing.
package queue

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"

	"mailsweep/internal/sweep"
)

// Redis says where Redis is and how to get in. URL alone is a single server.
type Redis struct {
	URL     string   // redis://, or rediss:// for TLS, with user, password and number of the database
	Addrs   []string // host:port of the other nodes or Sentinels, of which URL names the first
	Cluster bool     // they are nodes of a cluster, which has database 0 only
	Master  string   // not empty: they are Sentinels that watch a master of this name; the login in URL is the master's

	SentinelUser, SentinelPassword string
	CA                             []byte // certificates (PEM) of the authority to believe; nil: the system's
}

// Connect makes a Redis client that obeys its callers' deadlines: asynq's own connection settings cannot, and hold a caller for five
// seconds when Redis hangs. The caller closes it. Nothing is dialled yet.
func Connect(r Redis) (redis.UniversalClient, error) {
	o, err := redis.ParseURL(r.URL)
	if err != nil {
		return nil, sweep.Errorf(sweep.Invalid, "the Redis URL cannot be parsed")
	}
	if r.Cluster && o.DB != 0 {
		return nil, sweep.Errorf(sweep.Invalid, "a Redis cluster has database 0 only")
	}
	if o.TLSConfig, err = r.trust(o.TLSConfig); err != nil {
		return nil, err
	}
	o.ContextTimeoutEnabled = true
	o.MaxRetries = 1
	o.DialTimeout, o.ReadTimeout, o.WriteTimeout = 500*time.Millisecond, time.Second, time.Second
	o.PoolSize = 48
	o.DisableIdentity = true // CLIENT SETINFO: a user with the least rights may not
	if !r.many() {
		return redis.NewClient(o), nil
	}
	return redis.NewUniversalClient(r.universal(o)), nil
}

func (r Redis) many() bool { return r.Cluster || r.Master != "" }

func (r Redis) trust(t *tls.Config) (*tls.Config, error) {
	if t == nil {
		return nil, nil
	}
	if r.many() {
		t.ServerName = "" // each server is asked for its own name, not for the first one's
	}
	if r.CA != nil {
		t.RootCAs = x509.NewCertPool()
		if !t.RootCAs.AppendCertsFromPEM(r.CA) {
			return nil, sweep.Errorf(sweep.Invalid, "the authority of Redis has no certificate in PEM")
		}
	}
	return t, nil
}

func (r Redis) universal(o *redis.Options) *redis.UniversalOptions {
	return &redis.UniversalOptions{
		Addrs: append([]string{o.Addr}, r.Addrs...), IsClusterMode: r.Cluster, MasterName: r.Master,
		DB: o.DB, Username: o.Username, Password: o.Password, SentinelUsername: r.SentinelUser, SentinelPassword: r.SentinelPassword,
		TLSConfig: o.TLSConfig, Protocol: o.Protocol, ClientName: o.ClientName, DisableIdentity: o.DisableIdentity, ContextTimeoutEnabled: o.ContextTimeoutEnabled, MaxRetries: o.MaxRetries,
		DialTimeout: o.DialTimeout, ReadTimeout: o.ReadTimeout, WriteTimeout: o.WriteTimeout, PoolSize: o.PoolSize,
	}
}

// ErrUnfit says that a Redis server is no place for a queue.
var ErrUnfit = errors.New("Redis may throw tasks away")

// CheckRedis refuses a server that may throw keys away when its memory is full: asynq would lose leases and with them tasks. Of a
// cluster every master is asked. A server that does not let itself be asked is taken on trust, with a line in the log. ErrUnfit; any
// other error says nothing about the server but that it did not answer.
func CheckRedis(ctx context.Context, c redis.UniversalClient, log *slog.Logger) error {
	if cluster, is := c.(*redis.ClusterClient); is {
		return cluster.ForEachMaster(ctx, func(ctx context.Context, master *redis.Client) error { return checkServer(ctx, master, log) })
	}
	return checkServer(ctx, c, log)
}

func checkServer(ctx context.Context, c redis.UniversalClient, log *slog.Logger) error {
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
		return fmt.Errorf("%w: it has %s %q; set it to noeviction", ErrUnfit, key, policy)
	}
	return nil
}

// shared hands our client, with its deadlines, to what insists on making one of its own. Whoever takes it must not close it.
type shared struct{ client redis.UniversalClient }

// MakeRedisClient implements asynq.RedisConnOpt.
func (s shared) MakeRedisClient() any { return s.client }

// unclosed is a client that outlives its user's wish to close it.
type unclosed struct{ redis.UniversalClient }

// Close does nothing.
func (unclosed) Close() error { return nil }

// asynqLog hands asynq's messages to our log. What it says of its own coming and going is for debugging.
type asynqLog struct{ log *slog.Logger }

func (l asynqLog) Debug(args ...any) { l.log.Debug(line(args)) }
func (l asynqLog) Info(args ...any)  { l.log.Debug(line(args)) }
func (l asynqLog) Warn(args ...any)  { l.log.Debug(line(args)) }
func (l asynqLog) Error(args ...any) { l.log.Warn(line(args)) }
func (l asynqLog) Fatal(args ...any) { l.log.Error(line(args)) }

func line(args []any) string { return "asynq: " + strings.TrimSpace(fmt.Sprint(args...)) }

var _ asynq.Logger = asynqLog{}
