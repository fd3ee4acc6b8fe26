package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"time"

	"mailsweep/internal/app"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
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
	*stack
	settings
	api      client
	address  string
	executed string
	got      answers
}

func say(format string, args ...any) { fmt.Printf("  "+format+"\n", args...) }

// demo runs the main job end to end on a fresh stack, reports, and stays up unless told otherwise.
func demo(ctx context.Context) error {
	s, err := readSettings()
	if err != nil {
		return err
	}
	fmt.Printf("Mailsweep demo: real PostgreSQL, Redis and programs; a simulated Google whose clock runs %gx (a quota minute takes %.3g s, every ratio stays).\n\n", s.TimeScale, 60/s.TimeScale)
	if s.Mbox != "" {
		if _, err := os.Stat(s.Mbox); err != nil {
			return fmt.Errorf("MBOX=%s cannot be read: %w", s.Mbox, errors.Unwrap(err))
		}
	}
	fmt.Println("Starting")
	st, err := start(ctx, s, say)
	defer st.stop()
	if err != nil {
		return err
	}
	w := &walk{stack: st, settings: s, api: client{base: st.API}, address: "ada@mail.example",
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
	fmt.Printf("\nUp until Ctrl-C. Sign in to the API as %s with password %q.\n%s", w.address, demoPassword, st.urls())
	return st.hold(ctx)
}

// stay starts the stack without the walk.
func stay(ctx context.Context) error {
	s, err := readSettings()
	if err != nil {
		return err
	}
	fmt.Println("Starting")
	st, err := start(ctx, s, say)
	defer st.stop()
	if err != nil {
		return err
	}
	for _, email := range []string{"ada@mail.example", "ben@mail.example"} {
		if _, err := st.sim.AddGenerated(email, google.Generate{Messages: s.Messages, Seed: s.Seed + uint64(len(email)), Now: time.Now()}); err != nil {
			return fmt.Errorf("generate %s: %w", email, err)
		}
	}
	fmt.Printf("\nUp until Ctrl-C. The simulated Google has the mailboxes ada@mail.example and ben@mail.example.\n%s", st.urls())
	return st.hold(ctx)
}

// hold returns when the person is done or a part has died.
func (st *stack) hold(ctx context.Context) error {
	died := make(chan error, len(st.children))
	for _, c := range st.children {
		go func() { <-c.done; died <- c.failed() }()
	}
	select {
	case <-ctx.Done():
		fmt.Println("\nStopping")
		return nil
	case err := <-died:
		return err
	case err := <-st.services.Exited():
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
		say("importing %s into the simulated mailbox %s", w.Mbox, w.address)
		_, err = w.sim.AddMbox(w.address, w.Mbox)
	} else {
		say("generating %d messages in the simulated mailbox %s", w.Messages, w.address)
		_, err = w.sim.AddGenerated(w.address, google.Generate{Messages: w.Messages, Seed: w.Seed, Now: time.Now()})
	}
	if err != nil {
		return fmt.Errorf("fill the mailbox: %w", err)
	}
	return w.truth("before")
}

func (w *walk) truth(when string) (err error) {
	if w.got.Truth[when], err = w.sim.Truth(w.address); err != nil {
		return fmt.Errorf("ask the simulated mailbox: %w", err)
	}
	return nil
}

const demoPassword = "quilted otters at dawn"

var tokenInLink = regexp.MustCompile(`token=([A-Za-z0-9_-]+)`)

// signUp signs a customer up, proves the address with the link of the mail, and has ops grant the pro plan.
func (w *walk) signUp(ctx context.Context) error {
	err := w.api.do(ctx, http.MethodPost, "/api/v1/auth/signup", map[string]string{"email": w.address, "password": demoPassword, "name": "Ada"}, nil)
	if err != nil {
		return fmt.Errorf("sign up: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	m, err := w.sink.WaitFor(ctx, w.address, "verify_email")
	if err != nil {
		return fmt.Errorf("no verification mail arrived: %w", err)
	}
	token := tokenInLink.FindStringSubmatch(m.Text)
	if token == nil {
		return errors.New("the verification mail has no link")
	}
	var session struct {
		AccessToken string `json:"access_token"`
		Customer    struct {
			ID string `json:"id"`
		} `json:"customer"`
	}
	if err := w.api.do(ctx, http.MethodPost, "/api/v1/auth/verify-email", map[string]string{"token": token[1]}, &session); err != nil {
		return fmt.Errorf("verify the address: %w", err)
	}
	w.api.token = session.AccessToken
	ops := sweep.Actor{Kind: sweep.ByOps, Name: "demo"}
	if err := app.Grant(ctx, w.env["SCHEDULER_DATABASE_URL"], session.Customer.ID, sweep.Pro, ops, "demo"); err != nil {
		return err
	}
	say("signed up %s, address verified by mail, plan pro granted by ops", w.address)
	return nil
}

// connect goes through the consent page as a browser would.
func (w *walk) connect(ctx context.Context) error {
	var started struct {
		AuthorizeURL string `json:"authorize_url"`
		State        string `json:"state"`
	}
	if err := w.api.do(ctx, http.MethodPost, "/api/v1/mailboxes/connect", struct{}{}, &started); err != nil {
		return fmt.Errorf("connect a mailbox: %w", err)
	}
	consent, err := url.Parse(started.AuthorizeURL)
	if err != nil {
		return fmt.Errorf("read the authorize URL: %w", err)
	}
	q := consent.Query()
	q.Set("auto", "1")
	q.Set("login_hint", w.address)
	consent.RawQuery = q.Encode()
	browser := &http.Client{CheckRedirect: func(r *http.Request, via []*http.Request) error {
		if r.URL.Path == "/mailboxes" {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, consent.String(), nil)
	if err != nil {
		return fmt.Errorf("open the consent page: %w", err)
	}
	resp, err := browser.Do(req)
	if err != nil {
		return fmt.Errorf("open the consent page: %w", err)
	}
	resp.Body.Close()
	var mailbox struct {
		Email string `json:"email"`
	}
	if err := w.api.do(ctx, http.MethodPost, "/api/v1/mailboxes/connect/complete", map[string]string{"state": started.State}, &mailbox); err != nil {
		return fmt.Errorf("complete the connection: %w", err)
	}
	say("connected %s after consent at the simulated Google", mailbox.Email)
	return nil
}
