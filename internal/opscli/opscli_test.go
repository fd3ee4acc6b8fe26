package opscli_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/ops"
	"mailsweep/internal/opscli"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
	"mailsweep/migrations"
)

const password = "test-only"

func newService(t *testing.T) *ops.Service {
	t.Helper()
	s, _ := newServiceOn(t)
	return s
}

func newServiceOn(t *testing.T) (*ops.Service, testkit.Database) {
	t.Helper()
	d := testkit.Postgres(t, testkit.Schema{Files: migrations.SQL, Migrate: func(ctx context.Context, url string) error {
		return store.Migrate(ctx, url, store.Passwords{"mailsweep_app": password, "mailsweep_ops": password})
	}})
	open := func(role string) *store.DB {
		db, err := store.Open(t.Context(), store.Options{URL: d.URL(role, password), Process: "test"})
		require.NoError(t, err)
		t.Cleanup(db.Close)
		return db
	}
	return &ops.Service{All: open("mailsweep_ops"), DB: open("mailsweep_app"), Plans: sweep.DefaultPlans(), Order: func(sweep.ID) {}, Hint: func() {}}, d
}

func run(t *testing.T, s *ops.Service, user string, args ...string) (string, error) {
	t.Helper()
	c, err := opscli.Parse(args, user)
	if err != nil {
		return "", err
	}
	var out bytes.Buffer
	c.Ops, c.Out = s, &out
	err = c.Run(t.Context())
	return out.String(), err
}

func TestCommandsActByTheNameOfTheirOperator(t *testing.T) {
	t.Parallel()
	s := newService(t)
	out, err := run(t, s, "root", "halt", "kind", "execute", "--reason", "wrong labels", "--operator=ada")
	require.NoError(t, err)
	require.Equal(t, "halt kind execute: in force\n", out)
	_, err = run(t, s, "ben", "--reason", "a look", "pause", "all")
	require.NoError(t, err)
	out, err = run(t, s, "ben", "jobs")
	require.NoError(t, err)
	require.Contains(t, out, "STOPPED: kind execute by ada")
	_, err = run(t, s, "ben", "lift", "all", "--reason", "over")
	require.Equal(t, sweep.Conflict, sweep.CodeOf(err), "that is a pause")
	out, err = run(t, s, "ben", "resume", "all", "--reason", "over")
	require.NoError(t, err)
	require.Contains(t, out, "1 lifted")
	out, err = run(t, s, "", "log")
	require.NoError(t, err)
	require.Regexp(t, `(?s)ben +lift +all +over.*ben +pause +all +a look.*ada +halt +kind execute +wrong labels`, out)
	out, err = run(t, s, "", "halts")
	require.NoError(t, err)
	require.Contains(t, out, "by ben")
	out, err = run(t, s, "", "undo", "--build", "v7")
	require.NoError(t, err)
	require.Equal(t, "0 runs would be undone: 0 messages of 0 customers\n", out)
}

// GDP-2: within the grace an operator takes a deletion back; what it ended stays ended, and who was suspended before stays so.
func TestADeletionIsTakenBackWithinItsGrace(t *testing.T) {
	t.Parallel()
	s := newService(t)
	none := sweep.CustomerID.Show(sweep.ID{15: 9})
	_, err := run(t, s, "ada", "restore", none, "--reason", "asked by phone")
	require.Equal(t, sweep.NotFound, sweep.CodeOf(err))
	for name, c := range map[string]struct {
		suspended bool
		purgeIn   time.Duration
		code      sweep.Code
	}{"in time": {false, time.Hour, ""}, "suspended before": {true, time.Hour, ""}, "too late": {false, -time.Second, sweep.Conflict}} {
		id, err := sweep.NewID(time.Now(), rand.Reader)
		require.NoError(t, err)
		user, ends, before := sweep.ID{}, time.Time{}, 0
		require.NoError(t, s.DB.Tenant(t.Context(), id, func(tx *store.Tx) error {
			require.NoError(t, tx.InsertCustomer(name, []byte("key"), tx.Now))
			user, ends = tx.NewID(), tx.Now.Add(c.purgeIn)
			require.NoError(t, tx.InsertMember(user, sweep.Owner))
			_, err := tx.InsertUser(store.User{ID: user, Email: strings.ReplaceAll(name, " ", ".") + "@example.com", Password: "x"})
			require.NoError(t, err)
			before, err = tx.LockUser(user)
			if c.suspended && err == nil {
				err = tx.Exec("UPDATE customers SET suspended_at = ?", tx.Now.Add(-time.Hour)).Error
			}
			return err
		}))
		shown := sweep.CustomerID.Show(id)
		_, err = run(t, s, "ada", "restore", shown, "--reason", "asked by phone")
		require.Equal(t, sweep.Conflict, sweep.CodeOf(err), "not deleted")
		require.NoError(t, s.DB.Tenant(t.Context(), id, func(tx *store.Tx) error { return tx.DeleteCustomer(ends) }))
		_, err = run(t, s, "ada", "restore", shown)
		require.Equal(t, sweep.Invalid, sweep.CodeOf(err), "without a reason")
		out, err := run(t, s, "ada", "restore", shown, "--reason", "asked by phone")
		require.Equal(t, c.code, sweep.CodeOf(err), name)
		if c.code == "" {
			require.Equal(t, "restore: "+shown+"\n", out)
		}
		require.NoError(t, s.DB.Tenant(t.Context(), id, func(tx *store.Tx) error {
			now, err := tx.LoadCustomer()
			require.NoError(t, err)
			require.Equal(t, c.code != "", !now.DeletedAt.IsZero(), name)
			require.Equal(t, c.suspended || c.code != "", !now.SuspendedAt.IsZero(), name)
			version, err := tx.LockUser(user)
			require.Equal(t, c.code == "", version > before, "old tokens stay dead")
			return err
		}))
	}
}

func TestWhatACommandLacksIsSaid(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for _, c := range []struct {
		user string
		args []string
		code sweep.Code
	}{
		{"", []string{"halt", "all", "--reason", "x"}, sweep.Forbidden}, {"a|b", []string{"halt", "all", "--reason", "x"}, sweep.Forbidden},
		{"ada", nil, sweep.Invalid}, {"ada", []string{"format"}, sweep.Invalid}, {"ada", []string{"halt"}, sweep.Invalid}, {"ada", []string{"halt", "kind"}, sweep.Invalid},
		{"ada", []string{"halt", "all"}, sweep.Invalid}, {"ada", []string{"halt", "kind", "mail", "--reason", "x"}, sweep.Invalid}, {"ada", []string{"pause", "build", "v1", "--reason", "x"}, sweep.Invalid},
		{"ada", []string{"halt", "customer", "ben", "--reason", "x"}, sweep.Invalid}, {"ada", []string{"halt", "all", "--no-such-flag"}, sweep.Invalid},
		{"ada", []string{"rerun", "job_1", "--reason", "x"}, sweep.NotFound}, {"ada", []string{"jobs", "--view", "all"}, sweep.Invalid}, {"ada", []string{"undo"}, sweep.Invalid},
		{"ada", []string{"undo", "--from", "yesterday"}, sweep.Invalid}, {"ada", []string{"why", "cus_1"}, sweep.Invalid},
	} {
		_, err := run(t, s, c.user, c.args...)
		require.Equal(t, c.code, sweep.CodeOf(err), "%v: %v", c.args, err)
	}
	log, err := s.Log(t.Context(), 0, 10)
	require.NoError(t, err)
	require.Empty(t, log)
}
