package mbox

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime"
	"mime/quotedprintable"
	"regexp"
	"strings"
)

// Content is what a mail's MIME parts hold.
type Content struct {
	Text       string   // of the text parts, without HTML tags, at most 64 KB
	Files      []string // names of attachments; a nameless one counts as "noname"
	Attachment bool
}

const maxText = 64 << 10

var tag = regexp.MustCompile(`<[^>]*>`)

// Content walks the parts. Broken structure ends the walk without an error.
func (m *Message) Content() Content {
	var c Content
	c.part(m, 0)
	return c
}

func (c *Content) part(m *Message, depth int) {
	kind, params := mediaType(m.Get("Content-Type"))
	if strings.HasPrefix(kind, "multipart/") && params["boundary"] != "" && depth < 8 {
		for _, p := range parts(m.Body, params["boundary"]) {
			c.part(parse("", p), depth+1)
		}
		return
	}
	disposition, more := mediaType(m.Get("Content-Disposition"))
	name := more["filename"]
	if name == "" {
		name = params["name"]
	}
	if disposition == "attachment" || name != "" {
		if name == "" {
			name = "noname"
		}
		c.Attachment = true
		c.Files = append(c.Files, name)
		return
	}
	if (kind == "" || strings.HasPrefix(kind, "text/")) && len(c.Text) < maxText {
		c.text(m, kind)
	}
}

func (c *Content) text(m *Message, kind string) {
	var body io.Reader = bytes.NewReader(m.Body)
	switch strings.ToLower(m.Get("Content-Transfer-Encoding")) {
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	}
	b, _ := io.ReadAll(io.LimitReader(body, maxText)) // what came before the damage counts
	s := Text(b)
	if kind == "text/html" {
		s = tag.ReplaceAllString(s, " ")
	}
	c.Text += " " + s
}

// mediaType is mime.ParseMediaType that keeps the type of a value with broken parameters.
func mediaType(v string) (string, map[string]string) {
	kind, params, err := mime.ParseMediaType(v)
	if err == nil {
		return kind, params
	}
	kind, _, _ = strings.Cut(v, ";")
	params = map[string]string{}
	for _, p := range strings.Split(v, ";")[1:] {
		if k, val, ok := strings.Cut(p, "="); ok {
			params[strings.ToLower(strings.TrimSpace(k))] = strings.Trim(strings.TrimSpace(val), `"`)
		}
	}
	return strings.ToLower(strings.TrimSpace(kind)), params
}

// parts cuts a multipart body at its boundary lines.
func parts(body []byte, boundary string) (out [][]byte) {
	mark := []byte("--" + boundary)
	var current []byte
	inside := false
	for _, line := range bytes.SplitAfter(body, []byte("\n")) {
		if !bytes.HasPrefix(line, mark) {
			if inside {
				current = append(current, line...)
			}
			continue
		}
		if inside {
			out = append(out, current)
		}
		current, inside = nil, !bytes.HasPrefix(line[len(mark):], []byte("--"))
	}
	if inside {
		out = append(out, current)
	}
	return out
}
