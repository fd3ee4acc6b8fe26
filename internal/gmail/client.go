package gmail

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	api "google.golang.org/api/gmail/v1"
	"google.golang.org/api/option"
)

// googleBase is Gmail's address when the configuration names none.
const googleBase = "https://gmail.googleapis.com/"

// userAgent asks for compressed answers: Gmail sends gzip only to agents that name it (Gmail API, "Improve performance").
const userAgent = "mailsweep/1 (gzip)"

// Client opens mailboxes. It is used by pointer and shared by all jobs of a process.
type Client struct {
	OAuth     *OAuth
	BaseURL   string            // "" = Google; no path
	Tariff    Tariff            // prices by which units are booked and counted
	Pacer     Pacer             // shared by all processes
	Transport http.RoundTripper // connections; nil = NewTransport(BaseURL)
	TimeScale float64           // 0 = 1; our own pauses and limits of patience are divided by it, times that Google tells are not
	Timeout   time.Duration     // of one request with its answer; 0 = 50 s
	Observe   Observer          // called after each request, by several goroutines; nil = nobody looks

	// OffTariff is called for each refusal that names another limit than the tariff does; nil = nobody looks.
	OffTariff func(ctx context.Context, told int)

	once sync.Once
	base http.RoundTripper
}

// Observer is told of a call that left, with the context that it was made in.
type Observer func(context.Context, Call)

// Mailbox is one Gmail account, open. Its methods may be called by several goroutines; each counts what it spends.
type Mailbox struct {
	client  *Client
	account string
	tokens  *tokens
	service *api.Service
	http    *http.Client // the service's, which has the transport
	broken  error        // the client could not be built: a mistake in the configuration

	lost  atomic.Bool // the consent is gone
	mu    sync.Mutex
	units map[Method]int64
}

// Open prepares the mailbox behind a refresh token. No call is made. account is the opaque key under which the pacer knows the
// Google account. Every method may fail with *Wait and with the codes MailboxNeedsReconnect, Forbidden and Unavailable.
func (c *Client) Open(refreshToken, account string) *Mailbox {
	m := &Mailbox{
		client: c, account: account, units: map[Method]int64{},
		tokens: &tokens{config: c.OAuth.oauth2(), http: c.OAuth.client(), refresh: refreshToken},
	}
	m.service, m.broken = c.service(m)
	return m
}

// Lose says that the account's consent is known to be gone: every call from now on fails with MailboxNeedsReconnect, without being made.
func (m *Mailbox) Lose() { m.lost.Store(true) }

func (c *Client) service(m *Mailbox) (*api.Service, error) {
	address := c.BaseURL
	if address == "" {
		address = googleBase
	}
	base, err := url.Parse(address)
	if err != nil || base.Host == "" {
		return nil, fmt.Errorf("the Gmail base URL is not a URL")
	}
	m.http = &http.Client{
		Transport:     &transport{mailbox: m, allow: allowList{base: base, rules: allowed()}, base: c.connections()},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	service, err := api.NewService(context.Background(), option.WithHTTPClient(m.http), option.WithEndpoint(address))
	if err != nil {
		return nil, fmt.Errorf("build the Gmail client: %w", err)
	}
	service.UserAgent = userAgent
	return service, nil
}

func (c *Client) connections() http.RoundTripper {
	c.once.Do(func() {
		c.base = c.Transport
		if c.base == nil {
			c.base = NewTransport(c.BaseURL)
		}
	})
	return c.base
}

// scaled shortens a duration of Gmail's world to ours.
func (c *Client) scaled(d time.Duration) time.Duration {
	if c.TimeScale > 0 {
		return max(1, time.Duration(float64(d)/c.TimeScale))
	}
	return d
}

// patience is the longest that a call waits in sum.
func (c *Client) patience() time.Duration { return c.scaled(30 * time.Second) }

func (c *Client) timeout() time.Duration {
	if c.Timeout > 0 {
		return c.Timeout
	}
	return 50 * time.Second
}

// pauses between tries: 1, 2, 4, 8, 16 s, each ± half, as the Gmail API's error page advises.
func (c *Client) pauses() *backoff.ExponentialBackOff {
	return &backoff.ExponentialBackOff{
		InitialInterval: c.scaled(time.Second), MaxInterval: c.scaled(64 * time.Second), Multiplier: 2, RandomizationFactor: 0.5,
	}
}

// spent counts a request that left, whatever came of it: Google is taken to charge for refused calls too.
func (m *Mailbox) spent(ctx context.Context, call Call) {
	m.mu.Lock()
	m.units[call.Method] += int64(call.Units)
	m.mu.Unlock()
	if m.client.Observe != nil {
		m.client.Observe(ctx, call)
	}
}

// Units is what this Mailbox has spent since Open, in Gmail's quota units.
func (m *Mailbox) Units() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	sum := int64(0)
	for _, units := range m.units {
		sum += units
	}
	return sum
}

// UnitsByMethod is Units split by call.
func (m *Mailbox) UnitsByMethod() map[Method]int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.units)
}
