package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"
)

func logged(t *testing.T, do func(*slog.Logger)) map[string]any {
	t.Helper()
	var out bytes.Buffer
	do(NewLogger(&out, Options{Process: "api", Format: "json", Build: Build{Version: "v1"}}))
	var line map[string]any
	if err := json.Unmarshal(out.Bytes(), &line); err != nil {
		t.Fatalf("%v in %s", err, out.Bytes())
	}
	return line
}

func TestLinesCanBeFollowedFromRequestToJob(t *testing.T) {
	t.Parallel()
	ctx := WithRequestID(t.Context(), "req-1")
	ctx = WithJobID(ctx, "job_1")
	ctx = WithTraceparent(ctx, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	ctx = WithAttrs(ctx, slog.String("customer_id", "cus_1"))
	ctx = WithAttrs(ctx, slog.Int("epoch", 3))
	for name, do := range map[string]func(*slog.Logger){
		"plain":   func(l *slog.Logger) { l.InfoContext(ctx, "done", "n", 1) },
		"grouped": func(l *slog.Logger) { l.WithGroup("g").With("a", 1).WithGroup("h").InfoContext(ctx, "done", "n", 1) },
		"with":    func(l *slog.Logger) { l.With("a", 1).InfoContext(ctx, "done") },
	} {
		line := logged(t, do)
		for key, want := range map[string]any{
			"request_id": "req-1", "job_id": "job_1", "trace_id": "0af7651916cd43dd8448eb211c80319c", "span_id": "b7ad6b7169203331",
			"customer_id": "cus_1", "epoch": 3.0, "process": "api", "version": "v1", "msg": "done",
		} {
			if line[key] != want {
				t.Errorf("%s: %s is %v in %v", name, key, line[key], line)
			}
		}
		if g, ok := line["g"].(map[string]any); name == "grouped" && (!ok || g["a"] != 1.0 || g["h"].(map[string]any)["n"] != 1.0) {
			t.Errorf("groups are lost: %v", line)
		}
	}
	if RequestID(ctx) != "req-1" || JobID(ctx) != "job_1" || Traceparent(ctx) == "" || RequestID(context.Background()) != "" {
		t.Error("the context does not give back what it got")
	}
	if line := logged(t, func(l *slog.Logger) { l.Info("x") }); line["request_id"] != nil {
		t.Errorf("%v", line)
	}
}

func TestStrangersIdsAreTakenOnlyIfPlain(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "a b", "x\ny", strings.Repeat("a", 65), `"},{"`, "é"} {
		if id := RequestID(WithRequestID(t.Context(), bad)); id == bad || len(id) != 32 {
			t.Errorf("%q became %q", bad, id)
		}
	}
	for _, bad := range []string{"", "00-x-y-01", "00-" + strings.Repeat("0", 32) + "-b7ad6b7169203331-01", "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"} {
		if Traceparent(WithTraceparent(t.Context(), bad)) != "" {
			t.Errorf("%q is taken", bad)
		}
	}
	if fresh := NewTraceparent(); Traceparent(WithTraceparent(t.Context(), fresh)) != fresh {
		t.Error("our own trace is refused")
	}
}

func TestSecretsNeverReachTheLog(t *testing.T) { // LOG-1
	t.Parallel()
	type body struct {
		Password string `json:"password"`
		Email    string `json:"email"`
	}
	const jwt = "eyJhbGciOiJFZERTQSJ9.eyJzdWIiOiJ1In0.c2lnbmF0dXJlMTIz"
	canaries := []string{
		"canary", jwt, "ya29.a0Af_x-1", "1//0gabcdefghijklmnopqrstu", "GOCSPX-abc_1", "swp_live_abcdef12_zz-z_canary", "sk_test_4eC39H",
		"whsec_1x", "$2a$12$" + strings.Repeat("a", 53),
	}
	for _, format := range []string{"json", "text"} {
		var out bytes.Buffer
		l := NewLogger(&out, Options{Format: format})
		for _, name := range []string{"password", "Authorization", "refresh_token", "client_secret", "COOKIE", "DATABASE_URL", "totp"} {
			l.Info("named", name, "canary")
			l.With(name, "canary").WithGroup("g").Info("named", slog.Group("h", name, "canary"))
		}
		for _, secret := range canaries[1:] {
			l.Info("in the message: "+secret, "value", secret, "error", errors.New("failed with "+secret+" there"))
			l.Info("nested", "any", map[string]any{"deep": []string{secret}}, slog.Group("g", "v", "x "+secret))
		}
		l.Info("url", "u", "postgres://app:canary@db:5432/x?sslmode=disable", "link", "https://x.example/verify-email?token=canary&a=1")
		l.Info("body", "body", body{"canary", "ana@mail.example"}, "raw", `{"password":"canary","refresh_token": "canary"}`)
		l.Info("Authorization: Bearer canary-canary-canary", "h", "Basic Y2FuYXJ5Y2FuYXJ5")
		l.ErrorContext(WithAttrs(t.Context(), slog.String("access_token", "canary")), "ctx")
		for _, canary := range append(canaries, "Y2FuYXJ5") {
			for line := range strings.Lines(out.String()) {
				if strings.Contains(line, canary) {
					t.Errorf("%s: %s in %s", format, canary, line)
				}
			}
		}
		for _, kept := range []string{"db:5432", "a=1", "https://x.example/verify-email?token=", redacted} {
			if !strings.Contains(out.String(), kept) {
				t.Errorf("%s: %s is gone", format, kept)
			}
		}
	}
	line := logged(t, func(l *slog.Logger) { l.Info("x", "token_version", 3, "units", 5, "email_hash", "ab12") })
	if line["token_version"] != 3.0 || line["units"] != 5.0 || line["email_hash"] != "ab12" {
		t.Errorf("too much is hidden: %v", line)
	}
}

func TestLinesStayValidJSONAfterRedaction(t *testing.T) {
	t.Parallel()
	logged(t, func(l *slog.Logger) {
		l.Info(`raw {"password":"a\"b"}`, "raw", `{"token":"x"}`, "u", `redis://:pa"ss@h:1`, "q", `?token=a"b\`, "v", json.RawMessage(`{"code":"y"}`))
	})
}

func TestLevelsHold(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := NewLogger(&out, Options{Format: "json", Level: slog.LevelWarn})
	l.Info("quiet")
	l.WithGroup("g").Info("quiet")
	l.Warn("loud")
	if strings.Contains(out.String(), "quiet") || !strings.Contains(out.String(), "loud") {
		t.Error(out.String())
	}
}

func TestEachProcessHasItsOwnRegistry(t *testing.T) {
	t.Parallel()
	for _, process := range []string{"api", "worker"} {
		families, err := NewRegistry(process, ReadBuild()).Gather()
		if err != nil {
			t.Fatal(err)
		}
		found := map[string]bool{}
		for _, f := range families {
			found[f.GetName()] = true
		}
		for _, name := range []string{"mailsweep_build_info", "go_goroutines", "process_start_time_seconds"} {
			if !found[name] {
				t.Errorf("%s: %s is missing", process, name)
			}
		}
	}
	if b := ReadBuild(); b.Version == "" || b.Go == "" {
		t.Errorf("%+v", b)
	}
}
