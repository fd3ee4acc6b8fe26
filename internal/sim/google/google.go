// Package google is a stand-in for Google: Gmail's API and its OAuth, over HTTP, for Google's own clients.
// It enforces Gmail's quota, answers with Gmail's errors, has a switch for whatever is not known about Gmail (Quirks), spoils calls by
// rule (Fault), and knows the truth about its mailboxes.
package google

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"mailsweep/internal/sim/google/box"
)

// Config sets a Sim up. The zero value enforces the tariff of new projects in real time, without latency.
type Config struct {
	Seed          uint64
	TimeScale     float64 // quota windows, latency and told waits pass this many times faster; 0 means 1. OAuth lifetimes do not scale
	Tariff        Tariff  // zero value: TariffNew
	Latency       bool    // answer as slowly as Gmail does
	Load          float64 // so many times slower; 0 means 1
	Concurrency   int     // calls in flight per mailbox; 0 means 10
	ClientID      string  // the only client known; "" means any
	ClientSecret  string
	OtherClients  []string // known beside ClientID
	Redirects     []string // the only redirect URIs known; none means any
	Issuer        string   // of id_tokens; "" means https://accounts.google.com
	AutoConsent   bool     // the consent page agrees to everything by itself
	Now           func() time.Time
	Share429      float64 // share of quota refusals told as 429 with a time in the text; the rest is 403
	ChargeRefused bool    // refused calls count against the quota too
	StopAtDay     bool    // refuse calls above Tariff.PerProjectDay; Google bills them instead
	BytesPerDay   int64   // of answers to a mailbox's clients, above which they are refused; 0 means no end. Google's is 2,500 MB
	HistoryLimit  int     // records a mailbox keeps; 0 means 2,000,000
	Quirks        Quirks
}

// Names from package box that belong to this package's promises.
type (
	Generate = box.Generate
	Incoming = box.Incoming
	Message  = box.Message
	Truth    = box.Truth
	Facts    = box.Facts
	Block    = box.Block
)

// ErrUnknownMailbox says that no mailbox has the address.
var ErrUnknownMailbox = errors.New("unknown mailbox")

// Sim is the simulated Google: an http.Handler.
type Sim struct {
	cfg   Config
	mux   *http.ServeMux
	quota quota
	auth  authority
	fault faults
	dice  dice
	loads uploads
	push  pushes

	mu        sync.RWMutex
	mailboxes map[string]*Mailbox
	likes     map[string]Config // what mailboxes to come are like, by address
	others    map[string]*OtherClient
	marks     map[string]mark
}

// Mailbox is one Gmail account.
type Mailbox struct {
	Email string
	Sub   string // OAuth subject: decimal, stable for the address
	cfg   Config
	box   *box.Box
	book  *ledger

	settings settings
	watched  watched
}

// New makes a Sim without mailboxes.
func New(c Config) *Sim {
	c.TimeScale = cmp.Or(c.TimeScale, 1)
	c.Load = cmp.Or(c.Load, 1)
	c.Concurrency = cmp.Or(c.Concurrency, 10)
	c.Issuer = cmp.Or(c.Issuer, "https://accounts.google.com")
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Tariff.Units == nil {
		c.Tariff = TariffNew()
	}
	s := &Sim{cfg: c, mailboxes: map[string]*Mailbox{}, likes: map[string]Config{}, others: map[string]*OtherClient{}, marks: map[string]mark{}}
	s.dice.seed = c.Seed
	s.quota = newQuota(c.Tariff, s.scaled(time.Minute), c.Quirks.FixedWindow)
	s.auth = newAuthority()
	s.mux = s.routes()
	return s
}

// ServeHTTP answers Gmail, OAuth, the pages for people and the admin calls under /sim/.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// scaled is how long a duration takes on the wall clock.
func (s *Sim) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) / s.cfg.TimeScale)
}

// AddGenerated adds a mailbox of made-up mail. Errors if the address is taken or g cannot be.
func (s *Sim) AddGenerated(email string, g Generate) (*Mailbox, error) {
	g.Seed = cmp.Or(g.Seed, s.cfg.Seed)
	return s.addMailbox(email, func(m *Mailbox) error {
		g.NoCategories = g.NoCategories || m.cfg.Quirks.NoCategories
		return m.box.Fill(g)
	})
}

// AddMbox adds a mailbox with the mail of an mbox file, gzipped or not. Labels come from X-Gmail-Labels; mail
// without it is in INBOX, is UNREAD unless its Status says R, and gets CATEGORY_FORUMS if it has List-Id or
// List-Post, else CATEGORY_PROMOTIONS if it has List-Unsubscribe (a rule of ours, off with Quirks.PlainImport).
// An empty file, a file that is no mbox and a damaged gzip stream are errors of one line.
func (s *Sim) AddMbox(email, path string) (*Mailbox, error) {
	return s.addMailbox(email, func(m *Mailbox) error { return m.box.Import(path, m.cfg.Quirks.PlainImport) })
}

func (s *Sim) addMailbox(email string, fill func(*Mailbox) error) (*Mailbox, error) {
	email = strings.ToLower(email)
	if _, err := s.Mailbox(email); err == nil {
		return nil, fmt.Errorf("add mailbox %s: the address is taken", email)
	}
	m := &Mailbox{Email: email, Sub: subject(email), cfg: s.like(email), book: newLedger()}
	options := m.cfg.options()
	options.Changed = func() { s.changed(m) }
	m.box = box.New(email, options)
	if err := fill(m); err != nil {
		return nil, fmt.Errorf("add mailbox %s: %w", email, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.mailboxes[email] != nil {
		return nil, fmt.Errorf("add mailbox %s: the address is taken", email)
	}
	s.mailboxes[email] = m
	return m, nil
}

// Mailbox finds a mailbox by its address, or ErrUnknownMailbox.
func (s *Sim) Mailbox(email string) (*Mailbox, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	m, ok := s.mailboxes[strings.ToLower(email)]
	if !ok {
		return nil, fmt.Errorf("%w: %s", ErrUnknownMailbox, email)
	}
	return m, nil
}

// Mailboxes lists the addresses, sorted.
func (s *Sim) Mailboxes() []string {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []string
	for email := range s.mailboxes {
		out = append(out, email)
	}
	slices.Sort(out)
	return out
}
