package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"mailsweep/internal/dev/stack"
	"mailsweep/internal/sim/google"
)

// simulator is what a person can say of the simulated Google served alone, beside the settings of make demo.
type simulator struct {
	settings
	addr, tariff, faults, cert string
	config                     google.Config
}

// serveGoogle serves the simulated Google alone, for whoever wants to try a Gmail client. It speaks HTTP/1.1 and HTTP/2, without TLS unless
// it is asked for.
func serveGoogle(ctx context.Context, args []string, out io.Writer) error {
	s, err := readSimulator(args, out)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	sim, err := s.build()
	if err != nil {
		return err
	}
	at, err := s.serve(sim)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "The simulated Google is at %s with the mailbox ada@mail.example, its clock %gx. Until Ctrl-C.\n", at, s.TimeScale); err != nil {
		return fmt.Errorf("say where it is: %w", err)
	}
	<-ctx.Done()
	return nil
}

// serve says where it listens.
func (s *simulator) serve(sim *google.Sim) (at string, err error) {
	if s.cert == "" {
		return stack.ServeAt(s.addr, sim)
	}
	cert, trust, err := google.Certificate()
	if err != nil {
		return "", err
	}
	if err := os.WriteFile(s.cert, trust, 0o600); err != nil {
		return "", fmt.Errorf("write the certificate: %w", err)
	}
	return stack.ServeTLS(s.addr, sim, cert)
}

func readSimulator(args []string, out io.Writer) (*simulator, error) {
	s := &simulator{}
	var err error
	if s.settings, err = readSettings(); err != nil {
		return nil, err
	}
	f := flag.NewFlagSet("google", flag.ContinueOnError)
	f.SetOutput(out)
	f.Usage = func() { fmt.Fprint(f.Output(), usage(f)) }
	f.StringVar(&s.addr, "addr", "127.0.0.1:0", "where to listen")
	f.StringVar(&s.tariff, "tariff", "new", "new (projects since May 2026) or old")
	f.StringVar(&s.faults, "faults", "", "file with a list of faults, YAML or JSON")
	f.StringVar(&s.cert, "tls", "", "speak TLS, and write the certificate to trust to this file")
	f.BoolVar(&s.config.Latency, "latency", true, "answer as slowly as Gmail")
	f.BoolVar(&s.config.AutoConsent, "auto-consent", false, "agree to every consent")
	f.BoolVar(&s.config.StopAtDay, "stop-at-day", false, "refuse calls above the day's units")
	quirks := f.String("quirks", "", "switches, as in trash_drops_inbox,page_tokens=expire")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if err := s.config.SetQuirks(*quirks); err != nil {
		return nil, err
	}
	s.config.Seed, s.config.TimeScale = s.Seed, s.settings.TimeScale
	return s, nil
}

// build makes the Sim with its mailbox and its faults.
func (s *simulator) build() (*google.Sim, error) {
	switch s.tariff {
	case "new":
		s.config.Tariff = google.TariffNew()
	case "old":
		s.config.Tariff = google.TariffOld()
	default:
		return nil, fmt.Errorf("tariff must be new or old, not %q", s.tariff)
	}
	sim := google.New(s.config)
	var err error
	if s.Mbox != "" {
		_, err = sim.AddMbox("ada@mail.example", s.Mbox)
	} else {
		_, err = sim.AddGenerated("ada@mail.example", google.Generate{Messages: s.Messages, Seed: s.Seed, Now: time.Now()})
	}
	if err != nil {
		return nil, fmt.Errorf("fill the mailbox: %w", err)
	}
	return sim, injectFrom(sim, s.faults)
}

func injectFrom(sim *google.Sim, file string) error {
	if file == "" {
		return nil
	}
	b, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read the faults: %w", err)
	}
	list, err := readFaults(b)
	if err != nil {
		return fmt.Errorf("read the faults of %s: %w", file, err)
	}
	for _, one := range list {
		sim.Inject(one)
	}
	return nil
}

// readFaults reads a list in YAML, of which JSON is a part.
func readFaults(raw []byte) (list []google.Fault, err error) {
	var tree any
	if err := yaml.Unmarshal(raw, &tree); err != nil {
		return nil, err
	}
	plain, err := json.Marshal(tree)
	if err != nil {
		return nil, err
	}
	return list, json.Unmarshal(plain, &list)
}

// usage is what -h tells.
func usage(f *flag.FlagSet) string {
	var b strings.Builder
	b.WriteString("usage: dev google [flags]\nMBOX=, MESSAGES=, TIMESCALE= and SEED= in the environment hold as for demo.\n")
	out := f.Output()
	f.SetOutput(&b)
	f.PrintDefaults()
	f.SetOutput(out)
	b.WriteString("quirks, with their values, the first being the default:\n")
	for _, q := range google.AllQuirks() {
		fmt.Fprintf(&b, "  %-20s %-16s %s\n", q.Name, strings.Join(q.Values, "|"), q.Says)
	}
	b.WriteString("calls for tests: GET /sim/ lists them.\n")
	return b.String()
}
