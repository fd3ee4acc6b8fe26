package report_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// Page by page the log holds each entry once, newest first; it is an owner's, and nobody else's.
func TestTheAuditLogIsReadByPages(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	mine, other := r.customer(t, 0), r.customer(t, 0)
	for customer, n := range map[sweep.ID]int{mine: 7, other: 2} {
		for i := range n {
			require.NoError(t, r.DB.Tenant(t.Context(), customer, func(tx *store.Tx) error {
				return tx.Audit(store.AuditEntry{Actor: sweep.Actor{Kind: sweep.BySystem, Customer: customer}, Action: "test.act", Object: "x", Data: map[string]any{"n": i}})
			}))
		}
	}
	owner := sweep.Actor{Kind: sweep.ByToken, Customer: mine, Role: sweep.Owner}
	var got []string
	for cursor, pages := "", 0; pages == 0 || cursor != ""; pages++ {
		entries, next, err := r.Audit(t.Context(), owner, 3, cursor)
		require.NoError(t, err)
		require.Less(t, pages, 3)
		for _, e := range entries {
			require.Equal(t, "test.act", e.Action)
			got = append(got, string(e.Data))
		}
		cursor = next
	}
	require.Equal(t, []string{`{"n": 6}`, `{"n": 5}`, `{"n": 4}`, `{"n": 3}`, `{"n": 2}`, `{"n": 1}`, `{"n": 0}`}, got)
	for _, role := range []sweep.Role{sweep.Operator, sweep.Viewer, ""} {
		_, _, err := r.Audit(t.Context(), sweep.Actor{Kind: sweep.ByToken, Customer: mine, Role: role}, 0, "")
		require.Equal(t, sweep.Forbidden, sweep.CodeOf(err))
	}
	for _, cursor := range []string{"x", "job_00000000000000000000000000000001", "evt_00000000000000000000000000000000"} {
		_, _, err := r.Audit(t.Context(), owner, 0, cursor)
		require.Equal(t, sweep.BadRequest, sweep.CodeOf(err), cursor)
	}
	_, _, err := r.Audit(t.Context(), owner, 101, "")
	require.Equal(t, sweep.BadRequest, sweep.CodeOf(err))
}
