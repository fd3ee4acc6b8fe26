// Package mbox reads mail from mbox files as they are found in the world: gzipped or plain, mboxrd quoting,
// broken headers, any bytes.
package mbox

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/encoding/charmap"
)

// Message is one mail of an mbox.
type Message struct {
	FromLine string  // the separator, without "From "
	Header   []Field // in order, unfolded, valid UTF-8
	Body     []byte  // unquoted
	Size     int     // bytes of header and body
}

// Field is one header field.
type Field struct{ Name, Value string }

// Get gives the first field of a name, "" if there is none.
func (m *Message) Get(name string) string {
	for _, f := range m.Header {
		if strings.EqualFold(f.Name, name) {
			return f.Value
		}
	}
	return ""
}

// Errors of files that are no mbox; ReadFile adds the path.
var (
	ErrEmpty   = errors.New("the file holds no mail: it is empty")
	ErrNotMbox = errors.New(`not an mbox: the first line does not begin with "From "`)
)

const (
	maxMessage = 150 << 20
	maxHeader  = 4 << 20
)

// ReadFile calls each for every mail of a file, which may be gzipped whatever its name is. The first error
// ends it; a damaged gzip stream, an empty file and a file that is no mbox are errors of one line.
func ReadFile(path string, each func(*Message) error) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("read mbox: %w", err)
	}
	defer f.Close()
	if err := Read(f, each); err != nil {
		return fmt.Errorf("read mbox %s: %w", path, err)
	}
	return nil
}

// Read is ReadFile on a stream.
func Read(r io.Reader, each func(*Message) error) error {
	in := bufio.NewReaderSize(r, 64<<10)
	if magic, _ := in.Peek(2); len(magic) == 2 && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(in)
		if err != nil {
			return fmt.Errorf("damaged gzip: %w", err)
		}
		defer z.Close()
		in = bufio.NewReaderSize(z, 64<<10)
	}
	err := split(in, each)
	if errors.Is(err, gzip.ErrChecksum) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) || isFlate(err) {
		return fmt.Errorf("damaged gzip: %w", err)
	}
	return err
}

func isFlate(err error) bool { return err != nil && strings.HasPrefix(err.Error(), "flate:") }

// splitter cuts a stream at "From " lines that follow an empty line.
type splitter struct {
	raw        bytes.Buffer
	fromLine   string
	started    bool
	afterEmpty bool
	inLine     bool // the last chunk was the first part of a long line
	each       func(*Message) error
}

func split(in *bufio.Reader, each func(*Message) error) error {
	s := &splitter{afterEmpty: true, each: each}
	for {
		line, err := in.ReadSlice('\n')
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) && !errors.Is(err, io.EOF) {
			return err
		}
		end := errors.Is(err, io.EOF)
		if !s.started {
			if stop, e := first(line, end); e != nil || stop {
				return e
			}
		}
		if e := s.chunk(line); e != nil {
			return e
		}
		s.inLine = errors.Is(err, bufio.ErrBufferFull)
		if end {
			return s.flush()
		}
	}
}

// chunk takes a line, or a part of one that is longer than the buffer.
func (s *splitter) chunk(line []byte) error {
	separator := s.afterEmpty && !s.inLine && bytes.HasPrefix(line, []byte("From "))
	s.afterEmpty = !s.inLine && len(bytes.TrimRight(line, "\r\n")) == 0
	if separator {
		err := s.flush()
		s.fromLine, s.started = strings.TrimSpace(string(line[5:])), true
		return err
	}
	if !s.started {
		return nil
	}
	if s.raw.Len() > maxMessage {
		return errors.New("a mail of more than 150 MB")
	}
	if !s.inLine {
		line = unquote(line)
	}
	s.raw.Write(line)
	return nil
}

func (s *splitter) flush() error {
	if !s.started {
		return nil
	}
	m := parse(s.fromLine, s.raw.Bytes())
	s.raw.Reset()
	return s.each(m)
}

// first judges a line before any mail began; empty lines before the first are skipped.
func first(line []byte, end bool) (stop bool, _ error) {
	if len(bytes.TrimSpace(line)) == 0 {
		if end {
			return true, ErrEmpty
		}
		return false, nil
	}
	if !bytes.HasPrefix(line, []byte("From ")) {
		return true, ErrNotMbox
	}
	return false, nil
}

// unquote takes one > off ">From ", ">>From " and so on.
func unquote(line []byte) []byte {
	if len(line) > 0 && line[0] == '>' && bytes.HasPrefix(bytes.TrimLeft(line, ">"), []byte("From ")) {
		return line[1:]
	}
	return line
}

// Parse reads one mail that stands alone.
func Parse(raw []byte) *Message { return parse("", raw) }

// parse reads one mail. It cannot fail: what is no header field is skipped.
func parse(fromLine string, raw []byte) *Message {
	raw = bytes.TrimSuffix(raw, []byte("\n")) // the empty line before the next separator
	m := &Message{FromLine: Text([]byte(fromLine)), Size: len(raw)}
	rest := raw
	for len(rest) > 0 && len(raw)-len(rest) < maxHeader {
		line, after, _ := bytes.Cut(rest, []byte("\n"))
		line = bytes.TrimRight(line, "\r")
		if len(line) == 0 {
			rest = after
			break
		}
		rest = after
		m.headerLine(line)
	}
	m.Body = bytes.Clone(rest)
	return m
}

func (m *Message) headerLine(line []byte) {
	if (line[0] == ' ' || line[0] == '\t') && len(m.Header) > 0 {
		last := &m.Header[len(m.Header)-1]
		last.Value += " " + strings.TrimSpace(Text(line))
		return
	}
	name, value, ok := bytes.Cut(line, []byte(":"))
	if !ok || len(name) == 0 || bytes.ContainsAny(name, " \t") {
		return
	}
	m.Header = append(m.Header, Field{Text(name), strings.TrimSpace(Text(value))})
}

// Text makes valid UTF-8 of header bytes: UTF-8 stays, anything else is read as Windows-1252; NUL and stray
// carriage returns become spaces.
func Text(b []byte) string {
	s := string(b)
	if !utf8.Valid(b) {
		decoded, err := charmap.Windows1252.NewDecoder().Bytes(b)
		if err == nil {
			s = string(decoded)
		}
	}
	return strings.Map(func(r rune) rune {
		if r == 0 || r == '\r' || r == '\n' {
			return ' '
		}
		return r
	}, s)
}

// When is the mail's date: Date if it lies between 1990 and 2037, else that of the first Received, else
// that of the separator; ok is false if none can be read.
func (m *Message) When() (t time.Time, ok bool) {
	candidates := []string{m.Get("Date")}
	if _, at, found := cutLast(m.Get("Received"), ";"); found {
		candidates = append(candidates, at)
	}
	if _, at, found := strings.Cut(m.FromLine, " "); found {
		candidates = append(candidates, at)
	}
	for _, c := range candidates {
		if t, ok := parseDate(c); ok && t.Year() >= 1990 && t.Year() <= 2037 {
			return t, true
		}
	}
	return time.Time{}, false
}

func cutLast(s, sep string) (before, after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}
