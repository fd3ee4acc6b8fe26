package config

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/joho/godotenv"
)

var update = flag.Bool("update", false, "write .env.example from the configuration struct")

func key(seed byte) string {
	b := make([]byte, 32)
	for i := range b {
		b[i] = seed + byte(i)*7
	}
	return base64.StdEncoding.EncodeToString(b)
}

const hash = "$2a$12$abcdefghijklmnopqrstuuabcdefghijklmnopqrstuvwxyz01234"

// good is a production environment that every process accepts.
func good(t *testing.T, process string) map[string]string {
	t.Helper()
	m := map[string]string{
		"ENV": "production", "PUBLIC_URL": "https://mailsweep.example/", "MAIL_FROM": "Mailsweep <hello@mailsweep.example>",
		"SMTP_ADDR": "smtp.example:587", "SMTP_PASSWORD": "p-Vq83nfAAkz", "GOOGLE_CLIENT_ID": "id", "GOOGLE_CLIENT_SECRET": "GOCSPX-9zqkfa0",
		"JWT_KEYS": "k2:" + key(1) + ",k1:" + key(2), "PASSWORD_PEPPERS": "p1:" + key(3), "PSEUDONYM_KEY": key(4),
		"TOKEN_KEYSET_PUBLIC": written(t, clearKeyset, 0o600), "INDEX_KEYSET": written(t, clearKeyset, 0o600),
		"DATABASE_URL": "postgres://boot:Zk3vnq@db/mailsweep", "API_DATABASE_URL": "postgres://app:Qm2nvx@db/mailsweep",
		"WORKER_DATABASE_URL": "postgres://worker:Lw9xme@db/mailsweep", "SCHEDULER_DATABASE_URL": "postgres://scheduler:Vv0ska@db/mailsweep",
		"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318",
	}
	if process == Worker {
		m["TOKEN_KEYSET_PRIVATE"] = written(t, clearKeyset, 0o600)
	}
	for i, role := range []string{"OWNER", "APP", "WORKER", "SCHEDULER", "OPS"} {
		m["DB_"+role+"_PASSWORD"] = key(byte(100 + i))
	}
	return m
}

const (
	clearKeyset     = `{"primaryKeyId":7,"key":[]}`
	encryptedKeyset = `{"encryptedKeyset":"c2VhbGVk","keysetInfo":{"primaryKeyId":7}}`
)

// written is a file of the test's.
func written(t *testing.T, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := errors.Join(os.WriteFile(path, []byte(text), mode), os.Chmod(path, mode)); err != nil {
		t.Fatal(err)
	}
	return path
}

func with(m map[string]string, pairs ...string) map[string]string {
	m = maps.Clone(m)
	for i := 0; i < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	return m
}

func TestProductionSettingsAreAccepted(t *testing.T) {
	t.Parallel()
	for _, process := range []string{API, Worker, Scheduler, Migrate, Dev} {
		c, err := load(process, good(t, process))
		if err != nil {
			t.Fatalf("%s: %v", process, err)
		}
		if c.HTTP.PublicURL != "https://mailsweep.example" || c.Log.Format != "json" || c.Mail.TLS != "starttls" || c.Jobs.Concurrency != 32 {
			t.Errorf("%s: unexpected %+v", process, c)
		}
	}
}

func TestAProcessKnowsOnlyItsOwnSecrets(t *testing.T) {
	t.Parallel()
	all := with(good(t, Worker), "ENV", "development")
	secrets := map[string]func(Config) bool{
		"bootstrap login": func(c Config) bool { return !c.DB.URL.IsZero() || !c.DB.AppPassword.IsZero() },
		"token opener":    func(c Config) bool { return !c.Keys.TokenPrivate.IsZero() },
		"JWT keys":        func(c Config) bool { return len(c.JWT.Keys) > 0 },
		"peppers":         func(c Config) bool { return len(c.Keys.Peppers) > 0 },
		"worker's login":  func(c Config) bool { return !c.DB.WorkerURL.IsZero() },
	}
	may := map[string][]string{
		API: {"JWT keys", "peppers"}, Worker: {"token opener", "worker's login"}, Scheduler: {}, Migrate: {"bootstrap login"},
	}
	for process, allowed := range may {
		c, err := load(process, all)
		if err != nil {
			t.Fatalf("%s: %v", process, err)
		}
		for what, has := range secrets {
			if want := strings.Contains(strings.Join(allowed, ";"), what); has(c) != want {
				t.Errorf("%s: has %s = %v", process, what, !want)
			}
		}
	}
}

// badSetting is a change to a good environment that a process must refuse, naming the setting.
type badSetting struct {
	process string
	name    string
	set     []string
}

func badSettings() []badSetting {
	inline := clearKeyset
	return []badSetting{
		{API, "ENV", []string{"ENV", "prod"}},
		{API, "JWT_KEYS", []string{"JWT_KEYS", ""}},
		{API, "JWT_KEYS", []string{"JWT_KEYS", "k:" + base64.StdEncoding.EncodeToString(make([]byte, 31))}},
		{API, "JWT_KEYS", []string{"JWT_KEYS", "k:" + base64.StdEncoding.EncodeToString(make([]byte, 32))}},
		{API, "JWT_KEYS", []string{"JWT_KEYS", key(1)}},
		{API, "JWT_KEYS", []string{"JWT_KEYS", "k:" + key(1) + ",k:" + key(2)}},
		{API, "JWT_KEYS", []string{"JWT_KEYS", "k:not base64!"}},
		{API, "PASSWORD_PEPPERS", []string{"PASSWORD_PEPPERS", "p:c2hvcnQ="}},
		{API, "PASSWORD_PEPPERS", []string{"PASSWORD_PEPPERS", "p:" + key(1)}},
		{API, "PSEUDONYM_KEY", []string{"PSEUDONYM_KEY", key(3)}},
		{API, "PSEUDONYM_KEY", []string{"PSEUDONYM_KEY", "c2hvcnQ="}},
		{API, "CLOCK_OFFSET", []string{"CLOCK_OFFSET", "1h"}},
		{Worker, "GMAIL_TIMESCALE", []string{"GMAIL_TIMESCALE", "60"}},
		{Worker, "GMAIL_TIMESCALE", []string{"ENV", "test", "GMAIL_TIMESCALE", "0"}},
		{API, "PUBLIC_URL", []string{"PUBLIC_URL", "http://mailsweep.example"}},
		{API, "PUBLIC_URL", []string{"PUBLIC_URL", "mailsweep.example"}},
		{API, "BCRYPT_COST", []string{"BCRYPT_COST", "11"}},
		{API, "PASSWORD_MIN", []string{"PASSWORD_MIN", "11"}},
		{API, "PASSWORD_MIN", []string{"PASSWORD_MIN", "65"}},
		{API, "SIGNUPS_PER_HOUR", []string{"SIGNUPS_PER_HOUR", "0"}},
		{API, "TOKEN_KEYSET_PUBLIC", []string{"TOKEN_KEYSET_PUBLIC", inline}},
		{Worker, "TOKEN_KEYSET_PRIVATE", []string{"TOKEN_KEYSET_PRIVATE", base64.StdEncoding.EncodeToString([]byte(inline))}},
		{API, "TOKEN_KEYSET_PRIVATE", []string{"TOKEN_KEYSET_PRIVATE", "/run/secrets/token-private.json"}},
		{API, "INDEX_KEYSET", []string{"INDEX_KEYSET", inline}},
		{API, "CORS_ORIGINS", []string{"CORS_ORIGINS", "*"}},
		{API, "CORS_ORIGINS", []string{"CORS_ORIGINS", "https://a.example,https://b.example/path"}},
		{API, "CORS_ORIGINS", []string{"CORS_ORIGINS", "http://a.example"}},
		{API, "TRUSTED_PROXIES", []string{"TRUSTED_PROXIES", "0.0.0.0/0"}},
		{API, "TRUSTED_PROXIES", []string{"TRUSTED_PROXIES", "10.0.0.300/8"}},
		{API, "OPS_USERS", []string{"OPS_ADDR", "0.0.0.0:8001"}},
		{Worker, "OPS_USERS", []string{"WORKER_OPS_ADDR", ":8002"}},
		{API, "OPS_USERS", []string{"OPS_USERS", "/nowhere/users"}},
		{API, "OTEL_EXPORTER_OTLP_ENDPOINT", []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"}},
		{API, "OTEL_EXPORTER_OTLP_ENDPOINT", []string{"OTEL_EXPORTER_OTLP_ENDPOINT", "https://ada:hunter2@collector:4318"}},
		{API, "API_ADDR", []string{"API_ADDR", "8000"}},
		{API, "API_DATABASE_URL", []string{"API_DATABASE_URL", ""}},
		{API, "API_DATABASE_URL", []string{"API_DATABASE_URL", "postgres://app:Password@db/x"}},
		{Migrate, "DB_APP_PASSWORD", []string{"DB_APP_PASSWORD", "short"}},
		{Migrate, "DB_APP_PASSWORD", []string{"DB_APP_PASSWORD", key(100)}},
		{API, "GOOGLE_CLIENT_SECRET", []string{"GOOGLE_CLIENT_SECRET", "changeme"}},
		{API, "GOOGLE_TOKEN_URL", []string{"GOOGLE_TOKEN_URL", "http://127.0.0.1:9/token"}},
		{API, "GMAIL_TARIFF", []string{"GMAIL_TARIFF", "cheap"}},
		{API, "PLAN_LIMITS", []string{"PLAN_LIMITS", `{"gold":{}}`}},
		{API, "PLAN_LIMITS", []string{"PLAN_LIMITS", `{"free":{"emails":1}}`}},
		{API, "PLAN_LIMITS", []string{"PLAN_LIMITS", `{"free":{"mailboxes":-1}}`}},
		{Worker, "WORKER_CONCURRENCY", []string{"WORKER_CONCURRENCY", "none"}},
		{Worker, "WORKER_CONCURRENCY", []string{"WORKER_CONCURRENCY", "0"}},
		{Worker, "SMTP_TLS", []string{"SMTP_TLS", "none"}},
		{Worker, "MAIL_FROM", []string{"MAIL_FROM", ""}},
		{Worker, "LOG_LEVEL", []string{"LOG_LEVEL", "loud"}},
		{Worker, "SHUTDOWN_TIMEOUT", []string{"SHUTDOWN_TIMEOUT", "25"}},
	}
}

func TestBadSettingsAreRefusedByName(t *testing.T) {
	t.Parallel()
	for _, c := range badSettings() {
		_, err := load(c.process, with(good(t, c.process), c.set...))
		if err == nil {
			t.Errorf("%s accepts %v", c.process, c.set)
			continue
		}
		if !strings.Contains(err.Error(), ": "+c.name+" ") && !strings.Contains(err.Error(), "\n  "+c.name+" ") {
			t.Errorf("%v: error does not name %s: %v", c.set, c.name, err)
		}
	}
}

func TestAllMistakesAreToldTogetherWithoutSecrets(t *testing.T) {
	t.Parallel()
	_, err := load(API, map[string]string{
		"ENV": "production", "JWT_KEYS": "k:hunter2hunter2%", "PASSWORD_PEPPERS": "p:aHVudGVyMg==",
		"API_DATABASE_URL": "postgres://app:hunter2@%zz", "WORKER_CONCURRENCY": "many", "CLOCK_OFFSET": "soon",
	})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, name := range []string{"JWT_KEYS", "PASSWORD_PEPPERS", "API_DATABASE_URL", "WORKER_CONCURRENCY", "CLOCK_OFFSET",
		"PSEUDONYM_KEY", "TOKEN_KEYSET_PUBLIC", "INDEX_KEYSET", "GOOGLE_CLIENT_ID", "GOOGLE_CLIENT_SECRET", "PUBLIC_URL", "MAIL_FROM"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%s is not told in: %v", name, err)
		}
	}
	if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "aHVudGVyMg") {
		t.Errorf("a secret is told in: %v", err)
	}
}

func TestSecretsPrintRedacted(t *testing.T) {
	t.Parallel()
	c, err := load(Dev, with(good(t, Dev), "SMTP_PASSWORD", "canary-5f2a"))
	if err != nil {
		t.Fatal(err)
	}
	type hidden struct{ s Secret }
	encoded, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "config", c, "secret", c.Mail.Password, "key", c.Keys.PseudonymKey)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "config", c, "secret", c.Mail.Password, "keys", c.JWT.Keys)
	printed := string(encoded) + log.String() + fmt.Sprint(c, &c, c.JWT, hidden{c.Mail.Password}, c.Mail.Password)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		printed += fmt.Sprintf(verb+verb+verb, c, hidden{c.Mail.Password}, c.JWT.Keys)
	}
	for _, canary := range []string{"canary-5f2a", fmt.Sprintf("%x", "canary-5f2a"), key(1), key(3), "Qm2nvx"} {
		if strings.Contains(printed, canary) {
			t.Errorf("%q is printed", canary)
		}
	}
	if !strings.Contains(printed, redacted) || c.Mail.Password.Reveal() != "canary-5f2a" {
		t.Error("the secret is neither redacted nor revealed")
	}
}

func TestOpsUsersAreRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "users")
	text := "# people\n\nana:" + hash + ":operator\nbob:" + hash + ":viewer\n"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := load(API, with(good(t, API), "OPS_USERS", path, "OPS_ADDR", "0.0.0.0:8001"))
	if err != nil || len(c.Ops.Users) != 2 || c.Ops.Users[0].Name != "ana" || c.Ops.Users[1].Role != "viewer" {
		t.Fatalf("%+v, %v", c.Ops.Users, err)
	}
	for _, bad := range []string{"ana:plain:operator\n", "ana:" + hash + ":king\n", "ana:" + hash + "\n", text + "bob:" + hash + ":viewer\n"} {
		if err := os.WriteFile(path, []byte(bad), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := load(API, with(good(t, API), "OPS_USERS", path)); err == nil || strings.Contains(err.Error(), hash) {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestPlanLimitsOverrideOnlyWhatTheyName(t *testing.T) {
	t.Parallel()
	c, err := load(API, with(good(t, API), "PLAN_LIMITS", `{"free":{"emails_per_period":7}}`))
	if err != nil {
		t.Fatal(err)
	}
	free := c.Limits.Plans["free"]
	if free.EmailsPerPeriod == nil || *free.EmailsPerPeriod != 7 || free.Mailboxes != nil || len(c.Limits.Plans) != 1 {
		t.Errorf("%+v", c.Limits.Plans)
	}
}

func TestExampleFileIsComplete(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", ".env.example")
	if *update {
		if err := os.WriteFile(path, []byte(Example()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	written, err := os.ReadFile(path)
	if err != nil || string(written) != Example() {
		t.Errorf(".env.example is not what the configuration says; write it with: go test ./internal/config -update (%v)", err)
	}
	parsed, err := godotenv.Unmarshal(Example())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range Fields() {
		if f.Description == "" || !strings.Contains(Table(), "`"+f.Name+"`") {
			t.Errorf("%s lacks a description or a row", f.Name)
		}
		if f.Secret && f.Default != "" && f.Name != "REDIS_URL" {
			t.Errorf("%s is a secret with a default", f.Name)
		}
	}
	if _, err := load(Dev, parsed); err != nil {
		t.Errorf("the example does not load: %v", err)
	}
}

func TestDotEnvSetsOnlyWhatIsNotSet(t *testing.T) {
	path := filepath.Join(t.TempDir(), ".env")
	if err := os.WriteFile(path, []byte("WORKER_CONCURRENCY=7\nOPEN_JOBS_PER_CUSTOMER=9\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("WORKER_CONCURRENCY", "5")
	t.Setenv("OPEN_JOBS_PER_CUSTOMER", "")
	if err := os.Unsetenv("OPEN_JOBS_PER_CUSTOMER"); err != nil {
		t.Fatal(err)
	}
	if err := ReadDotEnv(path); err != nil {
		t.Fatal(err)
	}
	if err := ReadDotEnv(path + ".missing"); err != nil {
		t.Fatal(err)
	}
	c, err := Load(Dev)
	if err != nil || c.Jobs.Concurrency != 5 || c.Limits.OpenJobsPerCustomer != 9 {
		t.Errorf("%d, %d, %v", c.Jobs.Concurrency, c.Limits.OpenJobsPerCustomer, err)
	}
}
