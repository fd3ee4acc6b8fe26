package app

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/config"
)

// startEnv makes a process of the test's program start as the binary of that name does.
const startEnv = "MAILSWEEP_TEST_START"

// TestMain is that process, where it is started as one: it reads its settings as the three binaries do, and ends with their code; 0: it would run.
func TestMain(m *testing.M) {
	if process := os.Getenv(startEnv); process != "" {
		os.Exit(Main(process, func(context.Context, config.Config, *slog.Logger) error { return nil }))
	}
	os.Exit(m.Run())
}

// started gives the exit code of a binary under these settings and what it said.
func started(t *testing.T, process string, settings map[string]string) (code int, said string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Dir = t.TempDir() // no .env
	cmd.Env = []string{startEnv + "=" + process, "PATH=/usr/bin:/bin"}
	for name, value := range settings {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	var out bytes.Buffer
	cmd.Stderr = &out
	err := cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ExitCode(), out.String()
	}
	require.NoError(t, err)
	return 0, out.String()
}

// seed is 32 bytes in base64 that look random.
func seed(n byte) string {
	b := make([]byte, 32)
	for i := range b {
		b[i] = n + byte(i)*7
	}
	return base64.StdEncoding.EncodeToString(b)
}

// production are settings with which each of the three binaries starts.
func production(t *testing.T) map[string]string {
	t.Helper()
	file := func(name string) string {
		path := filepath.Join(t.TempDir(), name)
		require.NoError(t, os.WriteFile(path, []byte(`{"primaryKeyId":7,"key":[]}`), 0o600))
		return path
	}
	return map[string]string{"ENV": "production", "PUBLIC_URL": "https://mailsweep.example", "MAIL_FROM": "Mailsweep <hello@mailsweep.example>", "SMTP_ADDR": "smtp.example:587",
		"GOOGLE_CLIENT_ID": "id", "GOOGLE_CLIENT_SECRET": "GOCSPX-9zqkfa0", "JWT_KEYS": "k2:" + seed(1) + ",k1:" + seed(2), "PASSWORD_PEPPERS": "p1:" + seed(3), "PSEUDONYM_KEY": seed(4),
		"TOKEN_KEYSET_PUBLIC": file("public"), "INDEX_KEYSET": file("index"), "API_DATABASE_URL": "postgres://app:Qm2nvx@db/mailsweep",
		"WORKER_DATABASE_URL": "postgres://worker:Lw9xme@db/mailsweep", "SCHEDULER_DATABASE_URL": "postgres://scheduler:Vv0ska@db/mailsweep", "REDIS_URL": "redis://:Hx81kq@cache:6379/0"}
}

// JWT-2: a signing secret that is short, a default or another's stops the start of the binary that has it, with its name and without its value.
func TestBadSecretsStopTheStart(t *testing.T) {
	t.Parallel()
	short, constant := base64.StdEncoding.EncodeToString([]byte("0123456789abcdefghijklmnopqrstu")), base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("ab"), 16))
	for process, bad := range map[string][][2]string{
		config.API: {
			{"JWT_KEYS", ""}, {"JWT_KEYS", "k1:" + short}, {"JWT_KEYS", "k1:c2VjcmV0"}, {"JWT_KEYS", "k1:" + base64.StdEncoding.EncodeToString(make([]byte, 32))}, {"JWT_KEYS", "k1:" + constant},
			{"JWT_KEYS", "k1:" + seed(1) + ",k2:" + seed(1)}, {"JWT_KEYS", "k1:" + seed(1) + ",k1:" + seed(2)}, {"JWT_KEYS", seed(1)}, {"JWT_KEYS", "k1:change me!"},
			{"PASSWORD_PEPPERS", "p1:" + seed(1)}, {"PASSWORD_PEPPERS", "p1:" + short}, {"PSEUDONYM_KEY", seed(2)}, {"PSEUDONYM_KEY", constant},
			{"API_DATABASE_URL", "postgres://app:postgres@db/mailsweep"}, {"GOOGLE_CLIENT_SECRET", "changeme"},
		},
		config.Worker: {
			{"PSEUDONYM_KEY", ""}, {"PSEUDONYM_KEY", short}, {"PSEUDONYM_KEY", constant}, {"TOKEN_KEYSET_PRIVATE", ""}, {"TOKEN_KEYSET_PRIVATE", `{"primaryKeyId":7,"key":[]}`},
			{"WORKER_DATABASE_URL", "postgres://worker:password@db/mailsweep"}, {"GOOGLE_CLIENT_SECRET", "secret"}, {"REDIS_URL", "redis://:redis@cache:6379/0"},
		},
		config.Scheduler: {
			{"SCHEDULER_DATABASE_URL", ""}, {"SCHEDULER_DATABASE_URL", "postgres://scheduler:mailsweep@db/mailsweep"}, {"INDEX_KEYSET", ""}, {"INDEX_KEYSET", `{"primaryKeyId":7,"key":[]}`},
			{"INDEX_KEYSET", "/no/such/file"}, {"REDIS_URL", "redis://:password@cache:6379/0"}, {"SMTP_PASSWORD", "letmein"}, {"TOKEN_KEYSET_PRIVATE", "/run/secrets/token"},
		},
	} {
		t.Run(process, func(t *testing.T) {
			t.Parallel()
			settings := production(t)
			if process == config.Worker {
				settings["TOKEN_KEYSET_PRIVATE"] = settings["INDEX_KEYSET"]
			}
			code, said := started(t, process, settings)
			require.Zero(t, code, said)
			require.GreaterOrEqual(t, len(bad), 8)
			for _, b := range bad {
				was := settings[b[0]]
				settings[b[0]] = b[1]
				code, said := started(t, process, settings)
				require.Equal(t, 2, code, "%s=%s", b[0], b[1])
				require.Contains(t, said, b[0])
				if _, value, _ := strings.Cut(b[1], ":"); len(value) > 8 {
					require.NotContains(t, said, value)
				}
				if settings[b[0]] = was; was == "" {
					delete(settings, b[0])
				}
			}
		})
	}
}
