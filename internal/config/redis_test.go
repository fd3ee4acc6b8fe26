package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestRedisIsOneServerSentinelsOrACluster(t *testing.T) {
	t.Parallel()
	for mode, set := range map[string][]string{
		Standalone: {"REDIS_URL", "rediss://mailsweep:p-Kq03xz@redis.example:6380/2"},
		Sentinel: {"REDIS_URL", "redis://mailsweep:p-Kq03xz@s1:26379/2", "REDIS_MODE", "sentinel", "REDIS_ADDRS", "s2:26379,s3:26379", "REDIS_MASTER", "main",
			"REDIS_SENTINEL_USER", "watcher", "REDIS_SENTINEL_PASSWORD", "p-Ww71bq"},
		Cluster: {"REDIS_URL", "redis://mailsweep:p-Kq03xz@n1:6379", "REDIS_MODE", "cluster", "REDIS_ADDRS", "n2:6379,[::1]:6379"},
	} {
		c, err := load(API, with(good(t, API), set...))
		if err != nil {
			t.Fatalf("%s: %v", mode, err)
		}
		if c.Redis.Mode != mode || (mode == Standalone) != (len(c.Redis.Addrs) == 0) {
			t.Errorf("%s: unexpected %+v", mode, c.Redis)
		}
	}
}

func TestRedisSettingsThatDoNotFitTogetherAreRefusedByName(t *testing.T) {
	t.Parallel()
	noPEM := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(noPEM, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []badSetting{
		{API, "REDIS_URL", []string{"REDIS_URL", "http://redis.example"}},
		{API, "REDIS_URL", []string{"REDIS_URL", "redis.example:6379"}},
		{API, "REDIS_URL", []string{"REDIS_URL", "redis://redis.example/one"}},
		{API, "REDIS_URL", []string{"REDIS_URL", "redis://:changeme@redis.example"}},
		{API, "REDIS_URL", []string{"REDIS_URL", "redis://n1:6379/3", "REDIS_MODE", "cluster"}},
		{API, "REDIS_URL", []string{"REDIS_URL", "redis://n1:6379?pool_size=3", "REDIS_MODE", "cluster"}},
		{API, "REDIS_URL", []string{"REDIS_URL", "unix:///run/redis.sock", "REDIS_MODE", "cluster"}},
		{API, "REDIS_MODE", []string{"REDIS_MODE", "ring"}},
		{API, "REDIS_ADDRS", []string{"REDIS_ADDRS", "n2:6379"}},
		{API, "REDIS_ADDRS", []string{"REDIS_ADDRS", "n2", "REDIS_MODE", "cluster", "REDIS_URL", "redis://n1:6379"}},
		{API, "REDIS_MASTER", []string{"REDIS_MODE", "sentinel"}},
		{API, "REDIS_MASTER", []string{"REDIS_MASTER", "main"}},
		{API, "REDIS_SENTINEL_PASSWORD", []string{"REDIS_SENTINEL_PASSWORD", "p-Ww71bq"}},
		{API, "REDIS_SENTINEL_PASSWORD", []string{"REDIS_MODE", "sentinel", "REDIS_MASTER", "main", "REDIS_SENTINEL_USER", "watcher"}},
		{API, "REDIS_SENTINEL_PASSWORD", []string{"REDIS_MODE", "sentinel", "REDIS_MASTER", "main", "REDIS_SENTINEL_PASSWORD", "changeme"}},
		{API, "REDIS_CA", []string{"REDIS_CA", "/nowhere/ca.pem", "REDIS_URL", "rediss://redis.example"}},
		{API, "REDIS_CA", []string{"REDIS_CA", noPEM, "REDIS_URL", "rediss://redis.example"}},
		{API, "REDIS_CA", []string{"REDIS_CA", noPEM, "REDIS_URL", "redis://redis.example"}},
	} {
		_, err := load(c.process, with(good(t, c.process), c.set...))
		if err == nil || !strings.Contains(err.Error(), c.name+" ") {
			t.Errorf("%v: error does not name %s: %v", c.set, c.name, err)
		}
	}
}

func TestAllMistakesOfRedisAreToldTogetherWithoutSecrets(t *testing.T) {
	t.Parallel()
	_, err := load(API, with(good(t, API), "REDIS_URL", "redis://user:hunter2@n1/x", "REDIS_MODE", "cluster", "REDIS_ADDRS", "n2", "REDIS_MASTER", "main",
		"REDIS_SENTINEL_PASSWORD", "hunter2", "REDIS_CA", "/nowhere/ca.pem"))
	if err == nil {
		t.Fatal("accepted")
	}
	for _, name := range []string{"5 mistakes", "REDIS_URL", "REDIS_ADDRS", "REDIS_MASTER", "REDIS_SENTINEL_PASSWORD", "REDIS_CA"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not told in: %v", name, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a secret is told in: %v", err)
	}
}
