package opscli_test

import (
	"bytes"
	"context"
	"testing"

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
	d := testkit.Postgres(t, testkit.Schema{Files: migrations.SQL, Migrate: func(ctx context.Context, url string) error {
		return store.Migrate(ctx, url, store.Passwords{"mailsweep_app": password, "mailsweep_ops": password})
	}})
	open := func(role string) *store.DB {
		db, err := store.Open(t.Context(), store.Options{URL: d.URL(role, password), Process: "test"})
		require.NoError(t, err)
		t.Cleanup(db.Close)
		return db
	}
	return &ops.Service{All: open("mailsweep_ops"), DB: open("mailsweep_app"), Plans: sweep.DefaultPlans(), Order: func(sweep.ID) {}, Hint: func() {}}
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
