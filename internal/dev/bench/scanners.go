package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"mailsweep/internal/sim/google"
)

// scanner is a cleaner as public ones are: it reads or changes one message after the other. Its cost is measured on a share of a mailbox of
// its own at the same simulated Gmail, and told for as many messages as ours had.
type scanner struct {
	base, email, token string
	sim                *google.Sim
}

const scanned = 400 // messages: enough to meet the quota's window more than once

func (r *rig) scanner(email string) (*scanner, error) {
	if _, err := r.Sim.AddGenerated(email, google.Generate{Messages: 2000, Seed: gmailSeed, Now: time.Now()}); err != nil {
		return nil, fmt.Errorf("fill the scanner's mailbox: %w", err)
	}
	t, err := r.Sim.Grant(email, "https://www.googleapis.com/auth/gmail.modify")
	if err != nil {
		return nil, fmt.Errorf("grant the scanner access: %w", err)
	}
	return &scanner{base: r.Google, email: email, token: t.Access, sim: r.Sim}, nil
}

func (s *scanner) units() (n int, err error) {
	l, err := s.sim.Ledger(s.email)
	if err != nil {
		return 0, fmt.Errorf("read the ledger: %w", err)
	}
	for _, units := range l.Units {
		n += units
	}
	return n, nil
}

// per is what one message costs when f deals with the first ids of the mailbox, beside listing them.
func (s *scanner) per(ctx context.Context, f func(context.Context, []string) error) (float64, error) {
	ids, err := s.ids(ctx)
	if err != nil {
		return 0, err
	}
	before, err := s.units()
	if err != nil {
		return 0, err
	}
	if err := f(ctx, ids); err != nil {
		return 0, err
	}
	after, err := s.units()
	return float64(after-before) / float64(len(ids)), err
}

func (s *scanner) ids(ctx context.Context) (ids []string, err error) {
	var page struct {
		Messages []struct {
			ID string `json:"id"`
		} `json:"messages"`
	}
	err = s.call(ctx, http.MethodGet, fmt.Sprintf("/gmail/v1/users/me/messages?maxResults=%d&fields=messages/id", scanned), &page)
	for _, m := range page.Messages {
		ids = append(ids, m.ID)
	}
	return ids, err
}

const onlyHeaders = "?format=metadata&metadataHeaders=From&metadataHeaders=List-Unsubscribe"

// readAll reads the headers of one message after the other, ten at a time.
func (s *scanner) readAll(ctx context.Context, ids []string) error {
	return each(ctx, ids, func(ctx context.Context, id string) error {
		return s.call(ctx, http.MethodGet, "/gmail/v1/users/me/messages/"+id+onlyHeaders, nil)
	})
}

// trashAll moves one message after the other to Trash, ten at a time.
func (s *scanner) trashAll(ctx context.Context, ids []string) error {
	return each(ctx, ids, func(ctx context.Context, id string) error {
		return s.call(ctx, http.MethodPost, "/gmail/v1/users/me/messages/"+id+"/trash", nil)
	})
}

func each(ctx context.Context, ids []string, f func(context.Context, string) error) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(10)
	for _, id := range ids {
		g.Go(func() error { return f(ctx, id) })
	}
	return g.Wait()
}

// readBatches reads the headers in HTTP batches of 100 parts, each part again until it is answered: Gmail refuses those beyond its cap of
// calls in flight.
func (s *scanner) readBatches(ctx context.Context, ids []string) error {
	for len(ids) > 0 {
		part := ids[:min(100, len(ids))]
		left, err := s.batch(ctx, part)
		if err != nil {
			return err
		}
		ids = append(left, ids[len(part):]...)
	}
	return nil
}

func (s *scanner) batch(ctx context.Context, ids []string) (left []string, err error) {
	var body bytes.Buffer
	parts := multipart.NewWriter(&body)
	for _, id := range ids {
		p, err := parts.CreatePart(textproto.MIMEHeader{"Content-Type": {"application/http"}, "Content-Id": {"<" + id + ">"}})
		if err != nil {
			return nil, fmt.Errorf("write a part: %w", err)
		}
		fmt.Fprintf(p, "GET /gmail/v1/users/me/messages/%s%s HTTP/1.1\r\n\r\n", id, onlyHeaders)
	}
	parts.Close() //nolint:errcheck // writes into memory
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+"/batch/gmail/v1", &body)
	if err != nil {
		return nil, fmt.Errorf("make the batch: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+s.token)
	req.Header.Set("Content-Type", "multipart/mixed; boundary="+parts.Boundary())
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("send the batch: %w", err)
	}
	defer resp.Body.Close()
	_, params, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the batch was answered %s: %w", resp.Status, err)
	}
	return unanswered(multipart.NewReader(resp.Body, params["boundary"]))
}

// unanswered are the ids whose parts were refused.
func unanswered(r *multipart.Reader) (left []string, err error) {
	for {
		p, err := r.NextPart()
		if err == io.EOF {
			return left, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read a part: %w", err)
		}
		raw, err := io.ReadAll(p)
		if err != nil {
			return nil, fmt.Errorf("read a part: %w", err)
		}
		if !bytes.HasPrefix(raw, []byte("HTTP/1.1 200")) {
			left = append(left, strings.TrimSuffix(strings.TrimPrefix(p.Header.Get("Content-Id"), "<response-"), ">"))
		}
	}
}

// call makes one call, again while Gmail's quota refuses it: a scanner waits as it must, its refusals are not held against it.
func (s *scanner) call(ctx context.Context, method, path string, out any) error {
	for {
		req, err := http.NewRequestWithContext(ctx, method, s.base+path, nil)
		if err != nil {
			return fmt.Errorf("make request: %w", err)
		}
		req.Header.Set("Authorization", "Bearer "+s.token)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return fmt.Errorf("%s %s: %w", method, path, err)
		}
		raw, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		switch {
		case err != nil:
			return fmt.Errorf("%s %s: %w", method, path, err)
		case resp.StatusCode == http.StatusForbidden || resp.StatusCode == http.StatusTooManyRequests:
			time.Sleep(50 * time.Millisecond)
		case resp.StatusCode >= 300:
			return fmt.Errorf("%s %s was answered %s: %s", method, path, resp.Status, raw)
		case out != nil:
			return json.Unmarshal(raw, out)
		default:
			return nil
		}
	}
}
