package store_test

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

// keepsAfterPurge are the tables that keep rows of a purged customer, and how many here: they name nobody.
var keepsAfterPurge = map[string]int64{"audit_logs": 1, "audit_heads": 1, "audit_anchors": 1, "plan_history": 2}

// tenantTables are those with a customer_id, also archived ones; a partitioned table stands for its parts.
func (y *yard) tenantTables() (names []string) {
	y.t.Helper()
	rows, err := y.conn.Query(y.t.Context(), `SELECT c.oid::regclass::text FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'customer_id' AND NOT a.attisdropped
		WHERE c.relkind IN ('r','p') AND NOT c.relispartition AND c.relnamespace IN ('public'::regnamespace, 'archive'::regnamespace) ORDER BY 1`)
	require.NoError(y.t, err)
	names, err = pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(y.t, err)
	require.Greater(y.t, len(names), 20)
	return names
}

var firstWord = regexp.MustCompile(`'([^']+)'`)

// lay gives a table a row of a customer, whatever its columns are: every text that may be anything is the canary.
func (y *yard) lay(table string, customer, user sweep.ID, canary string) {
	y.t.Helper()
	rows, err := y.conn.Query(y.t.Context(), `SELECT a.attname, format_type(a.atttypid, NULL), coalesce((SELECT pg_get_constraintdef(k.oid) FROM pg_constraint k
		WHERE k.conrelid = a.attrelid AND k.contype = 'c' AND k.conkey = ARRAY[a.attnum] AND pg_get_constraintdef(k.oid) LIKE '%ARRAY[%' LIMIT 1), '')
		FROM pg_attribute a WHERE a.attrelid = $1::regclass AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''`, table)
	require.NoError(y.t, err)
	type column struct{ Name, Kind, Check string }
	columns, err := pgx.CollectRows(rows, pgx.RowToStructByPos[column])
	require.NoError(y.t, err)
	var names, values []string
	for _, c := range columns {
		value := map[string]string{"uuid": "'" + newID(y.t).String() + "'", "text": "'" + canary + "'", "bytea": "sha256(convert_to(random()::text, 'UTF8'))", "jsonb": "'{}'", "text[]": "ARRAY['" + canary + "']",
			"timestamp with time zone": "now()", "date": "now()::date", "boolean": "false", "double precision": "1"}[c.Kind]
		switch {
		case c.Name == "customer_id":
			value = "'" + customer.String() + "'"
		case c.Name == "user_id":
			value = "'" + user.String() + "'"
		case c.Check != "" && c.Kind == "text[]":
			value = "ARRAY[" + firstWord.FindString(c.Check) + "]"
		case c.Check != "":
			value = firstWord.FindString(c.Check)
		case value == "":
			value = "1" // numbers of some sort
		}
		names, values = append(names, `"`+c.Name+`"`), append(values, value)
	}
	y.exec(fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)", table, strings.Join(names, ", "), strings.Join(values, ", ")))
}

// told says in which tables a text stands.
func (y *yard) told(text string) (tables []string) {
	y.t.Helper()
	rows, err := y.conn.Query(y.t.Context(), "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'r' AND relnamespace IN ('public'::regnamespace, 'archive'::regnamespace)")
	require.NoError(y.t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(y.t, err)
	for _, name := range names {
		if ask[bool](y, fmt.Sprintf("SELECT EXISTS (SELECT FROM %s t WHERE t::text LIKE $1)", name), "%"+text+"%") {
			tables = append(tables, name)
		}
	}
	return tables
}

const adasSecret, bensSecret = "ada@canary.example", "ben@canary.example"

// peopled is a yard with two customers that have a row in every table there is, one of them deleted long enough ago. The deleted one has a
// person of its own and shares one with the other.
type peopled struct {
	*yard
	ada, ben    sweep.ID
	alone, bens sweep.ID
	shared      sweep.ID
	scheduler   *store.DB
	tables      []string
}

func newPeopled(t *testing.T) *peopled {
	t.Helper()
	y := newYard(t)
	p := &peopled{yard: y, ada: newID(t), ben: newID(t), alone: newID(t), bens: newID(t), shared: newID(t), scheduler: open(t, y.d, "mailsweep_scheduler")}
	_, err := p.scheduler.EnsurePartitions(t.Context(), monthsAgo(14), 1)
	require.NoError(t, err)
	p.exec("CREATE TABLE archive.jobs_202001 (LIKE jobs)")
	p.exec("ALTER TABLE archive.jobs_202001 OWNER TO mailsweep_owner")
	p.exec("SELECT fence('archive.jobs_202001')")
	p.tables = p.tenantTables()
	p.exec("SET session_replication_role = replica")
	for customer, who := range map[sweep.ID]struct {
		own    sweep.ID
		secret string
	}{p.ada: {p.alone, adasSecret}, p.ben: {p.bens, bensSecret}} {
		p.exec("INSERT INTO customers (id, name, data_key, stripe_customer_id, ip_allowlist, created_at) VALUES ($1, $2, 'key', $2, $2, now())", customer.String(), who.secret)
		p.exec("INSERT INTO users (id, email, name, password, created_at) VALUES ($1, $2, $2, 'x', now())", who.own.String(), who.secret)
		p.exec("INSERT INTO members (customer_id, user_id, role, created_at) VALUES ($1, $2, 'viewer', now())", customer.String(), p.shared.String())
		p.exec("INSERT INTO audit_anchors (customer_id, month, seq, hash) VALUES ($1, '2020-01-01', 0, '')", customer.String())
		p.exec("SELECT keep_standing($1, now())", customer.String())
		for _, table := range p.tables {
			if keepsAfterPurge[table] == 0 {
				p.lay(table, customer, who.own, who.secret)
			}
		}
	}
	p.exec("INSERT INTO users (id, email, password, created_at) VALUES ($1, 'both@canary.example', 'x', now())", p.shared.String())
	p.exec("UPDATE jobs SET state = 'running', fence = 7, lease_until = now() + interval '1 hour' WHERE customer_id = $1", p.ada.String())
	p.exec("RESET session_replication_role")
	for _, customer := range []sweep.ID{p.ada, p.ben} {
		require.NoError(t, p.scheduler.Tenant(t.Context(), customer, func(tx *store.Tx) error {
			return tx.Audit(store.AuditEntry{Actor: sweep.Actor{Kind: sweep.BySystem, Customer: customer}, Action: "test", Object: sweep.CustomerID.Show(customer)})
		}))
	}
	return p
}

func (p *peopled) delete(customer sweep.ID, ago time.Duration) {
	p.exec("UPDATE customers SET deleted_at = now(), suspended_at = now(), purge_at = now() - make_interval(secs => $2) WHERE id = $1", customer.String(), ago.Seconds())
}

func (p *peopled) rows(table string, customer sweep.ID) int64 {
	return ask[int64](p.yard, "SELECT count(*) FROM "+table+" WHERE customer_id = $1", customer.String())
}

// purge does it in pieces of so many rows and says how many transactions that took.
func (p *peopled) purge(customer sweep.ID, most int) (pieces int, err error) {
	more := false
	err = p.scheduler.Tenant(p.t.Context(), customer, func(tx *store.Tx) (err error) {
		more, err = tx.BeginPurge()
		return err
	})
	for ; err == nil && more; pieces++ {
		err = p.scheduler.Tenant(p.t.Context(), customer, func(tx *store.Tx) (err error) {
			more, err = tx.PurgeSome(most)
			return err
		})
	}
	return pieces, err
}

// GDP-2: Every table there is has a row of the customer, new ones too: the catalogue names them.
func TestAPurgeLeavesNoRowThatNamesAnybody(t *testing.T) {
	t.Parallel()
	p := newPeopled(t)
	before := map[string]int64{}
	for _, table := range p.tables {
		require.NotZero(t, p.rows(table, p.ada), table)
		before[table] = p.rows(table, p.ben)
	}
	_, err := p.purge(p.ada, 100)
	require.NoError(t, err)
	require.NotEmpty(t, p.told(adasSecret), "nobody deleted it")
	p.delete(p.ada, time.Second)
	due, err := p.scheduler.PurgesDue(t.Context(), time.Now(), 10)
	require.NoError(t, err)
	require.Equal(t, []sweep.ID{p.ada}, due)
	pieces, err := p.purge(p.ada, 3)
	require.NoError(t, err)
	require.Greater(t, pieces, 3)
	for _, table := range p.tables {
		if kept := keepsAfterPurge[table]; kept > 0 {
			require.Equal(t, kept, p.rows(table, p.ada), table)
			continue
		}
		require.Zero(t, p.rows(table, p.ada), table)
		require.Equal(t, before[table], p.rows(table, p.ben), "another customer's %s", table)
	}
	require.Empty(t, p.told(adasSecret))
	require.NotEmpty(t, p.told(bensSecret))
	require.Equal(t, int64(0), ask[int64](p.yard, "SELECT count(*) FROM users WHERE id = $1", p.alone.String()))
	require.Equal(t, int64(2), ask[int64](p.yard, "SELECT count(*) FROM users WHERE id IN ($1, $2)", p.shared.String(), p.bens.String()), "who belongs elsewhere too stays")
	require.Equal(t, "   t", ask[string](p.yard, "SELECT concat_ws(' ', name, convert_from(data_key, 'UTF8'), ip_allowlist, purged_at IS NOT NULL AND stripe_customer_id IS NULL) FROM customers WHERE id = $1", p.ada.String()))
	due, err = p.scheduler.PurgesDue(t.Context(), time.Now(), 10)
	require.NoError(t, err)
	require.Empty(t, due, "once")
	require.NoError(t, p.scheduler.Tenant(t.Context(), p.ada, func(tx *store.Tx) error {
		proof, err := tx.VerifyAudit()
		require.Equal(t, store.AuditProof{Rows: 1}, proof, "the chain stands")
		return err
	}))
}

// GDP-2: Nothing is purged before its time, of nobody but the transaction's customer, and a claim that is at work is refused from
// the beginning of the purge on.
func TestAPurgeWaitsForItsTimeAndEndsJobs(t *testing.T) {
	t.Parallel()
	p := newPeopled(t)
	p.delete(p.ada, -time.Hour)
	due, err := p.scheduler.PurgesDue(t.Context(), time.Now(), 10)
	require.NoError(t, err)
	require.Empty(t, due)
	pieces, err := p.purge(p.ada, 100)
	require.NoError(t, err)
	require.Zero(t, pieces)
	err = p.scheduler.Tenant(t.Context(), p.ada, func(tx *store.Tx) error { _, err := tx.PurgeSome(100); return err })
	require.ErrorContains(t, err, "not to be purged", "the database refuses by itself")
	err = p.scheduler.Tenant(t.Context(), p.ben, func(tx *store.Tx) error { _, err := tx.PurgeSome(100); return err })
	require.ErrorContains(t, err, "not to be purged")
	require.NotEmpty(t, p.told(adasSecret))

	p.delete(p.ada, time.Second)
	job, err := sweep.ParseUUID(ask[string](p.yard, "SELECT id::text FROM jobs WHERE customer_id = $1", p.ada.String()))
	require.NoError(t, err)
	c := store.Claim{Fence: 7}
	c.CustomerID, c.ID = p.ada, job
	worker := open(t, p.d, "mailsweep_worker")
	write := func(tx *store.Tx) error { return tx.SaveAnalysis(sweep.ID{}, nil, tx.Now) }
	require.NoError(t, worker.Fenced(t.Context(), &c, write))
	require.NoError(t, p.scheduler.Tenant(t.Context(), p.ada, func(tx *store.Tx) error {
		begun, err := tx.BeginPurge()
		require.True(t, begun)
		return err
	}))
	require.ErrorIs(t, worker.Fenced(t.Context(), &c, write), store.ErrFenced)
	require.Equal(t, sweep.Canceled, p.state(job))
	require.Equal(t, "", ask[string](p.yard, "SELECT convert_from(data_key, 'UTF8') FROM customers WHERE id = $1", p.ada.String()), "what is sealed is lost already")
	_, err = p.purge(p.ada, 100)
	require.NoError(t, err)
	require.ErrorIs(t, worker.Fenced(t.Context(), &c, write), store.ErrFenced)
	require.Empty(t, p.told(adasSecret))
}

// GDP-2: Killed after any of its pieces, by several at once: what is left is done by the next, and the end comes once.
func TestAPurgeGoesOnAfterAnyCut(t *testing.T) {
	t.Parallel()
	p := newPeopled(t)
	p.delete(p.ada, time.Second)
	killed := errors.New("killed")
	for range 12 {
		err := p.scheduler.Tenant(t.Context(), p.ada, func(tx *store.Tx) error {
			if _, err := tx.BeginPurge(); err != nil {
				return err
			}
			_, err := tx.PurgeSome(1)
			return errors.Join(err, killed)
		})
		require.ErrorIs(t, err, killed)
		require.NoError(t, p.scheduler.Tenant(t.Context(), p.ada, func(tx *store.Tx) error { _, err := tx.PurgeSome(1); return err }))
	}
	require.NotEmpty(t, p.told(adasSecret))
	var all sync.WaitGroup
	var mu sync.Mutex
	ends := 0
	for range 4 {
		all.Go(func() {
			for more := true; more; {
				err := p.scheduler.Tenant(context.Background(), p.ada, func(tx *store.Tx) error {
					begun, err := tx.BeginPurge()
					if more = begun; err != nil || !begun {
						return err
					}
					if more, err = tx.PurgeSome(2); err == nil && !more {
						mu.Lock()
						ends++
						mu.Unlock()
					}
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	require.Equal(t, 1, ends)
	require.Empty(t, p.told(adasSecret))
}

// Who is made a member of another customer while the purge goes on stays, or is not made one: nobody is a member without being a user.
func TestAPersonWhoJoinsElsewhereMeanwhileStays(t *testing.T) {
	t.Parallel()
	p := newPeopled(t)
	p.delete(p.ada, time.Second)
	join, err := pgx.Connect(t.Context(), p.d.Bootstrap)
	require.NoError(t, err)
	t.Cleanup(func() { _ = join.Close(context.Background()) })
	tx, err := join.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "SELECT FROM users WHERE id = $1 FOR KEY SHARE", p.alone.String())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), "INSERT INTO members (customer_id, user_id, role, created_at) VALUES ($1, $2, 'viewer', now())", p.ben.String(), p.alone.String())
	require.NoError(t, err)
	purged := make(chan error, 1)
	go func() { _, err := p.purge(p.ada, 100); purged <- err }()
	testkit.Eventually(t, 30*time.Second, func() bool {
		return ask[bool](p.yard, "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')")
	}, "it waits for the person's row")
	require.NoError(t, tx.Commit(t.Context()))
	require.NoError(t, <-purged)
	require.Equal(t, int64(1), ask[int64](p.yard, "SELECT count(*) FROM users u JOIN members m ON m.user_id = u.id WHERE u.id = $1", p.alone.String()))
}

// GDP-2: The hash of a Google account outlives the customer by 24 months, so that its trial counts, and no longer.
func TestAGoogleAccountIsForgottenAfterTwoYears(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db := open(t, y.d, "mailsweep_scheduler")
	used, left := y.place("used"), y.place("left")
	now := time.Now()
	forget := func(after time.Duration) (accounts string) {
		require.NoError(t, db.ForgetAccounts(t.Context(), now.Add(after)))
		return ask[string](y, "SELECT coalesce(string_agg(convert_from(account, 'UTF8'), ' ' ORDER BY account), '') FROM google_accounts")
	}
	require.Equal(t, "left used", forget(0))
	y.exec("DELETE FROM mailboxes WHERE customer_id = $1", left.customer.String())
	const month = 31 * 24 * time.Hour
	require.Equal(t, "left used", forget(36*month), "its two years begin now")
	require.Equal(t, "left used", forget(58*month))
	back := y.place("left")
	require.Equal(t, "left used", forget(59*month))
	y.exec("DELETE FROM mailboxes WHERE customer_id = $1", back.customer.String())
	require.Equal(t, "left used", forget(61*month), "connected meanwhile, they begin anew")
	require.Equal(t, "used", forget(86*month))
	require.NotZero(t, used)
}
