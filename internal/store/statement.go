package store

import (
	"context"
	"fmt"
	"regexp"

	"github.com/jackc/pgx/v5"
)

// statement is SQL whose named parameters were numbered once: to do so at each call costs more than to send it.
type statement struct {
	sql   string
	names []string // of $1, $2, …
}

var parameter = regexp.MustCompile(`@([a-zA-Z_]\w*)`)

// prepared numbers the parameters of SQL that is written with @names.
func prepared(sql string) statement {
	names := pgx.NamedArgs{}
	for _, found := range parameter.FindAllStringSubmatch(sql, -1) {
		names[found[1]] = found[1]
	}
	numbered, order, err := names.RewriteQuery(context.Background(), nil, sql, nil)
	if err != nil {
		panic(fmt.Sprintf("statement: %v", err)) // it is one of ours, and the tests run them all
	}
	s := statement{sql: numbered}
	for _, name := range order {
		s.names = append(s.names, name.(string))
	}
	return s
}

// queue adds the statement to a batch. The parameters are given all, and no others.
func (s statement) queue(b *pgx.Batch, args map[string]any) *pgx.QueuedQuery {
	if len(args) != len(s.names) {
		panic(fmt.Sprintf("statement with %d parameters, given are %d", len(s.names), len(args))) // as above
	}
	values := make([]any, len(s.names))
	for i, name := range s.names {
		value, given := args[name]
		if !given {
			panic("statement without parameter " + name) // as above
		}
		values[i] = value
	}
	return b.Queue(s.sql, values...)
}
