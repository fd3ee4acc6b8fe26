package e2e

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/dev/stack"
)

// GDP-2: who deletes their account is out, their consent is given back, and eight days later the address is nowhere: not in a dump, not in Redis, not
// in what the programs have logged since.
func TestADeletedAccountIsNowhere(t *testing.T) {
	t.Parallel()
	programs := stack.Programs()
	r := start(t, speedy(), map[string]string{"LOG_LEVEL": "debug"})
	ada, ben := r.join(t, "ada", 300), r.join(t, "ben", 300)
	for _, u := range []*user{ada, ben} {
		u.run("/api/v1/gmail/analyze", object{})
		u.finish(u.execute(u.plan("archive", old())))
	}
	database := r.superuser(t)
	require.Contains(t, places(r.dump(t), ada.Email), "users", "the search below finds what is there")

	ada.call("POST", "/api/v1/account/delete", `{"password":"`+password+`","confirm":"`+ben.Email+`"}`).problem(t, 422, "invalid_request")
	require.Equal(t, 200, ada.call("POST", "/api/v1/account/delete", `{"password":"`+password+`","confirm":"`+ada.Email+`"}`).status)
	ada.call("GET", "/api/v1/gmail/usage", "").problem(t, 401, "unauthenticated")
	_, err := r.Sink.WaitFor(ada.ctx(), ada.Email, "account_deleted")
	require.NoError(t, err)
	until(t, patience, "the consent is given back", func() bool {
		return ask[bool](database, t, `SELECT count(*) = 1 FROM customers c JOIN mailboxes m ON m.customer_id = c.id WHERE deleted_at IS NOT NULL AND revoked_at - deleted_at < interval '1 minute'`)
	})
	require.Equal(t, 1, ask[int](database, t, "SELECT count(*)::int FROM oauth_tokens"), "ben's")

	r.halt(t, programs...)
	said := map[string]int{}
	for _, program := range programs {
		said[program] = len(r.logs(t, program))
	}
	r.Env["CLOCK_OFFSET"] = at(time.Now().AddDate(0, 0, 8))
	for _, program := range programs {
		require.NoError(t, r.Spawn(program))
	}
	require.NoError(t, r.Await(t.Context(), programs...))
	until(t, patience, "the purge", func() bool {
		return ask[bool](database, t, "SELECT count(*) = 1 FROM customers WHERE purged_at IS NOT NULL")
	})
	require.Empty(t, places(r.dump(t), ada.Email), "in the database")
	require.Empty(t, places(r.redisHeld(t), ada.Email), "in Redis")
	require.NotEmpty(t, places(r.dump(t), ben.Email))
	r.halt(t, programs...)
	for _, program := range programs {
		logs := r.logs(t, program)
		require.Greater(t, len(logs), said[program])
		require.NotContains(t, strings.ToLower(logs[said[program]:]), ada.Email)
	}
}

// ask reads one value past every fence.
func ask[T any](conn *pgx.Conn, t *testing.T, query string) (value T) {
	t.Helper()
	require.NoError(t, conn.QueryRow(t.Context(), query).Scan(&value), query)
	return value
}
