// Package customer calls the API as any customer would: over HTTP, with a token.
package customer

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
)

// Client is one customer.
type Client struct {
	Base  string // of the API
	Email string
	Token string // access token, from SignUp on
	ID    string // cus_…, from SignUp on

	Header http.Header // more headers of every call
}

// Problem is an answer that is not a success.
type Problem struct {
	Status int    `json:"status"`
	Code   string `json:"code"`
	Detail string `json:"detail"`
	Quota  *struct {
		Remaining int `json:"remaining"`
	} `json:"quota"`
}

func (p *Problem) Error() string {
	return fmt.Sprintf("the API answered %d %s: %s", p.Status, p.Code, p.Detail)
}

// Do makes one call; out takes the answer's body unless it is nil. What is not a success is a *Problem.
func (c *Client) Do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.Base+path, body)
	if err != nil {
		return fmt.Errorf("make request: %w", err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", key())
	}
	for name, values := range c.Header {
		req.Header[name] = values
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		p := &Problem{Status: resp.StatusCode}
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

// Job is what callers read of a job.
type Job struct {
	ID       string `json:"id"`
	Kind     string `json:"kind"`
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

// Over says whether the job has ended.
func (j Job) Over() bool {
	return j.State == "succeeded" || j.State == "failed" || j.State == "canceled"
}

// Follow waits for a job and shows each change; a job that does not succeed is an error.
func (c *Client) Follow(ctx context.Context, j Job, show func(Job)) (Job, error) {
	for {
		show(j)
		if j.Over() {
			break
		}
		if err := c.Do(ctx, http.MethodGet, "/api/v1/jobs/"+url.PathEscape(j.ID)+"?wait=2", nil, &j); err != nil {
			return j, err
		}
	}
	if j.State != "succeeded" {
		why := "no reason given"
		if j.Error != nil {
			why = j.Error.Code + ": " + j.Error.Detail
		}
		return j, fmt.Errorf("%s %s: %s", j.Kind, j.State, why)
	}
	return j, nil
}

// Run posts a job and follows it.
func (c *Client) Run(ctx context.Context, path string, in any, show func(Job)) (Job, error) {
	var j Job
	if err := c.Do(ctx, http.MethodPost, path, in, &j); err != nil {
		return j, err
	}
	return c.Follow(ctx, j, show)
}
