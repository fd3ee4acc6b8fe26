package store

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Statement is one statement, or one pipeline of several, that the database has answered. It says nothing of what was asked or given.
type Statement struct {
	Verb  string // SELECT, BEGIN, PIPELINE …
	Began time.Time
	Took  time.Duration
	Code  string // SQLSTATE of a failure; "-" when the database did not answer
}

// teller tells of statements. pgx calls it; a tracer from the shelf would send the texts of errors along, which repeat values.
type teller func(context.Context, Statement)

type statementKey struct{}

// TraceQueryStart implements pgx.QueryTracer.
func (t teller) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	return context.WithValue(ctx, statementKey{}, Statement{Verb: verb(d.SQL), Began: time.Now()})
}

// TraceQueryEnd implements pgx.QueryTracer.
func (t teller) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryEndData) {
	t.end(ctx, d.Err)
}

// TraceBatchStart implements pgx.BatchTracer.
func (t teller) TraceBatchStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceBatchStartData) context.Context {
	return context.WithValue(ctx, statementKey{}, Statement{Verb: "PIPELINE", Began: time.Now()})
}

// TraceBatchQuery implements pgx.BatchTracer.
func (t teller) TraceBatchQuery(context.Context, *pgx.Conn, pgx.TraceBatchQueryData) {}

// TraceBatchEnd implements pgx.BatchTracer.
func (t teller) TraceBatchEnd(ctx context.Context, _ *pgx.Conn, d pgx.TraceBatchEndData) {
	t.end(ctx, d.Err)
}

func (t teller) end(ctx context.Context, err error) {
	s, ok := ctx.Value(statementKey{}).(Statement)
	if !ok {
		return
	}
	s.Took, s.Code = time.Since(s.Began), stateOf(err)
	t(ctx, s)
}

func stateOf(err error) string {
	var refused *pgconn.PgError
	switch {
	case err == nil || errors.Is(err, pgx.ErrNoRows):
		return ""
	case errors.As(err, &refused):
		return refused.Code
	}
	return "-"
}

// verb is the first word of a statement; what does not begin with one is told as SQL.
func verb(sql string) string {
	sql = strings.TrimLeft(sql, " \t\n")
	word := sql[:len(sql)-len(strings.TrimLeft(sql, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"))]
	return cmp.Or(strings.ToUpper(word), "SQL")
}
