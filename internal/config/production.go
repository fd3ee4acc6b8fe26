package config

import (
	"net/url"
	"slices"
	"strings"
)

// checkSeams refuses what exists for tests and demos.
func (c *Config) checkSeams(found *problems) {
	if c.ClockOffset != 0 {
		found.add("CLOCK_OFFSET", "must be 0 in production")
	}
	if c.Gmail.TimeScale != 1 {
		found.add("GMAIL_TIMESCALE", "must be 1 in production")
	}
	if c.Keys.BcryptCost < 12 {
		found.add("BCRYPT_COST", "must be at least 12 in production")
	}
}

// wellKnown are passwords that stand in manuals and compose files.
func wellKnown(s string) bool {
	return slices.Contains([]string{
		"postgres", "password", "passwd", "secret", "changeme", "change-me", "change_me", "mailsweep", "admin", "root", "redis",
		"example", "test", "dev", "development", "demo", "123456", "12345678", "letmein", "default",
	}, strings.ToLower(s))
}

func (c *Config) checkProductionSecrets(found *problems) {
	for _, k := range c.keyBytes() {
		if len(k.value) > 0 && distinctBytes(k.value) < 12 {
			found.add(k.name, "looks like an example, not like random bytes")
		}
	}
	var passwords []namedBytes
	for _, p := range []struct {
		name  string
		value Secret
	}{
		{"DB_OWNER_PASSWORD", c.DB.OwnerPassword}, {"DB_APP_PASSWORD", c.DB.AppPassword}, {"DB_WORKER_PASSWORD", c.DB.WorkerPassword},
		{"DB_SCHEDULER_PASSWORD", c.DB.SchedulerPassword}, {"DB_OPS_PASSWORD", c.DB.OpsPassword},
	} {
		if c.Process == Migrate && len(p.value.Reveal()) < minSecretBytes {
			found.add(p.name, "must have at least 32 characters in production")
		}
		passwords = append(passwords, namedBytes{p.name, []byte(p.value.Reveal())})
	}
	checkDistinct(found, append(c.keyBytes(), passwords...))
	if wellKnown(c.Google.ClientSecret.Reveal()) {
		found.add("GOOGLE_CLIENT_SECRET", "is an example value")
	}
	if wellKnown(c.Redis.SentinelPassword.Reveal()) {
		found.add("REDIS_SENTINEL_PASSWORD", "is an example value")
	}
	if wellKnown(c.Mail.Password.Reveal()) {
		found.add("SMTP_PASSWORD", "is an example value")
	}
}

func distinctBytes(b []byte) int {
	seen := map[byte]bool{}
	for _, x := range b {
		seen[x] = true
	}
	return len(seen)
}

func (c *Config) checkProductionAddresses(found *problems) {
	for name, s := range c.stores() {
		if u, err := url.Parse(s.Reveal()); err == nil {
			if password, _ := u.User.Password(); wellKnown(password) {
				found.add(name, "holds a well-known password")
			}
		}
	}
	if c.Process == Migrate {
		return
	}
	for name, raw := range c.urls() {
		if raw != "" && !strings.HasPrefix(raw, "https://") {
			found.add(name, "must be https in production")
		}
	}
	for _, origin := range c.HTTP.CORSOrigins {
		if !strings.HasPrefix(origin, "https://") {
			found.add("CORS_ORIGINS", "must be https in production")
		}
	}
	if c.Mail.TLS == "none" && !isLoopback(c.Mail.Addr) {
		found.add("SMTP_TLS", "must not be none in production")
	}
	if strings.Contains(c.Mail.From, "@localhost") {
		found.add("MAIL_FROM", "is the default; set an address of yours")
	}
}
