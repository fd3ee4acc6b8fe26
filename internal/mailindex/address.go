package mailindex

import "strings"

// addressScanner walks a header as RFC 2822 with the obsolete forms, and skips what fits no rule.
type addressScanner struct {
	text     string
	at       int
	comments []string
}

const (
	blanks   = " \t\r\n"
	specials = "()<>@,:;.\"[]"
	atomEnds = specials + blanks
	// In a phrase a dot is part of a word: "John Q. Public".
	wordEnds = "()<>@,:;\"[]" + blanks
)

func (s *addressScanner) done() bool { return s.at >= len(s.text) }

func (s *addressScanner) is(set string) bool {
	return !s.done() && strings.IndexByte(set, s.text[s.at]) >= 0
}

// entry reads one address up to and with its comma.
func (s *addressScanner) entry() (name, address string, ok bool) {
	s.comments = nil
	s.skip()
	start, startComments := s.at, len(s.comments)
	words := s.phrase()
	s.skip()
	switch {
	case s.done():
		if len(words) > 0 {
			name, address, ok = s.comment(), words[0], true
		}
	case s.is(".@"):
		// The phrase was the local part: read it again as one.
		s.at, s.comments = start, s.comments[:startComments]
		address = s.addrSpec()
		name, ok = s.comment(), true
	case s.is(":"):
		name, address, ok = s.group()
	case s.is("<"):
		address = s.route()
		name, ok = strings.Join(words, " "), true
		if c := s.comment(); c != "" {
			name = strings.TrimSpace(name + " (" + c + ")")
		}
	default:
		if len(words) > 0 {
			name, address, ok = s.comment(), words[0], true
		} else if s.is(specials) {
			s.at++
		}
	}
	s.skip()
	if s.is(",") {
		s.at++
	}
	return name, address, ok
}

func (s *addressScanner) comment() string { return strings.Join(s.comments, " ") }

// group reads the members of a group and gives the first.
func (s *addressScanner) group() (name, address string, ok bool) {
	s.at++
	for !s.done() {
		s.skip()
		if s.is(";") {
			s.at++
			break
		}
		before := s.at
		n, a, found := s.entry()
		if found && !ok {
			name, address, ok = n, a, true
		}
		if s.at == before {
			s.at++
		}
	}
	return name, address, ok
}

// skip passes blanks and gathers comments.
func (s *addressScanner) skip() {
	for !s.done() {
		switch {
		case s.is(blanks):
			s.at++
		case s.is("("):
			s.comments = append(s.comments, s.enclosed('(', ')'))
		default:
			return
		}
	}
}

// enclosed reads text between two marks, with backslash quoting. Where they differ from each other and nest, as in comments, the
// inner marks are dropped.
func (s *addressScanner) enclosed(begin, end byte) string {
	var b strings.Builder
	s.at++
	quoted, depth := false, 1
	for ; !s.done() && depth > 0; s.at++ {
		c := s.text[s.at]
		switch {
		case quoted:
			b.WriteByte(c)
			quoted = false
		case c == end:
			depth--
		case c == begin && begin == '(':
			depth++
		case c == '\\':
			quoted = true
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func (s *addressScanner) quoted() string  { return s.enclosed('"', '"') }
func (s *addressScanner) literal() string { return "[" + s.enclosed('[', ']') + "]" }

func (s *addressScanner) atom(ends string) string {
	start := s.at
	for !s.done() && !s.is(ends) {
		s.at++
	}
	return s.text[start:s.at]
}

// phrase reads words and quoted strings up to the next special.
func (s *addressScanner) phrase() (words []string) {
	for !s.done() {
		switch {
		case s.is(blanks):
			s.at++
		case s.is(`"`):
			words = append(words, s.quoted())
		case s.is("("):
			s.comments = append(s.comments, s.enclosed('(', ')'))
		case s.is(wordEnds):
			return words
		default:
			words = append(words, s.atom(wordEnds))
		}
	}
	return words
}

// route reads <address>, passing an obsolete source route (<@a,@b:user@c>).
func (s *addressScanner) route() (address string) {
	s.at++
	s.skip()
	for passDomain := false; !s.done(); s.skip() {
		switch {
		case passDomain:
			s.domain()
			passDomain = false
		case s.is(">"):
			s.at++
			return address
		case s.is("@"):
			s.at++
			passDomain = true
		case s.is(":"):
			s.at++
		default:
			address = s.addrSpec()
			s.skip()
			if s.is(">") {
				s.at++
			}
			return address
		}
	}
	return address
}

// addrSpec reads local@domain, or a local part alone; "" when what follows the @ is no domain.
func (s *addressScanner) addrSpec() string {
	local := s.localPart()
	s.skip()
	if !s.is("@") {
		return local
	}
	s.at++
	domain := s.domain()
	if domain == "" {
		return ""
	}
	return local + "@" + domain
}

// localPart reads atoms, dots and quoted strings; white space within is kept only where it may matter.
func (s *addressScanner) localPart() string {
	var parts []string
	keep := true
	s.skip()
	for !s.done() {
		space := true
		switch {
		case s.is("."):
			if n := len(parts); n > 0 && strings.TrimSpace(parts[n-1]) == "" {
				parts = parts[:n-1]
			}
			parts = append(parts, ".")
			space = false
			s.at++
		case s.is(`"`):
			parts = append(parts, `"`+escape(s.quoted())+`"`)
		case s.is(atomEnds):
			keep = false
		default:
			parts = append(parts, s.atom(atomEnds))
		}
		if !keep {
			break
		}
		if before := s.at; space {
			s.skip()
			if s.at > before {
				parts = append(parts, " ")
			}
		} else {
			s.skip()
		}
	}
	return strings.TrimSpace(strings.Join(parts, ""))
}

func escape(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(s, `\`, `\\`), `"`, `\"`)
}

// domain reads what follows an @; a second @ spoils it, so that a@evil.example@good.example is nobody's address.
func (s *addressScanner) domain() string {
	var b strings.Builder
	for !s.done() {
		switch {
		case s.is(blanks):
			s.at++
		case s.is("("):
			s.comments = append(s.comments, s.enclosed('(', ')'))
		case s.is("["):
			b.WriteString(s.literal())
		case s.is("."):
			s.at++
			b.WriteByte('.')
		case s.is("@"):
			return ""
		case s.is(atomEnds):
			return b.String()
		default:
			b.WriteString(s.atom(atomEnds))
		}
	}
	return b.String()
}
