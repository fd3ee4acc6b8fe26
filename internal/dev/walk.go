package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	"mailsweep/internal/dev/customer"
	"mailsweep/internal/dev/local"
	"mailsweep/internal/dev/stack"
	"mailsweep/internal/sim/google"
)

var terminal = isTerminal(os.Stdout)

func isTerminal(f *os.File) bool {
	info, err := f.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// answers are the API's own, for the report and REPORT=file.
type answers struct {
	Analysis       json.RawMessage         `json:"analysis"`
	DryRun         json.RawMessage         `json:"dry_run"`
	Execute        json.RawMessage         `json:"execute"`
	UsageAfter     json.RawMessage         `json:"usage_after"`
	Undo           json.RawMessage         `json:"undo"`
	UsageAfterUndo json.RawMessage         `json:"usage_after_undo"`
	Truth          map[string]google.Truth `json:"truth"`
	Seconds        map[string]float64      `json:"seconds"`
	Units          map[string]int64        `json:"units"`
}

// walk is the main job, done over HTTP.
type walk struct {
	*stack.Stack
	settings
	api      customer.Client
	executed string
	got      answers
}

func say(format string, args ...any) { fmt.Printf("  "+format+"\n", args...) }

func start(ctx context.Context, s settings) (*stack.Stack, error) {
	return stack.Start(ctx, stack.Options{Dir: ".dev", Root: ".", Seed: s.Seed, TimeScale: s.TimeScale, Latency: true, Ports: []int{8000, 8001, 8002, 8003}, Say: say,
		Services: local.Options{Fresh: true}})
}

// demo runs the main job end to end on a fresh stack, reports, and stays up unless told otherwise.
func demo(ctx context.Context) error {
	s, err := readSettings()
	if err != nil {
		return err
	}
	fmt.Printf("Mailsweep demo: real PostgreSQL, Redis and programs; a simulated Google whose clock runs %gx (a quota minute takes %.3g s, every ratio stays).\n\n", s.TimeScale, 60/s.TimeScale)
	if s.Mbox != "" { // before anything is started: a person should not wait for this answer
		if _, err := google.New(google.Config{}).AddMbox("check@mail.example", s.Mbox); err != nil {
			return fmt.Errorf("MBOX=%s: %w", s.Mbox, err)
		}
	}
	fmt.Println("Starting")
	st, err := start(ctx, s)
	defer st.Stop()
	if err != nil {
		return err
	}
	w := &walk{Stack: st, settings: s, api: customer.Client{Base: st.API, Email: "ada@mail.example"},
		got: answers{Truth: map[string]google.Truth{}, Seconds: map[string]float64{}, Units: map[string]int64{}}}
	if err := w.all(ctx); err != nil {
		return err
	}
	if s.Report != "" {
		b, err := json.MarshalIndent(w.got, "", "  ")
		if err != nil {
			return fmt.Errorf("encode the report: %w", err)
		}
		if err := os.WriteFile(s.Report, append(b, '\n'), 0o644); err != nil {
			return fmt.Errorf("write the report: %w", err)
		}
		say("the API's answers are in %s", s.Report)
	}
	if s.Once {
		return nil
	}
	fmt.Printf("\nUp until Ctrl-C. Sign in to the API as %s with password %q.\n%s", w.api.Email, demoPassword, st.URLs())
	return hold(ctx, st)
}

// stay starts the stack without the walk.
func stay(ctx context.Context) error {
	s, err := readSettings()
	if err != nil {
		return err
	}
	fmt.Println("Starting")
	st, err := start(ctx, s)
	defer st.Stop()
	if err != nil {
		return err
	}
	for i, email := range []string{"ada@mail.example", "ben@mail.example"} {
		if _, err := st.Sim.AddGenerated(email, google.Generate{Messages: s.Messages, Seed: s.Seed + uint64(i), Now: time.Now()}); err != nil {
			return fmt.Errorf("generate %s: %w", email, err)
		}
	}
	fmt.Printf("\nUp until Ctrl-C. The simulated Google has the mailboxes ada@mail.example and ben@mail.example.\n%s", st.URLs())
	return hold(ctx, st)
}

// hold returns when the person is done or a part has died.
func hold(ctx context.Context, st *stack.Stack) error {
	died := make(chan error, len(st.Children))
	for _, c := range st.Children {
		go func() { <-c.Done; died <- c.Failed() }()
	}
	select {
	case <-ctx.Done():
		fmt.Println("\nStopping")
		return nil
	case err := <-died:
		return err
	case err := <-st.Services.Exited():
		return err
	}
}

func (w *walk) all(ctx context.Context) error {
	if err := w.fill(); err != nil {
		return err
	}
	fmt.Println("\nThe main job, over HTTP")
	for _, step := range []func(context.Context) error{w.signUp, w.connect, w.analyze, w.dryRun, w.execute, w.undo} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return w.report()
}

func (w *walk) fill() (err error) {
	if w.Mbox != "" {
		say("importing %s into the simulated mailbox %s", w.Mbox, w.api.Email)
		_, err = w.Sim.AddMbox(w.api.Email, w.Mbox)
	} else {
		say("generating %d messages in the simulated mailbox %s", w.Messages, w.api.Email)
		_, err = w.Sim.AddGenerated(w.api.Email, google.Generate{Messages: w.Messages, Seed: w.Seed, Now: time.Now()})
	}
	if err != nil {
		return fmt.Errorf("fill the mailbox: %w", err)
	}
	return w.truth("before")
}

func (w *walk) truth(when string) (err error) {
	if w.got.Truth[when], err = w.Sim.Truth(w.api.Email); err != nil {
		return fmt.Errorf("ask the simulated mailbox: %w", err)
	}
	return nil
}

const demoPassword = "quilted otters at dawn"

// signUp signs a customer up, proves the address with the link of the mail, and has ops grant the pro plan.
func (w *walk) signUp(ctx context.Context) error {
	if err := w.api.SignUp(ctx, w.Sink, demoPassword); err != nil {
		return err
	}
	if said, err := w.Command(ctx, "api", "ops", "grant", w.api.ID, "pro", "--reason", "demo", "--operator", "demo").CombinedOutput(); err != nil {
		return fmt.Errorf("grant a plan: %w: %s", err, said)
	}
	say("signed up %s, address verified by mail, plan pro granted by ops", w.api.Email)
	return nil
}

func (w *walk) connect(ctx context.Context) error {
	if err := w.api.Connect(ctx, w.api.Email); err != nil {
		return err
	}
	say("connected %s after consent at the simulated Google", w.api.Email)
	return nil
}
