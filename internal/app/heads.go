package app

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"strconv"
	"time"

	"mailsweep/internal/config"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// headLine is the end of a customer's audit chain at a time, as a line of JSON. Lines of the scheduler's log that say "audit head" have
// the same members, so that a log that is kept elsewhere serves as well as a file.
type headLine struct {
	Time     time.Time `json:"time"`
	Message  string    `json:"msg"`
	Customer string    `json:"customer"`
	Seq      int64     `json:"seq"`
	Hash     string    `json:"hash"`
}

const headMessage = "audit head"

// keepHead appends to the file of the settings; nil without one.
func keepHead(path string) func(sweep.ID, store.AuditHead) error {
	if path == "" {
		return nil
	}
	return func(customer sweep.ID, h store.AuditHead) error {
		line, err := json.Marshal(headLine{time.Now().UTC(), headMessage, sweep.CustomerID.Show(customer), h.Seq, h.Hash})
		if err != nil {
			return fmt.Errorf("encode audit head: %w", err)
		}
		f, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o600)
		if err != nil {
			return fmt.Errorf("keep audit head: %w", err)
		}
		if torn(f) {
			line = append([]byte{'\n'}, line...)
		}
		_, err = f.Write(append(line, '\n'))
		if err = errors.Join(err, f.Close()); err != nil {
			return fmt.Errorf("keep audit head: %w", err)
		}
		return nil
	}
}

// torn says whether the last line has no end: who wrote it died, or the disk was full. What cannot be looked at is not.
func torn(f *os.File) bool {
	info, err := f.Stat()
	if err != nil || info.Size() == 0 {
		return false
	}
	last := make([]byte, 1)
	_, err = f.ReadAt(last, info.Size()-1)
	return err == nil && last[0] != '\n'
}

// VerifyAudit verifies every customer's audit chain and, with the path of a file of heads, or of a log that has them, that each chain still
// has the ends that it had when they were written. It changes nothing, and a break is an error.
func VerifyAudit(path string) func(context.Context, config.Config, *slog.Logger) error {
	return func(ctx context.Context, cfg config.Config, _ *slog.Logger) error {
		kept := map[sweep.ID][]store.AuditHead{}
		if path != "" {
			var err error
			if kept, err = readHeads(path); err != nil {
				return err
			}
		}
		return verify(ctx, cfg, os.Stdout, "audit", func(tx *store.Tx) ([]store.Discrepancy, error) {
			heads := kept[tx.Customer]
			delete(kept, tx.Customer)
			return auditBreaches(tx, heads)
		}, func(out io.Writer) (missing int) {
			for customer, heads := range kept {
				missing++
				fmt.Fprintf(out, "%s %d: there is no such customer any more, which had an audit chain\n", sweep.CustomerID.Show(customer), heads[len(heads)-1].Seq)
			}
			return missing
		})
	}
}

func auditBreaches(tx *store.Tx, heads []store.AuditHead) ([]store.Discrepancy, error) {
	list, err := tx.AuditBreaches()
	for _, h := range heads {
		if err != nil {
			return list, err
		}
		var has, known bool
		if has, known, err = tx.HasAuditHead(h); err == nil && known && !has {
			list = append(list, store.Discrepancy{Rule: "the audit chain was rewritten", Object: strconv.FormatInt(h.Seq, 10), Detail: "it once had another entry of this number, hash " + h.Hash})
		}
	}
	return list, err
}

// readHead reads a line. One that stands behind the torn beginning of another in the same line is read as well.
func readHead(line []byte) (l headLine, is bool) {
	if json.Unmarshal(line, &l) != nil {
		at := bytes.LastIndex(line, []byte(`{"time":`))
		if l = (headLine{}); at <= 0 || json.Unmarshal(line[at:], &l) != nil {
			return headLine{}, false
		}
	}
	return l, l.Message == headMessage
}

func readHeads(path string) (kept map[sweep.ID][]store.AuditHead, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read audit heads: %w", err)
	}
	defer f.Close()
	kept = map[sweep.ID][]store.AuditHead{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		l, is := readHead(lines.Bytes())
		if !is {
			continue // the rest of a log
		}
		customer, err := sweep.CustomerID.Parse(l.Customer)
		if err != nil {
			return nil, fmt.Errorf("read audit heads: %w", err)
		}
		kept[customer] = append(kept[customer], store.AuditHead{Seq: l.Seq, Hash: l.Hash, At: l.Time})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read audit heads: %w", err)
	}
	if len(kept) == 0 {
		return nil, sweep.Errorf(sweep.Invalid, "%s has no audit heads", path)
	}
	return kept, nil
}
