package account_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
	"mailsweep/internal/mail"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// warn posts a quota warning to a person, or to the owner, and says to whom it went, besides those before.
func (r *rig) warn(t *testing.T, a sweep.Actor, user sweep.ID) (to []string) {
	t.Helper()
	before := len(r.deliver(t, mail.QuotaWarning))
	require.NoError(t, r.DB.Tenant(t.Context(), a.Customer, func(tx *store.Tx) error {
		return r.mailer.Post(tx, mail.QuotaWarning, user, mail.Data{Used: 800, Limit: 1000, ResetsAt: time.Now()})
	}))
	for _, m := range r.deliver(t, mail.QuotaWarning)[before:] {
		to = append(to, m.To...)
	}
	return to
}

func TestAMailThatWasTurnedOffIsNotSentAndSecurityIs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	require.Equal(t, []string{ada}, r.warn(t, a, sweep.ID{}))
	put, err := r.PutNotices(t.Context(), a, []string{"quota_warning", "quota_warning"})
	require.NoError(t, err)
	got, err := r.Notices(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, put, got)
	for _, n := range got.Items {
		require.Equal(t, n.Kind != "quota_warning", n.On, n.Kind)
	}
	require.Empty(t, r.warn(t, a, sweep.ID{}), "it is the owner's choice")
	require.Empty(t, r.warn(t, a, a.User))
	require.Equal(t, 2, r.count(t, "SELECT count(*) FROM outbox WHERE kind = 'quota_warning' AND state = 'done' AND error = 'muted' AND sent_at IS NULL AND data IS NULL"))
	require.NoError(t, r.DB.Tenant(t.Context(), a.Customer, func(tx *store.Tx) error {
		return r.mailer.Post(tx, mail.SecurityNotice, a.User, mail.Data{Event: mail.KeyCreated, At: time.Now()})
	}))
	require.Len(t, r.deliver(t, mail.SecurityNotice), 1)
	_, err = r.PutNotices(t.Context(), a, nil)
	require.NoError(t, err)
	require.Equal(t, []string{ada}, r.warn(t, a, sweep.ID{}))
	require.Equal(t, 2, r.count(t, "SELECT count(*) FROM audit_logs WHERE action = 'notifications.changed'"))
}

func TestNobodyElsesChoiceOfMailsMatters(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, owner := r.member(t, ada)
	_, bo := r.joined(t, owner, "bo@example.com", sweep.Viewer)
	_, eve := r.member(t, "eve@example.com")
	for _, a := range []sweep.Actor{bo, eve} {
		_, err := r.PutNotices(t.Context(), a, []string{"quota_warning"})
		require.NoError(t, err)
	}
	// Bo works for another account too, in which Bo turned nothing off.
	r.exec(t, "INSERT INTO members (customer_id, user_id, role, created_at) VALUES ($1, $2, 'operator', now())", eve.Customer.String(), bo.User.String())
	require.Empty(t, r.warn(t, owner, bo.User))
	require.Equal(t, []string{ada}, r.warn(t, owner, sweep.ID{}))
	require.Empty(t, r.warn(t, eve, sweep.ID{}))
	require.Equal(t, []string{"bo@example.com"}, r.warn(t, eve, bo.User))
}

func TestOnlyMailsThatAreNotNeededCanBeTurnedOff(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	_, err := r.PutNotices(t.Context(), a, []string{"quota_warning"})
	require.NoError(t, err)
	free := 0
	for _, k := range mail.Kinds() {
		_, err := r.PutNotices(t.Context(), a, []string{string(k.Kind)})
		if k.Kind.Optional() {
			free++
			require.NoError(t, err, k.Kind)
			continue
		}
		require.Equal(t, sweep.Invalid, code(err), k.Kind)
		_, err = r.root.Exec(t.Context(), "UPDATE members SET muted = ARRAY[$1]", string(k.Kind))
		require.ErrorContains(t, err, "check constraint", k.Kind)
	}
	require.Equal(t, 4, free)
	for _, off := range []string{"nonsense", "", "quota_warning quota_fresh"} {
		_, err := r.PutNotices(t.Context(), a, []string{"quota_fresh", off})
		require.Equal(t, sweep.Invalid, code(err), off)
	}
	key := a
	key.Kind = sweep.ByKey
	_, err = r.PutNotices(t.Context(), key, nil)
	require.Equal(t, sweep.Forbidden, code(err))
	n, err := r.Notices(t.Context(), key)
	require.Equal(t, sweep.Forbidden, code(err))
	require.Equal(t, account.Notices{}, n)
}
