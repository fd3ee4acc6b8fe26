package testkit

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
)

// SealedValue is a value that stands sealed in a column of a row. Open opens what stands there as whoever reads that row does. Values whose
// Says is the same may stand for each other; "": it stands for no other.
type SealedValue struct {
	Table, Column string
	Key           map[string]any // of the row
	Says          string
	Open          func(sealed []byte) error
}

func (v SealedValue) String() string { return fmt.Sprintf("%s.%s of %v", v.Table, v.Column, v.Key) }

// MoveSealed opens each value where it stands, and then tries each in the place of each other, in transactions that are undone. It fails the
// test when one does not open at home or opens elsewhere, and says how many were tried elsewhere.
func MoveSealed(t testing.TB, d Database, values []SealedValue) (tried int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), d.Bootstrap)
	if err != nil {
		t.Fatalf("testkit: %v", err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	sealed := make([][]byte, len(values))
	for i, v := range values {
		if sealed[i], err = v.read(t.Context(), conn); err == nil {
			err = v.Open(sealed[i])
		}
		if err != nil {
			t.Fatalf("%s does not open where it belongs: %v", v, err)
		}
	}
	for at, to := range values {
		n, err := to.tryAll(t, conn, at, values, sealed)
		if err != nil {
			t.Fatalf("testkit: move to %s: %v", to, err)
		}
		tried += n
	}
	return tried
}

// tryAll tries the others in the place of v, which is one of them.
func (v SealedValue) tryAll(t testing.TB, conn *pgx.Conn, at int, values []SealedValue, sealed [][]byte) (tried int, err error) {
	tx, err := conn.Begin(t.Context())
	if err != nil {
		return 0, err
	}
	defer func() {
		if undo := tx.Rollback(context.WithoutCancel(t.Context())); err == nil {
			err = undo
		}
	}()
	for i, from := range values {
		if i == at || v.Says != "" && from.Says == v.Says {
			continue
		}
		where, args := v.where(2)
		done, err := tx.Exec(t.Context(), "UPDATE "+quote(v.Table)+" SET "+quote(v.Column)+" = $1 WHERE "+where, append([]any{sealed[i]}, args...)...)
		if err != nil || done.RowsAffected() != 1 {
			return tried, fmt.Errorf("%d rows: %w", done.RowsAffected(), err)
		}
		moved, err := v.read(t.Context(), tx)
		if err != nil {
			return tried, err
		}
		if v.Open(moved) == nil {
			t.Errorf("%s opens in the place of %s", from, v)
		}
		tried++
	}
	return tried, nil
}

func (v SealedValue) read(ctx context.Context, q interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}) (sealed []byte, err error) {
	where, args := v.where(1)
	err = q.QueryRow(ctx, "SELECT "+quote(v.Column)+" FROM "+quote(v.Table)+" WHERE "+where, args...).Scan(&sealed)
	return sealed, err
}

// where names the row; its parameters are numbered from first.
func (v SealedValue) where(first int) (text string, args []any) {
	var columns, terms []string
	for column := range v.Key {
		columns = append(columns, column)
	}
	slices.Sort(columns)
	for i, column := range columns {
		terms = append(terms, fmt.Sprintf("%s = $%d", quote(column), first+i))
		args = append(args, v.Key[column])
	}
	return strings.Join(terms, " AND "), args
}
