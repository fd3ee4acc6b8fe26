// Package mail sends the messages we compose: text and HTML from one source, to one person at a time.
package mail

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"strconv"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
)

// Message is one mail to one person. ID is the same at each attempt to send it and becomes the Message-ID, by which mail
// programs recognize a second copy.
type Message struct {
	ID   string `json:"id,omitempty"`
	To   string `json:"to"`
	Kind Kind   `json:"kind"`
	Data Data   `json:"data"`
}

// Sender hands mail to an SMTP relay. BaseURL is where links lead; it never comes from a request.
type Sender struct {
	Addr     string // host:port
	User     string // "" = no login
	Password string
	TLS      string // none, starttls or tls
	From     string // Mailsweep <no-reply@mailsweep.example>
	BaseURL  string
	Timeout  time.Duration // of one connection; 0 means 15 s
}

// Format hides the password under every verb.
func (s Sender) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "mail through %s as %s", s.Addr, s.From) }

// errPermanent marks what no retry can help.
var errPermanent = errors.New("it can never be sent")

// IsPermanent reports whether sending again cannot help: a bad address, a refusal for good (5xx), an incomplete message.
// Everything else, a relay that cannot be reached above all, is worth another try.
func IsPermanent(err error) bool {
	var refused *gomail.SendError
	return errors.Is(err, errPermanent) || errors.As(err, &refused) && refused.ErrorCode() >= 500
}

// Send composes the message and hands it to the relay.
func (s *Sender) Send(ctx context.Context, m Message) error {
	composed, err := s.compose(m)
	if err != nil {
		return fmt.Errorf("compose %s mail: %w", m.Kind, err)
	}
	client, err := s.client()
	if err != nil {
		return fmt.Errorf("set up mail relay: %w", err)
	}
	if err := client.DialAndSendWithContext(ctx, composed); err != nil {
		return fmt.Errorf("send %s mail: %w", m.Kind, err)
	}
	return nil
}

func (s *Sender) compose(m Message) (*gomail.Msg, error) {
	letter, err := s.Render(m)
	if err != nil {
		return nil, err
	}
	from, err := netmail.ParseAddress(s.From)
	if err != nil {
		return nil, errors.New("the configured sender is not a mail address")
	}
	to, err := netmail.ParseAddress(m.To)
	if err != nil || to.Address != m.To || strings.ContainsAny(m.To, "\r\n") {
		return nil, fmt.Errorf("the recipient is not a bare mail address: %w", errPermanent)
	}
	msg := gomail.NewMsg()
	msg.FromMailAddress(from)
	msg.ToMailAddress(to)
	msg.Subject(letter.Subject)
	msg.SetDate()
	if m.ID != "" {
		sum := sha256.Sum256([]byte(m.ID))
		_, domain, _ := strings.Cut(from.Address, "@")
		msg.SetMessageIDWithValue(hex.EncodeToString(sum[:16]) + "@" + domain)
	}
	msg.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no out-of-office replies
	msg.SetGenHeader("X-Mailsweep-Kind", string(m.Kind))
	msg.SetBodyString(gomail.TypeTextPlain, letter.Text)
	msg.AddAlternativeString(gomail.TypeTextHTML, letter.HTML)
	return msg, nil
}

func (s *Sender) client() (*gomail.Client, error) {
	host, port, err := net.SplitHostPort(s.Addr)
	if err != nil {
		return nil, errors.New("the relay's address is not host:port")
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		return nil, errors.New("the relay's port is not a number")
	}
	timeout := s.Timeout
	if timeout == 0 {
		timeout = 15 * time.Second
	}
	options := []gomail.Option{gomail.WithPort(number), gomail.WithTimeout(timeout)}
	switch s.TLS {
	case "none":
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	case "tls":
		options = append(options, gomail.WithSSL())
	default: // an unknown word must not send in clear
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if s.User != "" {
		options = append(options, gomail.WithSMTPAuth(gomail.SMTPAuthAutoDiscover),
			gomail.WithUsername(s.User), gomail.WithPassword(s.Password))
	}
	return gomail.NewClient(host, options...)
}
