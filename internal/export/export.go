// Package export makes everything that we keep of a customer into one file for them.
package export

import (
	"archive/zip"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"mailsweep/internal/mail"
	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// Lifetime is how long a finished export can be fetched.
const Lifetime = 24 * time.Hour

// Maker makes exports. Told opens what a row holds sealed, as JSON; Senders gives those that a mailbox's index knows; Post puts a mail to a
// person into the outbox.
type Maker struct {
	DB      *store.DB
	Vault   *secret.Vault
	Told    func(box *secret.Box, table, column string, of map[string]any, sealed []byte) (json.RawMessage, error)
	Senders func(tx *store.Tx, box *secret.Box, mailbox sweep.ID, f func(sweep.Sender) error) error
	Post    func(tx *store.Tx, kind mail.Kind, user sweep.ID, data mail.Data) error
}

// Make makes an export that was asked for, and tells who asked. All of it is one transaction: an export is ready and whole, or nothing of it
// is there. Making one again that is ready, or that was deleted, changes nothing. Conflict while another worker makes it. What is in memory
// does not grow with the customer, but for one mailbox's index.
func (m *Maker) Make(ctx context.Context, customer, id sweep.ID) error {
	err := m.DB.TenantAtLeisure(ctx, customer, func(tx *store.Tx) error {
		e, claimed, err := tx.ClaimExport(id)
		if err != nil || !claimed {
			return err
		}
		c, err := tx.LoadCustomer()
		if err != nil {
			return err
		}
		box, err := m.Vault.Box(c.DataKey, customer.String())
		if err != nil {
			return fmt.Errorf("open data key: %w", err)
		}
		out := &pieces{tx: tx, box: box, export: id}
		if err := m.write(tx, box, out); err != nil {
			return err
		}
		return m.finish(tx, e, out.size)
	})
	if sweep.CodeOf(err) == sweep.NotFound { // deleted while it was made
		return nil
	}
	return err
}

func (m *Maker) finish(tx *store.Tx, e store.Export, size int64) error {
	expires := tx.Now.Add(Lifetime)
	if err := tx.FinishExport(e.ID, size, expires); err != nil {
		return err
	}
	if err := m.Post(tx, mail.ExportReady, e.User, mail.Data{At: e.CreatedAt, EndsAt: expires}); err != nil {
		return err
	}
	return tx.Audit(store.AuditEntry{Actor: sweep.Actor{Kind: sweep.BySystem, Customer: tx.Customer}, Action: "export.made", Object: sweep.ExportID.Show(e.ID), Data: map[string]any{"bytes": size}})
}

// archive is a ZIP that is being written, with what is said of it at its end.
type archive struct {
	*Maker
	tx    *store.Tx
	box   *secret.Box
	zip   *zip.Writer
	about about

	mailboxes []sweep.ID // met on the way
}

// about says what is in an export.
type about struct {
	Customer  string            `json:"customer_id"`
	MadeAt    time.Time         `json:"made_at"`
	Files     []content         `json:"files"`
	LeftOut   map[string]string `json:"left_out"` // tables and table.column, and why
	AuditHead head              `json:"audit_head"`
}

type content struct {
	Name string `json:"name"`
	Rows int    `json:"rows"`
}

// head is the end of the audit log when the export began.
type head struct {
	Seq  int64  `json:"seq"`
	Hash string `json:"hash"`
}

// write writes the whole file.
func (m *Maker) write(tx *store.Tx, box *secret.Box, out *pieces) error {
	end, err := tx.AuditHead() // before the log is read, so that it is in it
	if err != nil {
		return err
	}
	a := &archive{Maker: m, tx: tx, box: box, zip: zip.NewWriter(out), about: about{Customer: sweep.CustomerID.Show(tx.Customer), MadeAt: tx.Now, LeftOut: store.NotExported(), AuditHead: head{end.Seq, end.Hash}}}
	if err := a.text("README.txt", readme); err != nil {
		return err
	}
	for _, table := range store.ExportedTables() {
		for column, why := range table.Left {
			a.about.LeftOut[table.Table+"."+column] = why
		}
		if err := a.table(table); err != nil {
			return err
		}
	}
	if err := a.senders(); err != nil {
		return err
	}
	said, err := json.MarshalIndent(a.about, "", " ")
	if err != nil {
		return fmt.Errorf("encode about: %w", err)
	}
	if err := a.text("about.json", string(said)+"\n"); err != nil {
		return err
	}
	if err := a.zip.Close(); err != nil {
		return err
	}
	return out.close()
}

const readme = `Everything that Mailsweep keeps of your account and its people.

Each NAME.json is a list with an object per line, each NAME.csv the same as a table. A cell of a table that would be computed by a spreadsheet
begins with an apostrophe, which is not part of its text. Times are in UTC. senders/ has what is known of the senders in each mailbox.
about.json says what is in each file, and what was left out and why: secrets, such as passwords and tokens, are never told.
Months that were put into the archive are not in here.

audit_logs.json can be verified without us: of every entry, hash is the SHA-256 of the bytes of prev_hash (from hexadecimal) followed by the
text hashed; prev_hash is the hash of the entry whose seq is one less, or of the last entry of a month in audit_anchors.json; audit_head in
about.json is an entry of it.
`
