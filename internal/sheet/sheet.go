// Package sheet writes CSV that a spreadsheet shows and does not run.
package sheet

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"
)

// Writer writes rows as RFC 4180 has them, every cell in quotes: then no separator that a country's spreadsheet takes for one splits it.
type Writer struct{ w *bufio.Writer }

// NewWriter writes to w. What is written is whole after Flush.
func NewWriter(w io.Writer) *Writer { return &Writer{bufio.NewWriter(w)} }

// Write adds a row. Texts are made safe (Safe); times are RFC 3339 in UTC, nil is an empty cell, everything else is as fmt prints it.
func (w *Writer) Write(cells ...any) error {
	for i, cell := range cells {
		if i > 0 {
			w.put(",")
		}
		w.put(`"`)
		w.put(strings.ReplaceAll(text(cell), `"`, `""`))
		w.put(`"`)
	}
	w.put("\r\n")
	_, err := w.w.Write(nil) // the first failure of any
	return err
}

// put leaves its failure to the next Write: bufio keeps it.
func (w *Writer) put(s string) { _, _ = w.w.WriteString(s) }

// Flush hands on what is held back.
func (w *Writer) Flush() error { return w.w.Flush() }

func text(cell any) string {
	switch c := cell.(type) {
	case nil:
		return ""
	case time.Time:
		return c.UTC().Format(time.RFC3339Nano)
	case bool, int, int64, uint64, float64: // a minus of ours begins no formula
		return fmt.Sprint(c)
	case string:
		return Safe(c)
	}
	return Safe(fmt.Sprint(cell))
}

var (
	// breaks are ends of lines that readers of CSV know as one.
	breaks = regexp.MustCompile(`\r+\n`)
	// formula is how a cell begins that a spreadsheet computes, also in the wide forms of Japanese keyboards, behind any apostrophes.
	formula = regexp.MustCompile(`^'*[=+\-@\t\r\n＝＋－＠]`)
)

// Safe is a text as a cell may hold it: an apostrophe stands before what would begin a formula, so the cell is shown as a text. Ends of
// lines become \n.
func Safe(s string) string {
	s = breaks.ReplaceAllString(s, "\n")
	if formula.MatchString(s) {
		return "'" + s
	}
	return s
}

// Unsafe takes back what Safe put before a text.
func Unsafe(s string) string {
	if strings.HasPrefix(s, "'") && formula.MatchString(s[1:]) {
		return s[1:]
	}
	return s
}
