package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"mailsweep/internal/secret"
	"mailsweep/internal/sweep"
)

// Export is a customer's data as one file: asked for, then made. ReadyAt is zero until it is made; Bytes is the size of the file.
type Export struct {
	ID, User                      sweep.ID
	Bytes                         int64
	CreatedAt, ReadyAt, ExpiresAt time.Time
}

type exportRow struct {
	ID, UserID         dbID
	Bytes              int64
	CreatedAt          time.Time
	ReadyAt, ExpiresAt *time.Time
}

func (r exportRow) export() Export {
	return Export{ID: sweep.ID(r.ID), User: sweep.ID(r.UserID), Bytes: r.Bytes, CreatedAt: r.CreatedAt.UTC(), ReadyAt: instant(r.ReadyAt), ExpiresAt: instant(r.ExpiresAt)}
}

// InsertExport notes that a person asked for an export.
func (tx *Tx) InsertExport(id, user sweep.ID) error {
	err := tx.Exec("INSERT INTO exports (customer_id, id, user_id, created_at) VALUES (?, ?, ?, ?)", dbID(tx.Customer), dbID(id), dbID(user), tx.Now).Error
	return doing(err, "insert export")
}

// Exports lists those that are known, the newest first.
func (tx *Tx) Exports() (list []Export, err error) {
	var rows []exportRow
	err = tx.Raw("SELECT id, user_id, bytes, created_at, ready_at, expires_at FROM exports WHERE customer_id = ? ORDER BY created_at DESC, id DESC", dbID(tx.Customer)).Scan(&rows).Error
	for _, r := range rows {
		list = append(list, r.export())
	}
	return list, doing(err, "list exports")
}

// Export reads one; NotFound.
func (tx *Tx) Export(id sweep.ID) (Export, error) {
	list, err := tx.Exports()
	for _, e := range list {
		if e.ID == id {
			return e, nil
		}
	}
	if err == nil {
		err = noExport()
	}
	return Export{}, err
}

func noExport() error { return sweep.Errorf(sweep.NotFound, "there is no such export") }

// ClaimExport gives the export that is to be made to one transaction at a time, without a lock that who deletes it would wait for. claimed
// is false when it is made already; NotFound when it was deleted; Conflict while another transaction has it.
func (tx *Tx) ClaimExport(id sweep.ID) (e Export, claimed bool, err error) {
	var mine bool
	if err := tx.Raw("SELECT pg_try_advisory_xact_lock(hashtextextended(?, 0))", "export|"+id.String()).Row().Scan(&mine); err != nil {
		return e, false, fmt.Errorf("claim export: %w", err)
	}
	if !mine {
		return e, false, sweep.Errorf(sweep.Conflict, "this export is being made by another worker")
	}
	var row exportRow
	found := tx.Raw("SELECT id, user_id, created_at, ready_at, expires_at FROM exports WHERE customer_id = ? AND id = ?", dbID(tx.Customer), dbID(id)).Scan(&row)
	if found.Error == nil && found.RowsAffected == 0 {
		return e, false, noExport()
	}
	return row.export(), row.ReadyAt == nil, doing(found.Error, "read export")
}

// AddExportPart writes the n-th piece, from 0, sealed.
func (tx *Tx) AddExportPart(box *secret.Box, id sweep.ID, n int, plain []byte) error {
	sealed, err := box.Seal(plain, partContext(id, n))
	if err != nil {
		return err
	}
	err = tx.Exec("INSERT INTO export_parts (customer_id, export_id, n, sealed) VALUES (?, ?, ?, ?)", dbID(tx.Customer), dbID(id), n, dbBytes(sealed)).Error
	return doing(err, "write part of export")
}

func partContext(id sweep.ID, n int) string { return fmt.Sprintf("export_parts|%s|%d", id, n) }

// FinishExport says that all pieces are there, and until when they can be fetched. NotFound when the export was deleted meanwhile: nothing
// of it may stay then.
func (tx *Tx) FinishExport(id sweep.ID, size int64, expires time.Time) error {
	done := tx.Exec("UPDATE exports SET bytes = ?, ready_at = ?, expires_at = ? WHERE customer_id = ? AND id = ? AND ready_at IS NULL", size, tx.Now, expires, dbID(tx.Customer), dbID(id))
	if done.Error == nil && done.RowsAffected == 0 {
		return noExport()
	}
	return doing(done.Error, "finish export")
}

// ExportPart opens the n-th piece while the export can be fetched; NotFound afterwards, and behind the last.
func (tx *Tx) ExportPart(box *secret.Box, id sweep.ID, n int) (plain []byte, err error) {
	var sealed []byte
	err = tx.Raw(`SELECT p.sealed FROM export_parts p JOIN exports e ON e.customer_id = p.customer_id AND e.id = p.export_id
		WHERE p.customer_id = ? AND p.export_id = ? AND p.n = ? AND e.expires_at > ?`, dbID(tx.Customer), dbID(id), n, tx.Now).Row().Scan(&sealed)
	if errors.Is(err, sql.ErrNoRows) {
		err = noExport()
	}
	if err != nil {
		return nil, fmt.Errorf("read part of export: %w", err)
	}
	return box.Open(sealed, partContext(id, n))
}

// DropExports removes all of the customer's exports, also one that is being made.
func (tx *Tx) DropExports() error {
	if err := tx.Exec("DELETE FROM exports WHERE customer_id = ?", dbID(tx.Customer)).Error; err != nil {
		return fmt.Errorf("drop exports: %w", err)
	}
	return doing(tx.Exec("DELETE FROM export_parts WHERE customer_id = ?", dbID(tx.Customer)).Error, "drop parts of exports")
}

// TenantAtLeisure is Tenant without a bound on the whole transaction, for work that nobody waits for: each statement has the database's own.
func (db *DB) TenantAtLeisure(ctx context.Context, customer sweep.ID, f func(*Tx) error) error {
	slow := *db
	slow.patience = 0
	return slow.Tenant(ctx, customer, f)
}
