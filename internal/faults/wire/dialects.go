package wire

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"strings"
)

// Postgres cuts the frontend protocol. The text of a message is its SQL, also where it names a prepared statement. An answer is whole
// when the server is ready again outside a transaction: what was asked is committed then, or never will be.
func Postgres() Dialect {
	return Dialect{
		cutter:   func() cutter { return &postgres{prepared: map[string]string{}} },
		answered: func(chunk []byte) bool { return bytes.HasSuffix(chunk, []byte{'Z', 0, 0, 0, 5, 'I'}) },
	}
}

type postgres struct {
	started  bool
	prepared map[string]string // SQL by statement name
}

func (p *postgres) cut(buf []byte) (n int, text string) {
	head := 5
	if !p.started {
		head = 4 // the first message has no type
	}
	if len(buf) < head {
		return 0, ""
	}
	n = head - 4 + int(binary.BigEndian.Uint32(buf[head-4:]))
	if len(buf) < n {
		return 0, ""
	}
	if !p.started {
		p.started = true
		return n, ""
	}
	return n, p.text(buf[0], buf[5:n])
}

func (p *postgres) text(kind byte, body []byte) string {
	first, rest, _ := strings.Cut(string(body), "\x00")
	second, _, _ := strings.Cut(rest, "\x00")
	switch kind {
	case 'Q':
		return first
	case 'P': // name, SQL: preparing does nothing yet
		p.prepared[first] = second
	case 'B': // portal, name
		return p.prepared[second]
	}
	return ""
}

// Redis cuts commands; the text is the words of one.
func Redis() Dialect {
	return Dialect{cutter: func() cutter { return redis{} }, answered: func(chunk []byte) bool { return len(chunk) > 0 }}
}

type redis struct{}

func (redis) cut(buf []byte) (n int, text string) {
	words, n := number(buf, '*')
	if n <= 0 {
		return -n, "" // a line that is no array passes as it is
	}
	said := make([]string, 0, words)
	for range words {
		size, head := number(buf[n:], '$')
		if head <= 0 || len(buf) < n+head+size+2 {
			return 0, ""
		}
		said = append(said, string(buf[n+head:n+head+size]))
		n += head + size + 2
	}
	return n, strings.Join(said, " ")
}

// number reads "<mark>123\r\n" and how long that is: zero when it is not whole, negative when it begins with something else.
func number(buf []byte, mark byte) (value, n int) {
	end := bytes.Index(buf, []byte("\r\n"))
	if end < 0 {
		return 0, 0
	}
	if buf[0] != mark {
		return 0, -(end + 2)
	}
	value, err := strconv.Atoi(string(buf[1:end]))
	if err != nil {
		return 0, -(end + 2)
	}
	return value, end + 2
}

// HTTP tells a request by its first line, which Go's client sends with the head in one piece.
func HTTP() Dialect {
	return Dialect{cutter: func() cutter { return requests{} }, answered: func(chunk []byte) bool { return len(chunk) > 0 }}
}

type requests struct{}

func (requests) cut(buf []byte) (n int, text string) {
	line, _, _ := bytes.Cut(buf[:min(len(buf), 2048)], []byte("\r\n"))
	if !bytes.HasSuffix(line, []byte(" HTTP/1.1")) {
		return len(buf), "" // the rest of a body
	}
	return len(buf), string(line)
}
