package app

import (
	"bytes"
	"context"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/config"
	"mailsweep/internal/sim/google"
)

// Whatever Gmail is like, the probe tells it: quirks are drawn at random (SEED draws others), and each that it tells must be the one that was
// drawn.
func TestTheProbeTellsHowGmailIs(t *testing.T) {
	t.Parallel()
	seed := uint64(11) // the same draws each time, so that a change is what makes a difference
	if s := os.Getenv("SEED"); s != "" {
		seed, _ = strconv.ParseUint(s, 10, 64)
	}
	t.Logf("SEED=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for range 2 {
		drawn, c := map[string]string{}, google.Config{Seed: seed, TimeScale: 20, Latency: true, ClientID: "mailsweep-dev", ClientSecret: "simulated-secret", Concurrency: 4 + rng.IntN(12)}
		for _, q := range google.AllQuirks() {
			drawn[q.Name] = q.Values[rng.IntN(len(q.Values))]
			require.NoError(t, q.Set(&c, drawn[q.Name]))
		}
		drawn["concurrency"] = strconv.Itoa(c.Concurrency)
		for name, without := range map[string]string{"page_tokens": "cursor", "estimate": "201", "encoding": "both"} {
			if drawn[name] == "" {
				drawn[name] = without
			}
		}
		t.Run("", func(t *testing.T) {
			t.Parallel()
			told := probed(t, c)
			require.Greater(t, len(told), 13, // a slow machine cannot use a minute up, rough sizes have no edge
				"%v", told)
			for name, value := range told {
				require.Equal(t, drawn[name], value, "%s of %v", name, drawn)
			}
		})
	}
}

// finding is a line of what the probe prints: what, which, seen by what.
var finding = regexp.MustCompile(`(?m)^([a-z_ ]{20}) ([a-z0-9]+) +\S.*$`)

// probed runs the probe as an operator does and gives what it tells. Its last line is one that the simulator takes.
func probed(t *testing.T, c google.Config) map[string]string {
	t.Helper()
	sim := google.New(c)
	_, err := sim.AddGenerated("ada@mail.example", google.Generate{Messages: 300, Seed: c.Seed, Now: time.Now(), NoCategories: c.Quirks.NoCategories})
	require.NoError(t, err)
	before, err := sim.Messages("ada@mail.example")
	require.NoError(t, err)
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	var cfg config.Config
	cfg.Google.ClientID, cfg.Google.ClientSecret = "mailsweep-dev", config.NewSecret("simulated-secret")
	cfg.Google.AuthURL, cfg.Google.TokenURL, cfg.Google.RevokeURL, cfg.Google.CertsURL = server.URL+"/o/oauth2/v2/auth", server.URL+"/token", server.URL+"/revoke", server.URL+"/oauth2/v3/certs"
	cfg.Gmail.BaseURL, cfg.Gmail.TimeScale = server.URL, c.TimeScale
	var out bytes.Buffer
	require.NoError(t, probeGmail(t.Context(), cfg, browser(t.Context(), &out)), "%s", &out)
	untouched(t, sim, before)
	told := map[string]string{}
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	require.NoError(t, (&google.Config{}).SetQuirks(lines[len(lines)-1]))
	for _, line := range finding.FindAllStringSubmatch(out.String(), -1) {
		told[strings.TrimSpace(line[1])] = line[2]
	}
	return told
}

// untouched: of the mail that was there before nothing has changed, and of the rest all is in Trash.
func untouched(t *testing.T, sim *google.Sim, before []google.Message) {
	t.Helper()
	was := map[string]google.Message{}
	for _, m := range before {
		was[m.ID] = m
	}
	after, err := sim.Messages("ada@mail.example")
	require.NoError(t, err)
	for _, m := range after {
		if old, ok := was[m.ID]; ok {
			require.Equal(t, old, m)
			delete(was, m.ID)
			continue
		}
		require.Contains(t, m.Labels, "TRASH")
		require.NotContains(t, strings.Join(m.Labels, " "), "Label_9", "the scratch label is gone")
	}
	require.Empty(t, was)
}

// browser opens the page that the probe asks for.
func browser(ctx context.Context, out io.Writer) io.Writer {
	return writer(func(b []byte) (int, error) {
		if page := regexp.MustCompile(`http\S+/o/oauth2\S+`).FindString(string(b)); page != "" { // a copy: b is the writer's again
			go func() {
				u, _ := url.Parse(page)
				q := u.Query()
				q.Set("auto", "1")
				q.Set("login_hint", "ada@mail.example")
				u.RawQuery = q.Encode()
				req, _ := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
				if resp, err := http.DefaultClient.Do(req); err == nil {
					resp.Body.Close()
				}
			}()
		}
		return out.Write(b)
	})
}

type writer func([]byte) (int, error)

func (w writer) Write(b []byte) (int, error) { return w(b) }
