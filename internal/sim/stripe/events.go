package stripe

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"
)

type event struct {
	ID       string         `json:"id"`
	Object   string         `json:"object"`
	Type     string         `json:"type"`
	Version  string         `json:"api_version"`
	Created  int64          `json:"created"`
	Livemode bool           `json:"livemode"`
	Data     map[string]any `json:"data"`
	Request  map[string]any `json:"request"`
	Pending  int            `json:"pending_webhooks"`
}

// Webhooks are the ways in which deliveries can go wrong. The zero value sends each event once, in order.
type Webhooks struct {
	Copies  int           // how often each is sent, beyond once
	Drop    bool          // none is sent
	Shuffle int           // so many are held and sent in another order
	Secret  string        // in place of the endpoint's own
	Also    string        // a second signature, as while a secret is rolled
	Skew    time.Duration // of the signature's time
	Version string        // in place of the API's
	Pad     int           // bytes more in the body
}

// delivery is one body on its way to an endpoint.
type delivery struct {
	to      *endpoint
	body    []byte
	how     Webhooks
	attempt int
}

// tell makes an event of an object as it is now, and posts it; the caller holds the lock.
func (s *Sim) tell(kind string, object any) {
	raw, err := json.Marshal(object)
	if err != nil {
		panic(err) // it is what the API answers with
	}
	e := &event{ID: s.id("evt"), Object: "event", Type: kind, Version: Version, Created: s.now(), Livemode: s.cfg.Livemode, Data: map[string]any{"object": json.RawMessage(raw)}, Request: map[string]any{"id": nil}}
	s.events = append(s.events, e)
	s.send(e)
}

func (s *Sim) send(e *event) {
	how := s.faults.Webhooks
	if how.Drop {
		return
	}
	shown := *e
	if how.Version != "" {
		shown.Version = how.Version
	}
	body, err := json.Marshal(shown)
	if err != nil {
		panic(err) // as above
	}
	if how.Pad > 0 {
		body = append(body[:len(body)-1], fmt.Sprintf(`,"padding":%q}`, strings.Repeat("x", how.Pad))...)
	}
	for _, to := range byAge(s.endpoints) {
		if to.Status == "enabled" && (slices.Contains(to.Events, "*") || slices.Contains(to.Events, e.Type)) {
			for range 1 + how.Copies {
				s.sent++
				s.post <- delivery{to: to, body: body, how: how}
			}
		}
	}
}

// Sent is how many deliveries were begun, repeated attempts not counted.
func (s *Sim) Sent() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sent
}

// Resend posts an event again, as Stripe's dashboard does: whether it arrived or not.
func (s *Sim) Resend(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.events, func(e *event) bool { return e.ID == id })
	if i < 0 {
		return missing("event", id)
	}
	s.send(s.events[i])
	return nil
}

// Deliver sends webhooks until ctx ends. What is not answered with 2xx is sent again after a while, up to five times in all.
func (s *Sim) Deliver(ctx context.Context) {
	client := &http.Client{Timeout: 20 * time.Second}
	var held []delivery
	for {
		select {
		case <-ctx.Done():
			return
		case d := <-s.post:
			held = append(held, d)
			if len(held) < d.how.Shuffle {
				continue
			}
			rand.Shuffle(len(held), func(i, j int) {
				if d.how.Shuffle > 0 {
					held[i], held[j] = held[j], held[i]
				}
			})
			for _, d := range held {
				s.deliver(ctx, client, d)
			}
			held = nil
		}
	}
}

func (s *Sim) deliver(ctx context.Context, client *http.Client, d delivery) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, d.to.URL, bytes.NewReader(d.body))
	if err != nil {
		return // such an endpoint hears nothing
	}
	req.Header.Set("Content-Type", "application/json; charset=utf-8")
	req.Header.Set("Stripe-Signature", d.signature(s.Now()))
	answer, err := client.Do(req)
	if err == nil {
		answer.Body.Close()
		if answer.StatusCode/100 == 2 {
			return
		}
	}
	if d.attempt++; d.attempt < 5 {
		time.AfterFunc(time.Duration(d.attempt)*200*time.Millisecond, func() {
			select {
			case s.post <- d:
			case <-ctx.Done():
			}
		})
	}
}

// signature is Stripe's, made anew for each attempt: an HMAC-SHA256 over time and body, in hex, one per secret.
func (d delivery) signature(now time.Time) string {
	at := now.Add(d.how.Skew).Unix()
	secrets := []string{d.to.secret}
	if d.how.Secret != "" {
		secrets[0] = d.how.Secret
	}
	if d.how.Also != "" {
		secrets = append(secrets, d.how.Also)
	}
	header := fmt.Sprintf("t=%d", at)
	for _, secret := range secrets {
		mac := hmac.New(sha256.New, []byte(secret))
		fmt.Fprintf(mac, "%d.", at)
		mac.Write(d.body)
		header += ",v1=" + hex.EncodeToString(mac.Sum(nil))
	}
	return header
}

func (s *Sim) eventRoutes() {
	s.route("GET /v1/events", func(c call) (any, error) {
		kinds := c.params.texts("types")
		c.params.skip("limit", "type", "created")
		all := slices.Clone(s.events)
		slices.Reverse(all)
		return list("/v1/events", slices.DeleteFunc(all, func(e *event) bool { return len(kinds) > 0 && !slices.Contains(kinds, e.Type) })), nil
	})
	s.route("GET /v1/events/{id}", func(c call) (any, error) {
		for _, e := range s.events {
			if e.ID == c.PathValue("id") {
				return e, nil
			}
		}
		return nil, missing("event", c.PathValue("id"))
	})
}
