package mailindex

import (
	"io"
	"mime"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/html/charset"
)

// ParseFrom reads the first address of a From header as mail software that forgives does: address is its addr-spec in lower case,
// name the display name, decoded (RFC 2047). It takes unquoted commas, dots and brackets, comments, groups, raw 8-bit bytes and
// addresses without a domain, and agrees with Python's email.utils.parseaddr on which text is the address. ok is false when there is none.
func ParseFrom(raw string) (address, name string, ok bool) {
	s := addressScanner{text: unfold.Replace(raw[:min(len(raw), maxHeader)])}
	name, address, _ = s.entry()
	address = strings.ToLower(strings.ToValidUTF8(address, "\uFFFD"))
	return address, decodeName(name), address != ""
}

// maxHeader bounds the work on a hostile header; a real From is far shorter.
const maxHeader = 16 << 10

var unfold = strings.NewReplacer("\r\n", " ", "\n", " ", "\r", " ")

// decodeName undoes RFC 2047 in any charset that browsers know; 8-bit text that is not UTF-8 is taken for windows-1252.
func decodeName(name string) string {
	d := mime.WordDecoder{CharsetReader: func(label string, in io.Reader) (io.Reader, error) {
		return charset.NewReaderLabel(label, in)
	}}
	if decoded, err := d.DecodeHeader(name); err == nil {
		name = decoded
	}
	if !utf8.ValidString(name) {
		if r, err := charset.NewReaderLabel("windows-1252", strings.NewReader(name)); err == nil {
			if b, err := io.ReadAll(r); err == nil {
				name = string(b)
			}
		}
	}
	return strings.Join(strings.Fields(name), " ")
}
