package store

import "database/sql/driver"

// dbBytes is a bytea parameter that may stand right after a parenthesis: gorm takes a plain []byte there for a list and expands
// it into one parameter per byte.
type dbBytes []byte

// Value implements driver.Valuer; nil is NULL.
func (b dbBytes) Value() (driver.Value, error) {
	if b == nil {
		return nil, nil
	}
	return []byte(b), nil
}
