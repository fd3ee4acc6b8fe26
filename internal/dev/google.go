package main

import (
	"context"
	"fmt"
	"time"

	"mailsweep/internal/dev/stack"
	"mailsweep/internal/sim/google"
)

// google serves the simulated Google alone, for whoever wants to try a Gmail client.
func serveGoogle(ctx context.Context) error {
	s, err := readSettings()
	if err != nil {
		return err
	}
	sim := google.New(google.Config{Seed: s.Seed, TimeScale: s.TimeScale, Latency: true})
	if s.Mbox != "" {
		_, err = sim.AddMbox("ada@mail.example", s.Mbox)
	} else {
		_, err = sim.AddGenerated("ada@mail.example", google.Generate{Messages: s.Messages, Seed: s.Seed, Now: time.Now()})
	}
	if err != nil {
		return fmt.Errorf("fill the mailbox: %w", err)
	}
	url, err := stack.Serve(sim)
	if err != nil {
		return err
	}
	fmt.Printf("The simulated Google is at %s with the mailbox ada@mail.example, its clock %gx. Until Ctrl-C.\n", url, s.TimeScale)
	<-ctx.Done()
	return nil
}
