package export

import (
	"archive/zip"
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"slices"

	"mailsweep/internal/secret"
	"mailsweep/internal/sheet"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// sheets are the tables that people look at: they come as CSV too.
var sheets = []string{"jobs", "cleanup_runs", "keep_list", "mailboxes", "usage_tracking", "audit_logs"}

// file begins the next file of the archive; the one before ends with it.
func (a *archive) file(name string) (io.Writer, error) {
	w, err := a.zip.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Deflate, Modified: a.tx.Now})
	if err != nil {
		return nil, fmt.Errorf("begin %s: %w", name, err)
	}
	return w, nil
}

func (a *archive) text(name, text string) error {
	w, err := a.file(name)
	if err == nil {
		_, err = io.WriteString(w, text)
	}
	return err
}

// table writes a table's rows, which are looked at once for each of its files.
func (a *archive) table(t store.Exported) error {
	if err := a.list(t); err != nil {
		return err
	}
	if !slices.Contains(sheets, t.Table) {
		return nil
	}
	return a.sheet(t)
}

// list writes the rows as JSON, an object a line.
func (a *archive) list(t store.Exported) error {
	name := t.Table + ".json"
	f, err := a.file(name)
	if err != nil {
		return err
	}
	w := bufio.NewWriter(f)
	rows, between := 0, "[\n"
	err = t.Each(a.tx, func(columns []string, values []any) error {
		line, err := a.object(t, columns, values)
		if err != nil {
			return err
		}
		rows++
		_, _ = w.WriteString(between) // bufio keeps a failure for the next
		between = ",\n"
		_, err = w.Write(line)
		return err
	})
	if err != nil {
		return err
	}
	if rows == 0 {
		_, _ = w.WriteString("[")
	}
	_, _ = w.WriteString("\n]\n")
	a.about.Files = append(a.about.Files, content{name, rows})
	return w.Flush()
}

// object writes a row with its columns in their order, what is sealed opened.
func (a *archive) object(t store.Exported, columns []string, values []any) ([]byte, error) {
	of := map[string]any{}
	for i, c := range columns {
		of[c] = values[i]
	}
	if t.Table == "mailboxes" {
		shown, _ := of["id"].(string)
		id, err := sweep.MailboxID.Parse(shown)
		if err != nil {
			return nil, fmt.Errorf("read id of mailbox: %w", err)
		}
		a.mailboxes = append(a.mailboxes, id)
	}
	var b bytes.Buffer
	encode := json.NewEncoder(&b)
	encode.SetEscapeHTML(false)
	for i, c := range columns {
		v := values[i]
		if slices.Contains(t.Sealed, c) {
			sealed, _ := v.([]byte)
			told, err := a.Told(a.box, t.Table, c, of, sealed)
			if err != nil {
				return nil, fmt.Errorf("open %s.%s: %w", t.Table, c, err)
			}
			v = told
		} else if _, raw := v.([]byte); raw {
			return nil, fmt.Errorf("%s.%s are bytes that nobody can read", t.Table, c)
		}
		b.WriteByte("{,"[min(i, 1)])
		fmt.Fprintf(&b, "%q:", c)
		if err := encode.Encode(v); err != nil {
			return nil, fmt.Errorf("encode %s.%s: %w", t.Table, c, err)
		}
		b.Truncate(b.Len() - 1) // the encoder's end of line
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}

// sheet writes the rows as CSV, without what is sealed.
func (a *archive) sheet(t store.Exported) error {
	names, err := t.Columns(a.tx)
	if err != nil {
		return err
	}
	cells := func(values []any) (row []any) {
		for i, v := range values {
			if raw, is := v.(json.RawMessage); is {
				v = string(raw)
			}
			if !slices.Contains(t.Sealed, names[i]) {
				row = append(row, v)
			}
		}
		return row
	}
	title := make([]any, len(names))
	for i, n := range names {
		title[i] = n
	}
	return a.csv(t.Table+".csv", cells(title), func(write func(...any) error) error {
		return t.Each(a.tx, func(_ []string, values []any) error { return write(cells(values)...) })
	})
}

// csv writes one file; each hands over its rows.
func (a *archive) csv(name string, title []any, each func(write func(...any) error) error) error {
	f, err := a.file(name)
	if err != nil {
		return err
	}
	w := sheet.NewWriter(f)
	if err := w.Write(title...); err != nil {
		return err
	}
	rows := 0
	err = each(func(cells ...any) error {
		rows++
		return w.Write(cells...)
	})
	if err != nil {
		return err
	}
	a.about.Files = append(a.about.Files, content{name, rows})
	return w.Flush()
}

// senders writes what each mailbox's index knows of them, those of disconnected ones too.
func (a *archive) senders() error {
	title := []any{"address", "name", "domain", "messages", "unread", "bytes", "first", "last", "unsubscribe", "lists", "verified", "exact", "safety"}
	for _, box := range a.mailboxes {
		err := a.csv("senders/"+sweep.MailboxID.Show(box)+".csv", title, func(write func(...any) error) error {
			return a.Senders(a.tx, a.box, box, func(s sweep.Sender) error {
				lists, err := json.Marshal(s.Lists)
				if err != nil {
					return err
				}
				return write(s.Address, s.Name, s.Domain, s.Messages, s.Unread, s.Bytes, s.First, s.Last, string(s.Unsubscribe), string(lists), s.Verified, s.Exact, string(s.Safety.Grade))
			})
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// piece is how much of a file is sealed at once.
const piece = 1 << 20

// pieces is the file on its way into the database.
type pieces struct {
	tx     *store.Tx
	box    *secret.Box
	export sweep.ID
	held   []byte
	n      int
	size   int64
}

// Write implements io.Writer.
func (p *pieces) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		fits := min(piece-len(p.held), len(rest))
		p.held, rest = append(p.held, rest[:fits]...), rest[fits:]
		if len(p.held) == piece {
			if err := p.close(); err != nil {
				return len(b) - len(rest), err
			}
		}
	}
	return len(b), nil
}

// close seals and writes what is held.
func (p *pieces) close() error {
	if len(p.held) == 0 {
		return nil
	}
	if err := p.tx.AddExportPart(p.box, p.export, p.n, p.held); err != nil {
		return err
	}
	p.n, p.size, p.held = p.n+1, p.size+int64(len(p.held)), p.held[:0]
	return nil
}
