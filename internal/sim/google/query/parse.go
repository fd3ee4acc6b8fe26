// Package query reads Gmail's search language into a tree.
package query

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Kind says what a node is.
type Kind uint8

// Kinds of nodes: groups, and Term for one condition.
const (
	All Kind = iota
	Any
	Not
	Term
)

// Node is one node of a query. A Term has an operator in lower case ("" for text anywhere) and a value.
type Node struct {
	Kind  Kind
	Kids  []Node
	Op    string
	Value string
}

// Operators are those of support.google.com/mail/answer/7190 that the search knows. A word with any other
// name before its colon is plain text.
var operators = map[string]bool{
	"from": true, "to": true, "cc": true, "bcc": true, "deliveredto": true, "subject": true, "list": true,
	"rfc822msgid": true, "filename": true, "label": true, "category": true, "in": true, "is": true, "has": true,
	"larger": true, "smaller": true, "size": true, "after": true, "before": true, "older": true, "newer": true,
	"older_than": true, "newer_than": true,
}

// Parse reads a query. Nothing is an error, as at Gmail: brackets left open close at the end, stray ones
// are skipped. The empty query is an empty All. With swallow, words that follow an operator's value belong to it.
func Parse(s string, swallow bool) Node {
	p := &parser{s: s, swallow: swallow}
	n := p.or("")
	for p.i < len(p.s) { // a closing bracket without an opening one
		p.i++
		n = join(All, n, p.or(""))
	}
	return n
}

type parser struct {
	s       string
	i       int
	swallow bool
}

func join(k Kind, x, y Node) Node {
	if y.Kind == All && len(y.Kids) == 0 {
		return x
	}
	if x.Kind == All && len(x.Kids) == 0 {
		return y
	}
	return Node{Kind: k, Kids: []Node{x, y}}
}

// or reads alternatives joined by OR. field is the operator that a group's words belong to.
func (p *parser) or(field string) Node {
	n := p.and(field)
	for p.keyword("OR") {
		n = join(Any, n, p.and(field))
	}
	return n
}

func (p *parser) and(field string) Node {
	out := Node{Kind: All}
	for {
		p.space()
		if p.end() || p.peekKeyword("OR") {
			break
		}
		if p.keyword("AND") {
			continue
		}
		if p.keyword("AROUND") {
			p.space()
			p.word()
			continue
		}
		out.Kids = append(out.Kids, p.unary(field))
	}
	if len(out.Kids) == 1 {
		return out.Kids[0]
	}
	return out
}

func (p *parser) unary(field string) Node {
	if p.s[p.i] == '-' && p.i+1 < len(p.s) && !isSpace(p.s[p.i+1]) {
		p.i++
		if p.end() {
			return Node{Kind: All}
		}
		return Node{Kind: Not, Kids: []Node{p.unary(field)}}
	}
	if p.s[p.i] == '+' {
		p.i++
		if p.end() {
			return Node{Kind: All}
		}
	}
	return p.atom(field)
}

func (p *parser) atom(field string) Node {
	switch p.s[p.i] {
	case '(':
		return p.group(field, ')')
	case '{':
		return p.group(field, '}')
	case '"':
		return Node{Kind: Term, Op: field, Value: p.quoted()}
	}
	w := p.word()
	if w == "" { // a lone sign
		p.i++
		return Node{Kind: All}
	}
	name, value, found := strings.Cut(w, ":")
	op := strings.ToLower(name)
	if !found || field != "" || !operators[op] {
		return Node{Kind: Term, Op: field, Value: w}
	}
	return p.operator(op, value)
}

// operator reads what stands behind the colon: the rest of the word, a phrase or a group.
func (p *parser) operator(op, value string) Node {
	if value != "" {
		return Node{Kind: Term, Op: op, Value: value + p.swallowed()}
	}
	p.space()
	if p.end() {
		return Node{Kind: Term, Op: op}
	}
	switch p.s[p.i] {
	case '(', '{', '"':
		return p.atom(op)
	}
	return Node{Kind: Term, Op: op, Value: p.word() + p.swallowed()}
}

// swallowed gives the bare words that follow, when the switch is on.
func (p *parser) swallowed() string {
	out := ""
	for p.swallow {
		start := p.i
		p.space()
		if p.end() || strings.IndexByte(`({"-+`, p.s[p.i]) >= 0 || p.peekKeyword("OR") || p.peekKeyword("AND") {
			p.i = start
			break
		}
		w := p.word()
		if strings.Contains(w, ":") {
			p.i = start
			break
		}
		out += " " + w
	}
	return out
}

// group reads (…), where all must hold, or {…}, where one must.
func (p *parser) group(field string, closing byte) Node {
	p.i++
	n := p.or(field)
	if p.i < len(p.s) && (p.s[p.i] == ')' || p.s[p.i] == '}') {
		p.i++
	}
	if closing == '}' && n.Kind == All && len(n.Kids) > 0 {
		n.Kind = Any
	}
	return n
}

func (p *parser) quoted() string {
	p.i++
	rest := p.s[p.i:]
	end := strings.IndexByte(rest, '"')
	if end < 0 {
		p.i = len(p.s)
		return rest
	}
	p.i += end + 1
	return rest[:end]
}

// word reads up to a space, a bracket or a quote.
func (p *parser) word() string {
	start := p.i
	for p.i < len(p.s) && !isSpace(p.s[p.i]) && strings.IndexByte(`(){}"`, p.s[p.i]) < 0 {
		p.i++
	}
	return p.s[start:p.i]
}

func (p *parser) space() {
	for p.i < len(p.s) && isSpace(p.s[p.i]) {
		p.i++
	}
}

func (p *parser) end() bool { return p.i >= len(p.s) || p.s[p.i] == ')' || p.s[p.i] == '}' }

func (p *parser) peekKeyword(k string) bool {
	rest := p.s[p.i:]
	if !strings.HasPrefix(rest, k) {
		return false
	}
	return len(rest) == len(k) || isSpace(rest[len(k)]) || strings.IndexByte(`(){}"`, rest[len(k)]) >= 0
}

func (p *parser) keyword(k string) bool {
	p.space()
	if p.i >= len(p.s) || !p.peekKeyword(k) {
		return false
	}
	p.i += len(k)
	return true
}

func isSpace(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

// Line gives a text's tokens, each between spaces: Gmail splits on everything but letters, digits and the
// underscore, without stems or prefixes. A value matches a text if Line(text) contains Line(value).
func Line(s string) string {
	var out strings.Builder
	out.Grow(len(s) + 2)
	out.WriteByte(' ')
	open := false
	for _, r := range s {
		if r == utf8.RuneError || !(unicode.IsLetter(r) || unicode.IsDigit(r) || r == '_' || unicode.Is(unicode.Mn, r)) {
			if open {
				out.WriteByte(' ')
			}
			open = false
			continue
		}
		out.WriteRune(unicode.ToLower(r))
		open = true
	}
	if open {
		out.WriteByte(' ')
	}
	return out.String()
}
