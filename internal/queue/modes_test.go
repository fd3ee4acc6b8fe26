package queue_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hibiken/asynq"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/queue"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

// direct is a client with all rights at one server, as who runs it has.
func direct(t *testing.T, address string) *redis.Client {
	t.Helper()
	o, err := redis.ParseURL(address)
	require.NoError(t, err)
	c := redis.NewClient(o)
	t.Cleanup(func() { c.Close() })
	return c
}

func hostOf(t *testing.T, address string) string {
	t.Helper()
	u, err := url.Parse(address)
	require.NoError(t, err)
	return u.Host
}

// carries runs all parts of a queue and counts the runs of jobs.
func (p *plant) carries() (runs *atomic.Int32, ordered chan sweep.ID, d *queue.Dispatcher) {
	runs, ordered, d = &atomic.Int32{}, make(chan sweep.ID, 100), p.dispatcher()
	w := &queue.Worker{Redis: p.redis(), Concurrency: 4, Log: p.log, Order: func(job sweep.ID) { ordered <- job },
		Job: p.claims(func(context.Context, queue.Task) error { runs.Add(1); return nil })}
	p.runs(d.Run, p.sweeper().Run, w.Run)
	return runs, ordered, d
}

// hears waits until an order gets through: subscriptions take their time to begin.
func hears(t *testing.T, d *queue.Dispatcher, ordered <-chan sweep.ID, job sweep.ID) {
	t.Helper()
	testkit.Eventually(t, 10*time.Second, func() bool {
		d.Order(job)
		select {
		case got := <-ordered:
			return got == job
		case <-time.After(50 * time.Millisecond):
			return false
		}
	}, "the worker hears of the order")
}

// encrypt lets a server speak TLS on a second port, with a certificate that signs itself; it gives the address and the certificate.
func encrypt(t *testing.T, c *redis.Client) (address string, authority []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	authority = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})
	dir := t.TempDir()
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755), "the server may run as another user")
	require.NoError(t, os.WriteFile(dir+"/cert", authority, 0o644))
	require.NoError(t, os.WriteFile(dir+"/key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o644))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address = l.Addr().String()
	require.NoError(t, l.Close())
	_, port, _ := strings.Cut(address, ":")
	require.NoError(t, c.Do(t.Context(), "CONFIG", "SET", "tls-cert-file", dir+"/cert", "tls-key-file", dir+"/key",
		"tls-auth-clients", "no", "tls-ca-cert-file", dir+"/cert", "tls-port", port).Err())
	return address, authority
}

func TestTheDocumentedRedisUserIsEnoughForTheQueueOverTLS(t *testing.T) {
	t.Parallel()
	root := direct(t, testkit.OwnRedis(t).URL)
	address, authority := encrypt(t, root)
	rule, err := os.ReadFile("../../deployments/redis.acl")
	require.NoError(t, err)
	words := strings.Fields(strings.ReplaceAll(string(rule), "PASSWORD", password))
	args := []any{"ACL", "SETUSER"}
	for _, w := range words[1:] {
		args = append(args, w)
	}
	require.NoError(t, root.Do(t.Context(), args...).Err())
	require.NoError(t, root.Do(t.Context(), "ACL", "SETUSER", "default", "resetpass", ">other").Err())
	at := queue.Redis{URL: "rediss://mailsweep:" + password + "@" + address + "/0", CA: authority}
	p := plantOn(t, at)
	c := p.redis()
	require.NoError(t, queue.CheckRedis(t.Context(), c, p.log))
	runs, ordered, d := p.carries()
	p.runs((&queue.Periodic{Redis: p.redis(), Duties: map[string]string{"a": "@every 1s"}, Log: p.log}).Run)
	job := p.submit(sweep.Execute)
	p.submit(sweep.Analyze)
	d.Hint()
	testkit.Eventually(t, 10*time.Second, func() bool { return p.count("state = 'succeeded'") == 2 }, "both succeed")
	require.EqualValues(t, 2, runs.Load())
	hears(t, d, ordered, job)
	inspector := asynq.NewInspectorFromRedisClient(c)
	_, err = inspector.GetQueueInfo("bulk")
	require.NoError(t, err)
	_, err = queue.Sizes(t.Context(), c)
	require.NoError(t, err)
	denied, err := root.Do(t.Context(), "ACL", "LOG").Slice()
	require.NoError(t, err)
	require.Empty(t, denied, "nothing that we do was refused")
	require.Error(t, c.FlushAll(t.Context()).Err())
	require.Error(t, c.Set(t.Context(), "other", 1, 0).Err())
	require.Error(t, c.ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err())
	stranger, err := queue.Connect(queue.Redis{URL: at.URL})
	require.NoError(t, err)
	defer stranger.Close()
	require.ErrorContains(t, stranger.Ping(t.Context()).Err(), "certificate", "the authority of another is not believed")
}

// cluster is three masters that share the slots.
func cluster(t *testing.T) (at queue.Redis, masters []*redis.Client) {
	t.Helper()
	at.Cluster = true
	for range 3 {
		s := testkit.RedisNode(t)
		masters = append(masters, direct(t, s.URL))
		if at.URL == "" {
			at.URL = s.URL
		} else {
			at.Addrs = append(at.Addrs, hostOf(t, s.URL))
		}
	}
	for i, from := range []int{0, 5461, 10923} {
		to := []int{5460, 10922, 16383}[i]
		require.NoError(t, masters[i].ClusterAddSlotsRange(t.Context(), from, to).Err())
		require.NoError(t, masters[i].Do(t.Context(), "CLUSTER", "SET-CONFIG-EPOCH", i+1).Err())
	}
	for _, address := range at.Addrs {
		host, port, _ := strings.Cut(address, ":")
		require.NoError(t, masters[0].ClusterMeet(t.Context(), host, port).Err())
	}
	for _, m := range masters {
		testkit.Eventually(t, 15*time.Second, func() bool {
			info, err := m.ClusterInfo(t.Context()).Result()
			return err == nil && strings.Contains(info, "cluster_state:ok") && strings.Contains(info, "cluster_known_nodes:3")
		}, "the nodes are a cluster")
	}
	return at, masters
}

func TestAClusterCarriesJobsAndOrders(t *testing.T) {
	t.Parallel()
	at, masters := cluster(t)
	p := plantOn(t, at)
	require.NoError(t, queue.CheckRedis(t.Context(), p.redis(), p.log))
	runs, ordered, d := p.carries()
	for range 5 {
		p.submit(sweep.Analyze)
		p.submit(sweep.DryRun)
	}
	job := p.submit(sweep.Execute)
	d.Hint()
	testkit.Eventually(t, 15*time.Second, func() bool { return p.count("state = 'succeeded'") == 11 }, "all succeed")
	require.EqualValues(t, 11, runs.Load(), "each once")
	require.Zero(t, p.count("epoch <> 1"), "nothing was sent twice")
	hears(t, d, ordered, job)
	for _, m := range masters {
		require.NoError(t, m.ConfigSet(t.Context(), "maxmemory-policy", "allkeys-lru").Err())
		require.ErrorContains(t, queue.CheckRedis(t.Context(), p.redis(), p.log), "noeviction", "any master may throw tasks away")
		require.NoError(t, m.ConfigSet(t.Context(), "maxmemory-policy", "noeviction").Err())
	}
}

func TestAFailoverBySentinelLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	master, replica := testkit.OwnRedis(t), testkit.OwnRedis(t)
	host, port, _ := strings.Cut(hostOf(t, master.URL), ":")
	second := direct(t, replica.URL)
	require.NoError(t, second.ReplicaOf(t.Context(), host, port).Err())
	testkit.Eventually(t, 10*time.Second, func() bool {
		return strings.Contains(second.Info(t.Context(), "replication").Val(), "master_link_status:up")
	}, "the replica follows")
	watch := direct(t, testkit.Sentinel(t, "line", master).URL)
	testkit.Eventually(t, 15*time.Second, func() bool {
		n, err := watch.Do(t.Context(), "SENTINEL", "REPLICAS", "line").Slice()
		return err == nil && len(n) == 1
	}, "the Sentinel knows the replica")
	p := plantOn(t, queue.Redis{URL: fmt.Sprintf("redis://%s/0", watch.Options().Addr), Master: "line"})
	require.NoError(t, queue.CheckRedis(t.Context(), p.redis(), slog.New(slog.DiscardHandler)))
	const jobs = 30
	for range jobs {
		p.submit(sweep.Analyze)
	}
	struck := make(chan struct{})
	var runs atomic.Int32
	w := &queue.Worker{Redis: p.redis(), Concurrency: 8, Log: p.log, Job: p.claims(func(context.Context, queue.Task) error {
		if runs.Add(1) == 5 {
			close(struck)
		}
		return nil
	})}
	p.runs(p.dispatcher().Run, p.sweeper().Run, w.Run)
	<-struck
	master.Kill()
	dead := time.Now()
	testkit.Eventually(t, 40*time.Second, func() bool { return p.count("state = 'succeeded'") == jobs }, "all succeed")
	t.Logf("all done %s after the master's death", time.Since(dead))
	require.EqualValues(t, jobs, runs.Load(), "each once")
	require.Contains(t, second.Info(t.Context(), "replication").Val(), "role:master")
	require.NoError(t, queue.CheckRedis(t.Context(), p.redis(), p.log))
}
