package account_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
)

// IPA-2
func TestAnAllowlistHoldsForPeopleAndKeysAndDoesNotShutItsAuthorOutByAccident(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	session, a := r.member(t, ada)
	made := r.key(t, a, wish(sweep.ScopeRead))
	office, home := account.Client{IP: netip.MustParseAddr("198.51.100.7")}, account.Client{IP: netip.MustParseAddr("203.0.113.200")}
	list := account.Allowlist{Networks: []string{"198.51.100.0/24", "2001:db8::/32"}}
	put := func(a sweep.Actor, list account.Allowlist, force bool, c account.Client) sweep.Code {
		_, err := r.PutAllowlist(t.Context(), a, list, force, c)
		return code(err)
	}
	require.Equal(t, sweep.FeatureNotInPlan, put(a, list, false, office))
	r.exec(t, "UPDATE customers SET plan = 'enterprise', plan_version = plan_version + 1")
	operator, machine := a, a
	operator.Role, machine.Kind = sweep.Operator, sweep.ByKey
	require.Equal(t, sweep.Forbidden, put(operator, list, false, office))
	require.Equal(t, sweep.Forbidden, put(machine, list, false, office))
	require.Equal(t, sweep.Invalid, put(a, account.Allowlist{Networks: []string{"everywhere"}}, false, office))
	require.Equal(t, sweep.Conflict, put(a, list, false, home))
	taken := a
	taken.ProvenAt = taken.ProvenAt.Add(-sweep.ProofLife)
	require.Equal(t, sweep.SignInAgain, put(taken, list, true, office), "a session that somebody took shuts nobody out")
	require.Equal(t, sweep.Code(""), put(a, list, false, office))
	got, err := r.Allowlist(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, list, got)
	for _, credential := range []string{session.AccessToken, made.Key} {
		soon := func(c account.Client, want sweep.Code) {
			require.Eventually(t, func() bool {
				_, err := r.Authenticate(t.Context(), credential, c)
				return code(err) == want
			}, patience, 20*time.Millisecond)
		}
		soon(home, sweep.IPNotAllowed)
		soon(office, "")
		soon(account.Client{IP: netip.MustParseAddr("2001:db8::1")}, "")
		soon(account.Client{IP: netip.MustParseAddr("::ffff:198.51.100.9")}, "")
		soon(account.Client{}, sweep.IPNotAllowed)
	}
	require.Equal(t, sweep.Code(""), put(a, account.Allowlist{Networks: []string{"192.0.2.1"}}, true, office), "forced")
	_, err = r.Authenticate(t.Context(), session.AccessToken, office)
	require.Equal(t, sweep.IPNotAllowed, code(err))
	r.exec(t, "UPDATE customers SET plan = 'pro', plan_version = plan_version + 1")
	require.Eventually(t, func() bool {
		_, err := r.Authenticate(t.Context(), session.AccessToken, home)
		return err == nil
	}, patience, 20*time.Millisecond, "a plan without the feature keeps nobody out")
	require.Equal(t, sweep.Code(""), put(a, account.Allowlist{}, false, home), "taking it away needs no plan")
}
