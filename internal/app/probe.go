package app

import (
	"cmp"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"mailsweep/internal/config"
	"mailsweep/internal/gmail"
	"mailsweep/internal/gmail/probe"
)

// ProbeGmail finds out how Gmail behaves where its documentation is silent, in the mailbox of the operator who gives consent, and prints what
// the simulated Gmail is to be set to. It asks for neither database nor Redis.
func ProbeGmail(ctx context.Context, cfg config.Config, _ *slog.Logger) error {
	return probeGmail(ctx, cfg, os.Stdout)
}

func probeGmail(ctx context.Context, cfg config.Config, out io.Writer) error {
	oauth := (&parts{cfg: cfg}).oauth()
	grant, err := consent(ctx, oauth, out)
	if err != nil {
		return err
	}
	client := &gmail.Client{OAuth: oauth, BaseURL: cfg.Gmail.BaseURL}
	calls, err := client.Probing(grant.RefreshToken)
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "probing the mailbox of %s, under a label of its own; what is inserted ends in Trash\n\n", grant.Email)
	scaled := func(d time.Duration) time.Duration { return time.Duration(float64(d) / max(1, cfg.Gmail.TimeScale)) }
	found, err := probe.Run(ctx, probe.Options{Client: calls, Base: cmp.Or(cfg.Gmail.BaseURL, "https://gmail.googleapis.com"),
		Wait: scaled(time.Minute), Minute: scaled(time.Minute), Say: func(line string) { fmt.Fprintln(out, line) }})
	fmt.Fprintf(out, "\n%s\n", settings(found))
	if revoked := oauth.Revoke(context.WithoutCancel(ctx), grant.RefreshToken); err == nil {
		err = revoked
	}
	return err
}

// settings are the findings as the simulated Gmail takes them, in one list.
func settings(found []probe.Finding) string {
	var list []string
	for _, f := range found {
		if f.Value != "" && f.Setting != probe.Concurrency {
			list = append(list, f.Setting+"="+f.Value)
		}
	}
	return strings.Join(list, ",")
}

// consent sends the operator's browser to Google and waits for it to come back to a port of this machine.
func consent(ctx context.Context, oauth *gmail.OAuth, out io.Writer) (g gmail.Grant, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return g, fmt.Errorf("listen for the browser: %w", err)
	}
	oauth.Config.RedirectURL = "http://" + l.Addr().String() + "/callback"
	state, verifier, codes := rand.Text(), gmail.NewVerifier(), make(chan string, 1)
	server := &http.Server{ReadHeaderTimeout: 10 * time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.URL.Path != "/callback" || q.Get("state") != state {
			http.NotFound(w, r)
			return
		}
		fmt.Fprintln(w, "Thank you. The rest is told where the probe was started.")
		select {
		case codes <- q.Get("code"):
		default:
		}
	})}
	go server.Serve(l) //nolint:errcheck // closed below
	defer server.Close()
	fmt.Fprintf(out, "Open this page in a browser on this machine and choose a mailbox for trying things out:\n\n%s\n\n", oauth.AuthorizeURL(state, verifier, ""))
	select {
	case <-ctx.Done():
		return g, ctx.Err()
	case code := <-codes:
		return oauth.Exchange(ctx, code, verifier)
	}
}
