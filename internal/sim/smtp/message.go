package smtp

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"net/textproto"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Message is one mail as it arrived. Kind is its X-Mailsweep-Kind header.
type Message struct {
	Number   int       `json:"number"`
	From     string    `json:"from"`
	To       []string  `json:"to"`
	Subject  string    `json:"subject"`
	Kind     string    `json:"kind,omitempty"`
	Text     string    `json:"text"`
	HTML     string    `json:"html,omitempty"`
	Received time.Time `json:"received"`
	Raw      []byte    `json:"-"`
}

func (m Message) isTo(address string) bool {
	return slices.ContainsFunc(m.To, func(to string) bool { return strings.EqualFold(to, address) })
}

var linkPattern = regexp.MustCompile(`https?://[^\s<>"]+`)

// Links are the addresses in the plain text, in their order.
func (m Message) Links() []string { return linkPattern.FindAllString(m.Text, -1) }

// read takes a mail apart as far as it can; a mail that cannot be parsed is kept as plain text.
func read(raw []byte, from string, to []string) Message {
	m := Message{From: from, To: to, Received: time.Now().UTC(), Raw: raw}
	parsed, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		m.Text = string(raw)
		return m
	}
	m.Subject = parsed.Header.Get("Subject")
	if decoded, err := new(mime.WordDecoder).DecodeHeader(m.Subject); err == nil {
		m.Subject = decoded
	}
	m.Kind = parsed.Header.Get("X-Mailsweep-Kind")
	m.part(textproto.MIMEHeader(parsed.Header), parsed.Body, 0)
	return m
}

// part reads one MIME part and what is in it; the depth is bounded because anyone may send.
func (m *Message) part(header textproto.MIMEHeader, body io.Reader, depth int) {
	kind, params, err := mime.ParseMediaType(header.Get("Content-Type"))
	if err != nil {
		kind = "text/plain"
	}
	if strings.HasPrefix(kind, "multipart/") && depth < 8 {
		parts := multipart.NewReader(body, params["boundary"])
		for {
			p, err := parts.NextRawPart()
			if err != nil {
				return
			}
			m.part(p.Header, p, depth+1)
		}
	}
	text, _ := io.ReadAll(decode(header.Get("Content-Transfer-Encoding"), body))
	switch kind {
	case "text/plain":
		m.Text += string(text)
	case "text/html":
		m.HTML += string(text)
	}
}

func decode(encoding string, body io.Reader) io.Reader {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "quoted-printable":
		return quotedprintable.NewReader(body)
	case "base64":
		return base64.NewDecoder(base64.StdEncoding, body)
	}
	return body
}
