package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// client calls the API as any customer would: over HTTP, with a token.
type client struct {
	base  string
	token string
}

// problem is an answer that is not a success.
type problem struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
	Quota  *struct {
		Remaining int `json:"remaining"`
	} `json:"quota"`
}

func (p *problem) Error() string {
	return fmt.Sprintf("the API answered %d %s: %s", p.Status, p.Code, p.Detail)
}

func (c *client) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", key())
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		p := &problem{Status: resp.StatusCode}
		json.NewDecoder(resp.Body).Decode(p) //nolint:errcheck // the status alone is told then
		return p
	}
	if out == nil {
		return nil
	}
	if err := json.NewDecoder(resp.Body).Decode(out); err != nil {
		return fmt.Errorf("%s %s: decode answer: %w", method, path, err)
	}
	return nil
}

func key() string {
	b := make([]byte, 12)
	rand.Read(b)
	return hex.EncodeToString(b)
}

// job is what the walk reads of a job.
type job struct {
	ID       string `json:"id"`
	State    string `json:"state"`
	Phase    string `json:"phase"`
	Progress struct {
		Done      int     `json:"done"`
		Total     int     `json:"total"`
		Percent   int     `json:"percent"`
		PerSecond float64 `json:"per_second"`
	} `json:"progress"`
	UnitsSpent int64           `json:"units_spent"`
	Result     json.RawMessage `json:"result"`
	Error      *struct {
		Code   string `json:"code"`
		Detail string `json:"detail"`
	} `json:"error"`
}

func (j job) over() bool {
	return j.State == "succeeded" || j.State == "failed" || j.State == "canceled"
}

// follow waits for a job and shows each change.
func (c *client) follow(ctx context.Context, title string, j job) (job, error) {
	bar := newBar(title)
	for {
		bar.show(j)
		if j.over() {
			break
		}
		if err := c.do(ctx, http.MethodGet, "/api/v1/jobs/"+url.PathEscape(j.ID)+"?wait=2", nil, &j); err != nil {
			return j, err
		}
	}
	bar.end(j)
	if j.State != "succeeded" {
		why := "no reason given"
		if j.Error != nil {
			why = j.Error.Code + ": " + j.Error.Detail
		}
		return j, fmt.Errorf("%s %s: %s", title, j.State, why)
	}
	return j, nil
}

// bar shows a job's progress: one moving line on a terminal, plain lines elsewhere.
type bar struct {
	title string
	since time.Time
	last  string
	said  time.Time
}

func newBar(title string) *bar { return &bar{title: title, since: time.Now()} }

func (b *bar) show(j job) {
	const width = 28
	done := min(width, j.Progress.Percent*width/100)
	if terminal {
		fmt.Printf("\r  %-9s %s%s %3d %%  %-28.28s %d/%d\033[K", b.title, repeat("█", done), repeat("░", width-done), j.Progress.Percent, j.Phase, j.Progress.Done, j.Progress.Total)
		return
	}
	if j.Phase != b.last || time.Since(b.said) > 5*time.Second {
		b.last, b.said = j.Phase, time.Now()
		fmt.Printf("  %-9s %5.1f s  %3d %%  %s  %d of %d\n", b.title, time.Since(b.since).Seconds(), j.Progress.Percent, j.Phase, j.Progress.Done, j.Progress.Total)
	}
}

func (b *bar) end(j job) {
	if terminal {
		fmt.Print("\r\033[K")
	}
	fmt.Printf("  %-9s %s in %.1f s for %d Gmail units\n", b.title, j.State, time.Since(b.since).Seconds(), j.UnitsSpent)
}

func repeat(s string, n int) string { return string(bytes.Repeat([]byte(s), n)) }
