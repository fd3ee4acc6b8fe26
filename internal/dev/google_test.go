package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mailsweep/internal/sim/google"
)

func TestTheSimulatedGoogleIsSetByItsFlags(t *testing.T) {
	t.Setenv("MESSAGES", "50")
	file := filepath.Join(t.TempDir(), "faults.yaml")
	if err := os.WriteFile(file, []byte("- method: getProfile\n  status: 500\n  times: 2\n- {hang: true, for: 1m30s}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	s, err := readSimulator([]string{"-quirks", "page_tokens=expire", "-tariff", "old", "-latency=false", "-faults", file}, &out)
	if err != nil {
		t.Fatal(err)
	}
	sim, err := s.build()
	if err != nil || s.config.Quirks.PageTokens != "expire" || s.config.Tariff.PerUserMinute != 15_000 || s.config.Latency {
		t.Errorf("%+v %v", s.config, err)
	}
	if truth, err := sim.Truth("ada@mail.example"); err != nil || truth.Messages != 50 {
		t.Error(truth, err)
	}
	for _, bad := range [][]string{{"-quirks", "nonsense"}, {"-nonsense"}} {
		if _, err := readSimulator(bad, &out); err == nil {
			t.Error(bad)
		}
	}
	if s.tariff = "free"; func() error { _, err := s.build(); return err }() == nil {
		t.Error("an unknown tariff is refused")
	}
}

func TestHelpOfTheSimulatedGoogleNamesEveryQuirk(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := serveGoogle(t.Context(), []string{"-h"}, &out); err != nil {
		t.Fatal(err)
	}
	for _, q := range google.AllQuirks() {
		if !strings.Contains(out.String(), q.Name) {
			t.Error(q.Name)
		}
	}
}

func TestFaultsAreReadFromYAMLAndJSON(t *testing.T) {
	t.Parallel()
	want := []google.Fault{{Method: "messages.list", Status: 429, RetryAfter: 90 * time.Second, Probability: 0.5}, {HTML503: true, Delay: time.Second}}
	for name, text := range map[string]string{
		"yaml": "# a storm\n- method: messages.list\n  status: 429\n  retry_after: 1m30s\n  probability: 0.5\n- html_503: true\n  delay: 1s\n",
		"json": `[{"method":"messages.list","status":429,"retry_after":90000000000,"probability":0.5},{"html_503":true,"delay":"1s"}]`,
	} {
		if got, err := readFaults([]byte(text)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
	for _, bad := range []string{"- statsu: 429", "- {delay: soon}", "status: 429", "- [", "- {status: many}"} {
		if _, err := readFaults([]byte(bad)); err == nil {
			t.Errorf("%q is read", bad)
		}
	}
}

// Over TLS a client that trusts the certificate speaks HTTP/2, and one that does not speaks not at all.
func TestTheSimulatedGoogleSpeaksHTTP2OverTLS(t *testing.T) {
	t.Setenv("MESSAGES", "5")
	file := filepath.Join(t.TempDir(), "trust.pem")
	s, err := readSimulator([]string{"-tls", file, "-latency=false"}, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	sim, err := s.build()
	if err != nil {
		t.Fatal(err)
	}
	at, err := s.serve(sim)
	if err != nil {
		t.Fatal(err)
	}
	trust, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(trust) || !strings.HasPrefix(at, "https://") {
		t.Fatal(at, string(trust))
	}
	client := http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: pool}}}
	answer, err := client.Get(at + "/.well-known/openid-configuration")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if body, err := io.ReadAll(answer.Body); err != nil || answer.ProtoMajor != 2 || !strings.Contains(string(body), at+"/token") {
		t.Error(answer.Proto, string(body), err)
	}
	if answer, err := http.Get(at + "/"); err == nil {
		answer.Body.Close()
		t.Error("whom nobody trusts is spoken with")
	}
}
