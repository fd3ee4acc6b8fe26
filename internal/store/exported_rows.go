package store

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"time"

	"mailsweep/internal/sweep"
)

// fetched is how many rows of an export are in memory at once.
const fetched = 100

// Each gives the table's rows one by one, with the names of their columns, from one look at the table: nil, bool, int64, float64, string,
// time.Time in UTC, json.RawMessage, ids as callers know them, and the bytes of what is sealed. Few are in memory at a time, and f may write.
// It is called once per table in a transaction.
func (x Exported) Each(tx *Tx, f func(columns []string, values []any) error) error {
	if err := tx.Exec("DECLARE export_" + x.Table + " NO SCROLL CURSOR FOR " + x.query).Error; err != nil {
		return fmt.Errorf("export %s: %w", x.Table, err)
	}
	for {
		columns, rows, err := x.fetch(tx)
		if err != nil {
			return fmt.Errorf("export %s: %w", x.Table, err)
		}
		for _, row := range rows {
			if err := f(columns, row); err != nil {
				return err
			}
		}
		if len(rows) < fetched {
			return doing(tx.Exec("CLOSE export_"+x.Table).Error, "close export of "+x.Table)
		}
	}
}

// Columns are the names in the order of the rows' values.
func (x Exported) Columns(tx *Tx) ([]string, error) {
	rows, err := tx.Raw("SELECT * FROM (" + x.query + ") r LIMIT 0").Rows()
	if err != nil {
		return nil, fmt.Errorf("name columns of %s: %w", x.Table, err)
	}
	defer rows.Close()
	return rows.Columns()
}

// fetch reads the next rows. The cursor has its table's name: a connection keeps what it knows of a statement's columns.
func (x Exported) fetch(tx *Tx) (columns []string, all [][]any, err error) {
	rows, err := tx.Raw(fmt.Sprintf("FETCH FORWARD %d FROM export_%s", fetched, x.Table)).Rows()
	if err != nil {
		return nil, nil, err
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return nil, nil, err
	}
	for _, t := range types {
		columns = append(columns, t.Name())
	}
	for rows.Next() {
		row := make([]any, len(types))
		to := make([]any, len(types))
		for i := range row {
			to[i] = &row[i]
		}
		if err := rows.Scan(to...); err != nil {
			return nil, nil, err
		}
		for i, t := range types {
			if row[i], err = x.value(t, row[i]); err != nil {
				return nil, nil, err
			}
		}
		all = append(all, row)
	}
	return columns, all, rows.Err()
}

// value is a column's, as Each promises it.
func (x Exported) value(t *sql.ColumnType, v any) (any, error) {
	switch v := v.(type) {
	case nil, bool, int64, float64:
		return v, nil
	case time.Time:
		return v.UTC(), nil
	case []byte:
		if t.DatabaseTypeName() == "BYTEA" {
			return v, nil
		}
		return x.value(t, string(v))
	case string:
		switch t.DatabaseTypeName() {
		case "UUID":
			return x.show(t.Name(), v)
		case "JSON", "JSONB":
			return json.RawMessage(v), nil
		}
		return v, nil
	}
	return nil, fmt.Errorf("column %s is a %T", t.Name(), v)
}

// show gives an id as callers know it: under the kind of its column, else as PostgreSQL prints it.
func (x Exported) show(column, uuid string) (any, error) {
	kind, known := x.kinds[column]
	if !known {
		kind, known = namedKinds[column]
	}
	if !known {
		return uuid, nil
	}
	id, err := sweep.ParseUUID(uuid)
	return kind.Show(id), err
}
