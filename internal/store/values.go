package store

import (
	"bytes"
	"database/sql/driver"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"

	"mailsweep/internal/sweep"
)

// dbID lets a sweep.ID travel to and from a uuid column; the zero id is NULL.
type dbID sweep.ID

// Value implements driver.Valuer.
func (d dbID) Value() (driver.Value, error) {
	if sweep.ID(d).IsZero() {
		return nil, nil
	}
	return sweep.ID(d).String(), nil
}

// UUIDValue implements pgtype.UUIDValuer: statements that do not go through database/sql send the 16 bytes.
func (d dbID) UUIDValue() (pgtype.UUID, error) {
	return pgtype.UUID{Bytes: d, Valid: !sweep.ID(d).IsZero()}, nil
}

// ScanUUID implements pgtype.UUIDScanner.
func (d *dbID) ScanUUID(v pgtype.UUID) error {
	*d = dbID(v.Bytes)
	return nil
}

// Scan implements sql.Scanner.
func (d *dbID) Scan(src any) error {
	switch v := src.(type) {
	case nil:
		*d = dbID{}
		return nil
	case string:
		id, err := sweep.ParseUUID(v)
		*d = dbID(id)
		return err
	case []byte:
		if len(v) == 16 {
			copy(d[:], v)
			return nil
		}
		return d.Scan(string(v))
	case [16]byte:
		*d = dbID(v)
		return nil
	}
	return fmt.Errorf("cannot read an id from %T", src)
}

// pageBefore is a cursor for id < ?: the zero id begins at the newest. One comparison, so that every plan seeks to the page.
func pageBefore(id sweep.ID) dbID {
	if id.IsZero() {
		return dbID(bytes.Repeat([]byte{0xff}, len(id)))
	}
	return dbID(id)
}

// lines splits what array_to_string joined.
func lines(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, "\n")
}
