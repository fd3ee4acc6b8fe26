package e2e

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// superuser sees the programs' database past every fence.
func (r *rig) superuser(t *testing.T) *pgx.Conn {
	t.Helper()
	at, err := url.Parse(r.Services.PostgresURL)
	require.NoError(t, err)
	programs, err := url.Parse(r.Env["SCHEDULER_DATABASE_URL"])
	require.NoError(t, err)
	at.Path = programs.Path
	conn, err := pgx.Connect(t.Context(), at.String())
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(context.Background()) }) //nolint:errcheck // the server ends with the test
	return conn
}

// dump is what a dump of the database holds, by table.
func (r *rig) dump(t *testing.T) map[string]string {
	t.Helper()
	conn := r.superuser(t)
	rows, err := conn.Query(t.Context(), `SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE c.relkind = 'r' AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'`)
	require.NoError(t, err)
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	require.Greater(t, len(tables), 30)
	held := map[string]string{}
	for _, table := range tables {
		var b bytes.Buffer
		_, err := conn.PgConn().CopyTo(t.Context(), &b, "COPY "+table+" TO STDOUT")
		require.NoError(t, err, table)
		held[table] = b.String()
	}
	return held
}

// redisHeld is every key of Redis with what it holds.
func (r *rig) redisHeld(t *testing.T) map[string]string {
	t.Helper()
	options, err := redis.ParseURL(r.Services.RedisURL)
	require.NoError(t, err)
	c := redis.NewClient(options)
	defer c.Close()
	held := map[string]string{}
	for keys := c.Scan(t.Context(), 0, "*", 1000).Iterator(); keys.Next(t.Context()); {
		key := keys.Val()
		kind, err := c.Type(t.Context(), key).Result()
		require.NoError(t, err)
		read := map[string]func() any{
			"string": func() any { return c.Get(t.Context(), key).Val() }, "list": func() any { return c.LRange(t.Context(), key, 0, -1).Val() },
			"set": func() any { return c.SMembers(t.Context(), key).Val() }, "zset": func() any { return c.ZRange(t.Context(), key, 0, -1).Val() },
			"hash": func() any { return c.HGetAll(t.Context(), key).Val() }, "stream": func() any { return c.XRange(t.Context(), key, "-", "+").Val() },
			"none": func() any { return "" }, // it has just expired
		}[kind]
		require.NotNil(t, read, "%s is a %s", key, kind)
		held[key] = fmt.Sprint(read())
	}
	return held
}

// forms of a text in which it is still that text.
func forms(text string) []string {
	return []string{text, hex.EncodeToString([]byte(text)), base64.StdEncoding.EncodeToString([]byte(text))}
}

// places says where one of a text's forms is.
func places(held map[string]string, text string) (found []string) {
	for place, holds := range held {
		for _, form := range forms(text) {
			if strings.Contains(strings.ToLower(place+" "+holds), strings.ToLower(form)) {
				found = append(found, place)
				break
			}
		}
	}
	return found
}
