package account_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
	"mailsweep/internal/mail"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// GDP-1
func TestOnlyAnOwnerWhoProvesThemselvesExports(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p, _ := r.withFactor(t, ada)
	_, b := r.member(t, "ben@example.com")
	byKey, operator := b, b
	byKey.Kind, operator.Role = sweep.ByKey, sweep.Operator
	for name, try := range map[string]struct {
		a              sweep.Actor
		password, code string
		want           sweep.Code
	}{
		"key":            {byKey, good, "", sweep.Forbidden},
		"operator":       {operator, good, "", sweep.Forbidden},
		"nobody":         {sweep.Actor{}, good, "", sweep.Forbidden},
		"wrong password": {b, good + "!", "", sweep.Unauthenticated},
		"no password":    {b, "", "", sweep.Unauthenticated},
		"no code":        {p.actor, good, "", sweep.TOTPRequired},
		"wrong code":     {p.actor, good, "000000", sweep.Unauthenticated},
	} {
		_, err := r.AskExport(t.Context(), try.a, try.password, try.code, r.client)
		require.Equal(t, try.want, code(err), name)
	}
	require.Equal(t, 0, r.count(t, "SELECT count(*) FROM exports"))
	v, err := r.AskExport(t.Context(), p.actor, good, p.codes[0], r.client)
	require.NoError(t, err)
	require.Equal(t, "preparing", v.State)
	id, err := sweep.ExportID.Parse(v.ID)
	require.NoError(t, err)
	operator.Customer, byKey.Customer = p.actor.Customer, p.actor.Customer
	for _, a := range []sweep.Actor{operator, byKey, {}} {
		_, err = r.Exports(t.Context(), a)
		require.Equal(t, sweep.Forbidden, code(err))
		_, err = r.Export(t.Context(), a, id)
		require.Equal(t, sweep.Forbidden, code(err))
		_, err = r.FetchExport(t.Context(), a, id)
		require.Equal(t, sweep.Forbidden, code(err))
	}
	_, err = r.Export(t.Context(), b, id)
	require.Equal(t, sweep.NotFound, code(err), "another customer's")
	_, err = r.FetchExport(t.Context(), b, id)
	require.Equal(t, sweep.NotFound, code(err))
}

// GDP-1: one a day, however many ask at once.
func TestOneExportADay(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	var all sync.WaitGroup
	var mu sync.Mutex
	codes := map[sweep.Code]int{}
	for range 5 {
		all.Go(func() {
			_, err := r.AskExport(t.Context(), a, good, "", r.client)
			mu.Lock()
			defer mu.Unlock()
			codes[code(err)]++
		})
	}
	all.Wait()
	require.Equal(t, map[sweep.Code]int{"": 1, sweep.RateLimited: 4}, codes)
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM audit_logs WHERE action = 'export.asked'"))
	_, err := r.AskExport(t.Context(), a, good, "", r.client)
	var refused *sweep.Error
	require.True(t, errors.As(err, &refused))
	require.InDelta(t, 24*3600, refused.Data["retry_after"], 600)
	r.exec(t, "UPDATE exports SET created_at = created_at - interval '24 hours'")
	_, err = r.AskExport(t.Context(), a, good, "", r.client)
	require.NoError(t, err)
	list, err := r.Exports(t.Context(), a)
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.True(t, list[0].CreatedAt.After(list[1].CreatedAt))
}

// GDP-1: an export waits for its maker, is ready for a day, then expired; one that nobody made in a day has failed.
func TestAnExportHasAState(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	v, err := r.AskExport(t.Context(), a, good, "", r.client)
	require.NoError(t, err)
	id, err := sweep.ExportID.Parse(v.ID)
	require.NoError(t, err)
	fetch := func(want sweep.Code) *account.ExportFile {
		f, err := r.FetchExport(t.Context(), a, id)
		require.Equal(t, want, code(err))
		return f
	}
	fetch(sweep.Conflict)
	broken := errors.New("the maker broke")
	made := 0
	r.mailer.Errands = map[mail.Kind]func(context.Context, sweep.ID, sweep.ID) error{account.MakeExport: func(ctx context.Context, customer, post sweep.ID) error {
		if made++; made == 1 {
			return broken
		}
		require.Equal(t, []sweep.ID{a.Customer, id}, []sweep.ID{customer, post}, "the post is the export")
		return r.worker.Tenant(ctx, customer, func(tx *store.Tx) error {
			c, err := tx.LoadCustomer()
			if err != nil {
				return err
			}
			box, err := r.Vault.Box(c.DataKey, customer.String())
			if err != nil {
				return err
			}
			for n, piece := range []string{"first, ", "second"} {
				if err := tx.AddExportPart(box, post, n, []byte(piece)); err != nil {
					return err
				}
			}
			return tx.FinishExport(post, 13, tx.Now.Add(24*time.Hour))
		})
	}}
	p := r.posted(t)
	require.ErrorContains(t, r.mailer.Deliver(t.Context(), p.Customer, p.Post, p.Epoch), "the maker broke")
	r.exec(t, "UPDATE outbox SET run_at = now() WHERE state = 'queued'") // time passes
	r.deliver(t, mail.ExportReady)
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM outbox WHERE kind = 'make_export' AND state = 'done' AND attempts = 2"))
	v, err = r.Export(t.Context(), a, id)
	require.NoError(t, err)
	require.Equal(t, []any{"ready", int64(13), "/api/v1/account/exports/" + v.ID + "/file"}, []any{v.State, v.Bytes, v.Download})
	f := fetch("")
	whole := ""
	for int64(len(whole)) < f.Size {
		piece, err := f.Next(t.Context())
		require.NoError(t, err)
		whole += string(piece)
	}
	require.Equal(t, "first, second", whole)
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM audit_logs WHERE action = 'export.fetched'"))
	half := fetch("")
	r.exec(t, "UPDATE exports SET expires_at = now()")
	_, err = half.Next(t.Context())
	require.Equal(t, sweep.NotFound, code(err), "it expires under who reads it")
	fetch(sweep.NotFound)
	v, err = r.Export(t.Context(), a, id)
	require.NoError(t, err)
	require.Equal(t, []string{"expired", ""}, []string{v.State, v.Download})
	r.exec(t, "UPDATE exports SET ready_at = NULL, expires_at = NULL, created_at = now() - interval '26 hours'")
	v, err = r.Export(t.Context(), a, id)
	require.NoError(t, err)
	require.Equal(t, "failed", v.State)
	fetch(sweep.NotFound)
}

// GDP-1, GDP-2: who deletes the account deletes its exports at once.
func TestADeletedCustomersExportsAreGone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	_, err := r.AskExport(t.Context(), a, good, "", r.client)
	require.NoError(t, err)
	r.exec(t, "INSERT INTO export_parts (customer_id, export_id, n, sealed) SELECT customer_id, id, 0, '' FROM exports")
	_, err = r.Delete(t.Context(), a, good, "", ada, r.client)
	require.NoError(t, err)
	require.Equal(t, 0, r.count(t, "SELECT (SELECT count(*) FROM exports) + (SELECT count(*) FROM export_parts)"))
	_, err = r.AskExport(t.Context(), a, good, "", r.client)
	require.Error(t, err)
}
