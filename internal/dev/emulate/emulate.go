// Package emulate runs the product against an emulator of Gmail that others wrote (npm: @inbox-zero/emulate), and asks it and our own
// simulator the same questions: where the two differ, one of them is wrong about Gmail.
package emulate

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"mailsweep/internal/sim/google"
)

// Release is the emulator's version that this package was written against.
const Release = "0.4.5"

// Options say where data and programs lie, and where the source tree is.
type Options struct {
	Dir, Root string
	Report    string // the file that the differences are written to; "" writes none
}

const (
	address  = "ada@mail.example"
	clientID = "mailsweep-dev"
	secret   = "simulated-secret"
	messages = 400

	theirToken = "compared"
	modify     = "https://www.googleapis.com/auth/gmail.modify"
)

// Run connects, analyzes, previews, executes and undoes at the emulator, then compares it with our simulator. An answer that differs and is
// not explained is an error, and so is an explanation of what does not differ any more.
func Run(ctx context.Context, o Options) error {
	now := time.Date(2026, 9, 1, 12, 0, 0, 0, time.UTC)
	sim := google.New(google.Config{Seed: 1, ClientID: clientID, ClientSecret: secret, Now: func() time.Time { return now }})
	if _, err := sim.AddGenerated(address, google.Generate{Messages: messages, Seed: 5, Now: now}); err != nil {
		return fmt.Errorf("fill the mailbox: %w", err)
	}
	mail, err := sim.Messages(address)
	if err != nil {
		return fmt.Errorf("list the mailbox: %w", err)
	}
	theirs, stop, err := start(ctx, o, mail)
	if err != nil {
		return err
	}
	defer stop()
	p, err := newProxy(theirs)
	if err != nil {
		return err
	}
	if err := compare(ctx, o.Report, sim, p, mail); err != nil {
		return err
	}
	return journey(ctx, o, p, mail)
}

// start installs the emulator where it is missing and runs it with the same mail as ours has.
func start(ctx context.Context, o Options, mail []google.Message) (base string, stop func(), err error) {
	program, err := install(ctx, o.Dir)
	if err != nil {
		return "", nil, err
	}
	seed := filepath.Join(o.Dir, "emulate", "seed.yaml") // JSON is YAML
	raw, err := json.Marshal(map[string]any{"tokens": map[string]any{theirToken: map[string]any{"login": address, "scopes": []string{modify}}}, "google": map[string]any{
		"users":         []any{map[string]string{"email": address, "name": "Ada"}},
		"oauth_clients": []any{map[string]any{"client_id": clientID, "client_secret": secret, "name": "Mailsweep", "redirect_uris": []string{}}},
		"labels":        labels(mail), "messages": seeds(mail),
	}})
	if err != nil {
		return "", nil, fmt.Errorf("write the emulator's mail: %w", err)
	}
	if err := os.WriteFile(seed, raw, 0o644); err != nil {
		return "", nil, fmt.Errorf("write the emulator's mail: %w", err)
	}
	port, err := freePort()
	if err != nil {
		return "", nil, err
	}
	cmd := exec.CommandContext(ctx, "node", program, "start", "--service", "google", "--port", fmt.Sprint(port), "--seed", seed)
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("start the emulator: %w", err)
	}
	stop = func() {
		cmd.Process.Kill() //nolint:errcheck // it may have ended by itself
		cmd.Wait()         //nolint:errcheck // killed
	}
	base = fmt.Sprintf("http://127.0.0.1:%d", port)
	if err := answers(ctx, base+"/.well-known/openid-configuration"); err != nil {
		stop()
		return "", nil, err
	}
	return base, stop, nil
}

// install gives the path of the emulator's program.
func install(ctx context.Context, dir string) (string, error) {
	dir, err := filepath.Abs(filepath.Join(dir, "emulate"))
	if err != nil {
		return "", fmt.Errorf("find %s: %w", dir, err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make %s: %w", dir, err)
	}
	program := filepath.Join(dir, "node_modules", "@inbox-zero", "emulate", "dist", "index.js")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	cmd := exec.CommandContext(ctx, "npm", "install", "--prefix", dir, "--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "@inbox-zero/emulate@"+Release)
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("install the emulator: %w\n%s", err, out)
	}
	return program, nil
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

func answers(ctx context.Context, url string) error {
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			return fmt.Errorf("ask the emulator: %w", err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err == nil {
			return resp.Body.Close()
		}
		if time.Now().After(end) || ctx.Err() != nil {
			return fmt.Errorf("the emulator does not answer: %w", err)
		}
	}
}

// seeds are the messages as the emulator takes them. It knows neither sizes nor attachments but from raw mail.
func seeds(mail []google.Message) (list []any) {
	for _, m := range mail {
		to := address
		if m.From == address {
			to = "friend@mail.example"
		}
		list = append(list, map[string]any{"id": m.ID, "thread_id": m.Thread, "user_email": address, "from": fmt.Sprintf("%s <%s>", m.Name, m.From), "to": to,
			"subject": m.Subject, "body_text": m.Snippet, "label_ids": m.Labels, "internal_date": fmt.Sprint(m.Date.UnixMilli())})
	}
	return list
}

// labels are the user labels that the messages carry, under the ids that ours have.
func labels(mail []google.Message) (list []any) {
	seen := map[string]bool{}
	for _, m := range mail {
		for _, id := range m.Labels {
			if strings.HasPrefix(id, "Label_") && !seen[id] {
				seen[id] = true
				list = append(list, map[string]string{"id": id, "user_email": address, "name": id})
			}
		}
	}
	return list
}
