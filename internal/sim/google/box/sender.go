package box

import (
	"fmt"
	"io"
	"mime"
	"strings"

	"golang.org/x/text/encoding/htmlindex"
)

// Sender is one distinct From header.
type Sender struct {
	From   string // the header as shown; "" when the mail has none
	Name   string // decoded
	Addr   string // lower-cased addr-spec; "" when there is none
	tokens string // of the decoded header

	// of generated senders only
	kind      kind
	ListID    string
	unsub     unsubscribe
	sinceFull bool // has unsubscribe headers in mail of all ages, not only since 2024
}

// Domain is what follows the @ of the address.
func (s *Sender) Domain() string {
	_, d, _ := strings.Cut(s.Addr, "@")
	return d
}

// ParseSender reads a From header: encoded words, comments, quotes and broken ones too.
func ParseSender(from string) Sender {
	name, addr := splitAddress(from)
	decoded := DecodeWords(from)
	return Sender{From: from, Name: DecodeWords(name), Addr: strings.ToLower(addr), tokens: tokenLine(decoded)}
}

// splitAddress finds the display name and the addr-spec of the first address in a header.
func splitAddress(s string) (name, addr string) {
	var text, comment strings.Builder
	quoted, depth := false, 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		switch {
		case c == '\\' && i+1 < len(s):
			i++
			text.WriteByte(s[i])
		case c == '"' && depth == 0:
			quoted = !quoted
		case quoted:
			text.WriteByte(c)
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case depth > 0:
			comment.WriteByte(c)
		case c == '<':
			if end := strings.IndexByte(s[i:], '>'); end > 0 {
				return strings.TrimSpace(text.String()), strings.Join(strings.Fields(s[i+1:i+end]), "")
			}
		case c == ',' && strings.Contains(text.String(), "@"):
			i = len(s)
		default:
			text.WriteByte(c)
		}
	}
	return bareAddress(text.String(), comment.String())
}

// bareAddress looks for a word with @ where no angle brackets are.
func bareAddress(text, comment string) (name, addr string) {
	var rest []string
	for _, w := range strings.Fields(text) {
		if addr == "" && strings.Contains(w, "@") {
			addr = w
			continue
		}
		rest = append(rest, w)
	}
	if len(rest) == 0 {
		return strings.TrimSpace(comment), addr
	}
	return strings.Join(rest, " "), addr
}

// DecodeWords decodes RFC 2047 words in any charset; what cannot be decoded stays.
func DecodeWords(s string) string {
	if !strings.Contains(s, "=?") {
		return s
	}
	d := mime.WordDecoder{CharsetReader: readCharset}
	if out, err := d.DecodeHeader(s); err == nil {
		return strings.ToValidUTF8(out, "\uFFFD")
	}
	return s
}

func readCharset(name string, r io.Reader) (io.Reader, error) {
	e, err := htmlindex.Get(name)
	if err != nil {
		return nil, fmt.Errorf("charset %q: %w", name, err)
	}
	return e.NewDecoder().Reader(r), nil
}
