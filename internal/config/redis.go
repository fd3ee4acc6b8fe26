package config

import (
	"crypto/x509"
	"net"
	"net/url"
	"os"
	"regexp"
	"slices"
)

// checkRedis finds what does not fit together: a setting of another mode would be passed over in silence.
func (c *Config) checkRedis(found *problems) {
	r := &c.Redis
	u, err := url.Parse(r.URL.Reveal())
	if err != nil {
		return // told already
	}
	checkRedisURL(found, u, r.Mode)
	for _, addr := range r.Addrs {
		if host, port, err := net.SplitHostPort(addr); err != nil || host == "" || port == "" {
			found.add("REDIS_ADDRS", "must list host:port")
		}
	}
	if len(r.Addrs) > 0 && r.Mode == Standalone {
		found.add("REDIS_ADDRS", "is for REDIS_MODE sentinel or cluster")
	}
	if r.Mode == Sentinel && r.Master == "" {
		found.add("REDIS_MASTER", "is required in REDIS_MODE sentinel")
	}
	for name, given := range map[string]bool{
		"REDIS_MASTER": r.Master != "", "REDIS_SENTINEL_USER": r.SentinelUser != "", "REDIS_SENTINEL_PASSWORD": !r.SentinelPassword.IsZero(),
	} {
		if given && r.Mode != Sentinel {
			found.add(name, "is for REDIS_MODE sentinel")
		}
	}
	if r.SentinelUser != "" && r.SentinelPassword.IsZero() {
		found.add("REDIS_SENTINEL_PASSWORD", "is required with REDIS_SENTINEL_USER")
	}
	c.readRedisCA(found, u.Scheme)
}

var databaseNumber = regexp.MustCompile(`^/?[0-9]*$`)

func checkRedisURL(found *problems, u *url.URL, mode string) {
	switch {
	case !slices.Contains([]string{"redis", "rediss", "unix"}, u.Scheme):
		found.add("REDIS_URL", "must be a redis:// or rediss:// URL")
	case u.Scheme == "unix" && mode != Standalone:
		found.add("REDIS_URL", "cannot be a socket in this REDIS_MODE")
	case u.Scheme == "unix":
	case !databaseNumber.MatchString(u.Path):
		found.add("REDIS_URL", "must end with the number of a database")
	case mode == Cluster && (len(u.Path) > 1 && u.Path != "/0" || u.Query().Has("db")):
		found.add("REDIS_URL", "must not name a database: a cluster has number 0 only")
	}
	for name := range u.Query() {
		if mode != Standalone && !slices.Contains([]string{"db", "protocol", "client_name", "skip_verify"}, name) {
			found.add("REDIS_URL", "has a parameter that only the URL of a single server may have")
		}
	}
}

// readRedisCA: migrate has nothing to do with Redis, and need not have the file.
func (c *Config) readRedisCA(found *problems, scheme string) {
	if c.Redis.CAFile == "" || c.Process == Migrate {
		return
	}
	if scheme != "rediss" {
		found.add("REDIS_CA", "needs a rediss:// URL")
	}
	pem, err := os.ReadFile(c.Redis.CAFile)
	if err != nil {
		found.add("REDIS_CA", "cannot be read")
		return
	}
	if !x509.NewCertPool().AppendCertsFromPEM(pem) {
		found.add("REDIS_CA", "holds no certificate in PEM")
	}
	c.Redis.CA = pem
}
