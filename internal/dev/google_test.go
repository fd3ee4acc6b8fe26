package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailsweep/internal/sim/google"
)

func TestTheSimulatedGoogleIsSetByItsFlags(t *testing.T) {
	t.Setenv("MESSAGES", "50")
	file := filepath.Join(t.TempDir(), "faults.json")
	if err := os.WriteFile(file, []byte(`[{"method":"getProfile","status":500}]`), 0o600); err != nil {
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
