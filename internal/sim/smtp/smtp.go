// Package smtp is a mail relay that keeps every mail it is handed, for tests and for a person to look at.
package smtp

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	gosmtp "github.com/emersion/go-smtp"
)

// kept bounds the memory of a long demo.
const kept = 5000

// Sink accepts mail from anyone for anyone and delivers none of it.
type Sink struct {
	// Refuse, if set before Start, may give the SMTP code (such as 550 or 451) with which a recipient is refused; 0 accepts.
	Refuse func(to string) int

	server   *gosmtp.Server
	mu       sync.Mutex
	messages []Message
	number   int
	arrived  chan struct{} // closed and replaced at each arrival
}

// New makes an empty sink.
func New() *Sink { return &Sink{arrived: make(chan struct{})} }

// Start listens on addr, such as 127.0.0.1:0, and gives the address it got.
func (s *Sink) Start(addr string) (listen string, err error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return "", fmt.Errorf("listen for mail: %w", err)
	}
	server := gosmtp.NewServer(gosmtp.BackendFunc(func(*gosmtp.Conn) (gosmtp.Session, error) { return &session{sink: s}, nil }))
	server.Domain = "localhost"
	server.MaxMessageBytes = 10 << 20
	server.MaxRecipients = 50
	server.ReadTimeout, server.WriteTimeout = time.Minute, time.Minute
	server.EnableSMTPUTF8 = true
	s.server = server
	go func() { _ = server.Serve(listener) }() // ends at Close
	return listener.Addr().String(), nil
}

// Close stops listening; the mail stays.
func (s *Sink) Close() error {
	if s.server == nil {
		return nil
	}
	return s.server.Close()
}

// Messages is all mail, oldest first.
func (s *Sink) Messages() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.messages)
}

// WaitFor gives the newest mail to an address whose kind is, or whose subject contains, the given text; it waits for one
// until ctx ends. An empty text fits every mail.
func (s *Sink) WaitFor(ctx context.Context, to, kindOrSubject string) (Message, error) {
	for {
		s.mu.Lock()
		arrived := s.arrived
		for _, m := range slices.Backward(s.messages) {
			if m.isTo(to) && (m.Kind == kindOrSubject || strings.Contains(m.Subject, kindOrSubject)) {
				s.mu.Unlock()
				return m, nil
			}
		}
		s.mu.Unlock()
		select {
		case <-arrived:
		case <-ctx.Done():
			return Message{}, fmt.Errorf("wait for mail %q to %s: %w", kindOrSubject, to, ctx.Err())
		}
	}
}

func (s *Sink) add(m Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number++
	m.Number = s.number
	s.messages = append(s.messages, m)
	if extra := len(s.messages) - kept; extra > 0 {
		s.messages = slices.Delete(s.messages, 0, extra)
	}
	close(s.arrived)
	s.arrived = make(chan struct{})
}

// session is one conversation with a client.
type session struct {
	sink *Sink
	from string
	to   []string
}

func (c *session) Mail(from string, _ *gosmtp.MailOptions) error {
	c.from = from
	return nil
}

func (c *session) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	if c.sink.Refuse != nil {
		if code := c.sink.Refuse(to); code != 0 {
			return &gosmtp.SMTPError{Code: code, EnhancedCode: gosmtp.EnhancedCodeNotSet, Message: "refused as told"}
		}
	}
	c.to = append(c.to, to)
	return nil
}

func (c *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	c.sink.add(read(raw, c.from, slices.Clone(c.to)))
	return nil
}

func (c *session) Reset() { c.from, c.to = "", nil }

func (c *session) Logout() error { return nil }
