package config

import (
	"bytes"
	"crypto/ed25519"
	"fmt"
	"net"
	"net/mail"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

const minSecretBytes = 32

// check applies what is wrong everywhere, then what production refuses besides.
func (c *Config) check(found *problems) {
	c.checkWords(found)
	c.checkAddresses(found)
	c.checkKeys(found)
	c.checkKeysets(found)
	c.checkOps(found)
	c.checkRedis(found)
	c.checkNumbers(found)
	c.checkStripe(found)
	if c.Env.IsProduction() {
		c.checkSeams(found)
		c.checkProductionSecrets(found)
		c.checkProductionAddresses(found)
		c.checkProductionStripe(found)
	}
}

func (c *Config) checkWords(found *problems) {
	oneOf := func(name, value string, allowed ...string) {
		if !slices.Contains(allowed, value) {
			found.add(name, "must be one of "+strings.Join(allowed, ", "))
		}
	}
	oneOf("ENV", string(c.Env), string(Development), string(Test), string(Production))
	oneOf("LOG_FORMAT", c.Log.Format, "json", "text")
	oneOf("GMAIL_TARIFF", c.Gmail.Tariff, "total_query_cost", "default")
	oneOf("REDIS_MODE", c.Redis.Mode, Standalone, Sentinel, Cluster)
	oneOf("SMTP_TLS", c.Mail.TLS, "none", "starttls", "tls")
	if _, err := mail.ParseAddress(c.Mail.From); err != nil {
		found.add("MAIL_FROM", "is not a mail address")
	}
}

func (c *Config) checkNumbers(found *problems) {
	atLeast := func(name string, n, least int) {
		if n < least {
			found.add(name, fmt.Sprintf("must be at least %d", least))
		}
	}
	atLeast("WORKER_CONCURRENCY", c.Jobs.Concurrency, 1)
	if d := c.Jobs.LookEvery; d < time.Millisecond || d > time.Second {
		found.add("WORKER_LOOK_EVERY", "must be between 1ms and 1s")
	}
	atLeast("RETENTION_MONTHS", c.DB.RetentionMonths, 2) // the database itself refuses less
	if n := c.DB.DeletionGraceDays; n < 1 || n > 29 {
		found.add("DELETION_GRACE_DAYS", "must be between 1 and 29")
	}
	atLeast("SIGNUPS_PER_HOUR_PER_IP", c.Limits.SignupsPerHourPerIP, 1)
	atLeast("SIGNUPS_PER_HOUR", c.Limits.SignupsPerHour, 1)
	if s := c.Limits.SignUps; s != "open" && s != "invited" {
		found.add("SIGN_UPS", "must be open or invited")
	}
	atLeast("MAX_CUSTOMERS", c.Limits.MaxCustomers, 0)
	atLeast("EXECUTES_PER_DAY", c.Limits.ExecutesPerDay, 1)
	atLeast("OPEN_JOBS_PER_CUSTOMER", c.Limits.OpenJobsPerCustomer, 1)
	atLeast("LOGIN_FAILURES_PER_IP", c.Limits.LoginFailuresPerIP, 1)
	atLeast("LOGIN_FAILURES_PER_USER", c.Limits.LoginFailuresPerUser, 1)
	if c.Keys.PasswordMin < 12 || c.Keys.PasswordMin > 64 {
		found.add("PASSWORD_MIN", "must be between 12 and 64")
	}
	if c.Keys.BcryptCost < 4 || c.Keys.BcryptCost > 31 {
		found.add("BCRYPT_COST", "must be between 4 and 31")
	}
	if c.Gmail.TimeScale <= 0 {
		found.add("GMAIL_TIMESCALE", "must be above 0")
	}
	atLeast("GMAIL_DAY_UNITS", int(c.Gmail.DayUnits), 0)
	if s := c.Gmail.DayShares; len(s) != 4 || !slices.IsSorted(s) || s[0] < 1 || s[3] > 100 {
		found.add("GMAIL_DAY_SHARES", "must be four percents, none smaller than the one before")
	}
	if c.Shutdown < time.Second {
		found.add("SHUTDOWN_TIMEOUT", "must be at least 1s")
	}
	if c.HTTP.Grace < 0 || c.HTTP.Grace > c.Shutdown/2 {
		found.add("SHUTDOWN_GRACE", "must be at most half of SHUTDOWN_TIMEOUT, which it is part of")
	}
}

func (c *Config) checkAddresses(found *problems) {
	for name, addr := range c.listeners() {
		if _, _, err := net.SplitHostPort(addr); err != nil {
			found.add(name, "must be host:port")
		}
	}
	addresses := c.urls()
	addresses["OTEL_EXPORTER_OTLP_ENDPOINT"] = c.Trace.Endpoint // not one of urls: a collector beside the process has plain http in production too
	for name, raw := range addresses {
		u, err := url.Parse(raw)
		if raw != "" && (err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.User != nil) {
			found.add(name, "must be an http or https URL")
		}
	}
	for _, origin := range c.HTTP.CORSOrigins {
		if u, err := url.Parse(origin); err != nil || u.Host == "" || u.Scheme+"://"+u.Host != origin {
			found.add("CORS_ORIGINS", "must list origins such as https://app.example.com, without path or wildcard")
		}
	}
	for _, network := range c.HTTP.TrustedProxies {
		if network.Bits() == 0 {
			found.add("TRUSTED_PROXIES", "must not trust every address")
		}
	}
	for name, s := range c.stores() {
		if _, err := url.Parse(s.Reveal()); err != nil {
			found.add(name, "is not a URL")
		}
	}
}

func (c *Config) listeners() map[string]string {
	return map[string]string{
		"API_ADDR": c.HTTP.Addr, "OPS_ADDR": c.Ops.APIAddr, "WORKER_OPS_ADDR": c.Ops.WorkerAddr,
		"SCHEDULER_OPS_ADDR": c.Ops.SchedulerAddr, "SMTP_ADDR": c.Mail.Addr,
	}
}

func (c *Config) urls() map[string]string {
	return map[string]string{
		"PUBLIC_URL": c.HTTP.PublicURL, "KMS_URL": c.Keys.KMSURL, "GMAIL_BASE_URL": c.Gmail.BaseURL,
		"GOOGLE_AUTH_URL": c.Google.AuthURL, "GOOGLE_TOKEN_URL": c.Google.TokenURL, "GOOGLE_REVOKE_URL": c.Google.RevokeURL,
		"GOOGLE_USERINFO_URL": c.Google.UserInfoURL, "GOOGLE_CERTS_URL": c.Google.CertsURL, "STRIPE_URL": c.Stripe.BaseURL,
	}
}

func (c *Config) stores() map[string]Secret {
	return map[string]Secret{
		"DATABASE_URL": c.DB.URL, "API_DATABASE_URL": c.DB.APIURL, "WORKER_DATABASE_URL": c.DB.WorkerURL,
		"SCHEDULER_DATABASE_URL": c.DB.SchedulerURL, "OPS_DATABASE_URL": c.DB.OpsURL, "REDIS_URL": c.Redis.URL,
	}
}

var keyID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

// checkKeys holds in every environment: a short or repeated key is a mistake in development too.
func (c *Config) checkKeys(found *problems) {
	for _, k := range c.JWT.Keys {
		if len(k.Bytes()) != ed25519.SeedSize {
			found.add("JWT_KEYS", "must hold Ed25519 seeds of exactly 32 bytes")
		}
	}
	for _, k := range c.Keys.Peppers {
		if len(k.Bytes()) < minSecretBytes {
			found.add("PASSWORD_PEPPERS", "must have at least 32 bytes each")
		}
	}
	if n := len(c.Keys.PseudonymKey.Bytes()); n > 0 && n < minSecretBytes {
		found.add("PSEUDONYM_KEY", "must have at least 32 bytes")
	}
	checkIDs(found, "JWT_KEYS", c.JWT.Keys)
	checkIDs(found, "PASSWORD_PEPPERS", c.Keys.Peppers)
	checkDistinct(found, c.keyBytes())
}

func checkIDs(found *problems, name string, keys []Key) {
	seen := map[string]bool{}
	for _, k := range keys {
		if !keyID.MatchString(k.ID) {
			found.add(name, "needs an id of letters, digits, - or _ before each key, as in id:base64")
		}
		if seen[k.ID] {
			found.add(name, "uses one id twice")
		}
		seen[k.ID] = true
	}
}

type namedBytes struct {
	name  string
	value []byte
}

func (c *Config) keyBytes() []namedBytes {
	var all []namedBytes
	for _, k := range c.JWT.Keys {
		all = append(all, namedBytes{"JWT_KEYS", k.Bytes()})
	}
	for _, k := range c.Keys.Peppers {
		all = append(all, namedBytes{"PASSWORD_PEPPERS", k.Bytes()})
	}
	return append(all, namedBytes{"PSEUDONYM_KEY", c.Keys.PseudonymKey.Bytes()})
}

func checkDistinct(found *problems, all []namedBytes) {
	for i, a := range all {
		for _, b := range all[:i] {
			if len(a.value) > 0 && bytes.Equal(a.value, b.value) {
				found.add(a.name, "repeats a value of "+b.name)
			}
		}
	}
}

func (c *Config) checkOps(found *problems) {
	if c.Ops.UsersFile != "" {
		users, err := readOpsUsers(c.Ops.UsersFile)
		if err != nil {
			found.add("OPS_USERS", "cannot be used: "+err.Error())
		}
		c.Ops.Users = users
	}
	addr := c.Ops.Addr(c.Process)
	if addr != "" && !isLoopback(addr) && len(c.Ops.Users) == 0 {
		found.add("OPS_USERS", "is required, with at least one user, because the operations listener is not on loopback")
	}
}

// isLoopback reports whether an address is reachable from this machine only; a name other than localhost may be anywhere.
func isLoopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}
