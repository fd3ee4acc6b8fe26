package account_test

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
	"mailsweep/internal/secret"
	"mailsweep/internal/sweep"
)

// patience is how long a test waits for what a second or two must bring, on a machine that is busy with others.
const patience = 15 * time.Second

func wish(scopes ...sweep.Scope) account.KeyRequest {
	return account.KeyRequest{Name: "nightly", Scopes: scopes, Password: good}
}

func (r *rig) key(t *testing.T, a sweep.Actor, w account.KeyRequest) account.NewKey {
	t.Helper()
	made, err := r.MakeKey(t.Context(), a, w, r.client)
	require.NoError(t, err)
	return made
}

// refusedSoon waits for what other processes know within a second.
func (r *rig) refusedSoon(t *testing.T, key string, want sweep.Code) {
	t.Helper()
	require.Eventually(t, func() bool {
		_, err := r.Authenticate(t.Context(), key, r.client)
		return code(err) == want
	}, patience, 20*time.Millisecond)
}

// KEY-1
func TestAKeyIsShownOnceAndKeptAsAHash(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	made := r.key(t, a, wish(sweep.ScopeRead))
	require.Regexp(t, `^swp_live_[0-9a-f]{8}_[A-Za-z0-9_-]{43}[0-9a-f]{6}$`, made.Key)
	require.True(t, strings.HasPrefix(made.Key, made.Prefix+"_"))
	who, err := r.Authenticate(t.Context(), made.Key, r.client)
	require.NoError(t, err)
	require.Equal(t, a.Customer, who.Customer)
	require.Equal(t, "key:"+made.ID, who.String())
	require.Equal(t, []sweep.Scope{sweep.ScopeRead}, who.Scopes)
	for _, table := range []string{"api_keys", "audit_logs", "outbox", "security_events"} {
		require.NotContains(t, r.text(t, "SELECT coalesce(string_agg(x::text, ''), '') FROM "+table+" x"), made.Key[18:], table)
	}
	require.Equal(t, "[redacted]", fmt.Sprint(made))
	require.Equal(t, 1, r.told(t, "An API key was made")) // THR-7
	keys, err := r.Keys(t.Context(), a)
	require.NoError(t, err)
	require.Len(t, keys, 1)
	require.Equal(t, made.ID, keys[0].ID)
}

// KEY-1: a million made-up keys are refused, none by a look at the database but those with a right checksum.
func TestAMillionRandomKeysAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	made := r.key(t, a, wish(sweep.ScopeRead))
	sound := 0
	chance := rand.NewChaCha8([32]byte{1})
	for range 1_000_000 {
		var b [35]byte
		_, _ = chance.Read(b[:])
		key := "swp_live_" + hex.EncodeToString(b[:4]) + "_" + hex.EncodeToString(b[4:])[:43] + hex.EncodeToString(b[32:])
		if secret.SoundAPIKey(key) {
			sound++
		}
	}
	require.Less(t, sound, 10)
	for range 100 { // with a right checksum
		key, _, _ := secret.NewAPIKey()
		require.True(t, secret.SoundAPIKey(key))
		_, err := r.Authenticate(t.Context(), key, r.client)
		require.Equal(t, sweep.Unauthenticated, code(err))
	}
	for _, bent := range []string{made.Key[:len(made.Key)-1], made.Key + "0", strings.ToUpper(made.Key), strings.Replace(made.Key, "live", "test", 1), "swp_live_", made.Key[:20] + map[bool]string{true: "y", false: "x"}[made.Key[20] == 'x'] + made.Key[21:]} {
		_, err := r.Authenticate(t.Context(), bent, r.client)
		require.Equal(t, sweep.Unauthenticated, code(err), bent)
	}
}

// KEY-3, KEY-4
func TestAKeyEndsByRevocationExpiryRotationAndPlan(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	revoked := r.key(t, a, wish(sweep.ScopeRead))
	_, err := r.Authenticate(t.Context(), revoked.Key, r.client)
	require.NoError(t, err)
	id, err := sweep.KeyID.Parse(revoked.ID)
	require.NoError(t, err)
	other := &account.Service{DB: r.DB, Plans: r.Plans, Pseudonym: r.Pseudonym, Log: r.Log, Signer: r.Signer} // another process, which has seen the key
	_, err = other.Authenticate(t.Context(), revoked.Key, r.client)
	require.NoError(t, err)
	require.NoError(t, r.RevokeKey(t.Context(), a, id))
	_, err = r.Authenticate(t.Context(), revoked.Key, r.client)
	require.Equal(t, sweep.Unauthenticated, code(err), "at once where it was revoked")
	at := time.Now()
	require.Eventually(t, func() bool {
		late := time.Since(at) > time.Second
		_, err := other.Authenticate(t.Context(), revoked.Key, r.client)
		require.False(t, late && err == nil, "a call that began a second after is let in elsewhere")
		return code(err) == sweep.Unauthenticated
	}, patience, 10*time.Millisecond)
	require.Equal(t, sweep.NotFound, code(r.RevokeKey(t.Context(), a, id)), "it is not in force any more")

	old := r.key(t, a, wish(sweep.ScopeRead, sweep.ScopeAnalyze))
	oldID, err := sweep.KeyID.Parse(old.ID)
	require.NoError(t, err)
	made, err := r.RotateKey(t.Context(), a, oldID, "1h", good, "", r.client)
	require.NoError(t, err)
	require.Equal(t, old.Scopes, made.Scopes)
	for _, key := range []string{old.Key, made.Key} {
		_, err = r.Authenticate(t.Context(), key, r.client)
		require.NoError(t, err, "both go for an hour")
	}
	r.exec(t, "UPDATE api_keys SET expires_at = now() WHERE id = $1", oldID.String())
	r.refusedSoon(t, old.Key, sweep.Unauthenticated)
	_, err = r.Authenticate(t.Context(), made.Key, r.client)
	require.NoError(t, err)
	newID, err := sweep.KeyID.Parse(made.ID)
	require.NoError(t, err)
	_, err = r.RotateKey(t.Context(), a, newID, "0", good, "", r.client)
	require.NoError(t, err)
	_, err = r.Authenticate(t.Context(), made.Key, r.client)
	require.Equal(t, sweep.Unauthenticated, code(err), "no overlap")
	_, err = r.RotateKey(t.Context(), a, newID, "1y", good, "", r.client)
	require.Equal(t, sweep.Invalid, code(err))

	last := r.key(t, a, wish(sweep.ScopeRead))
	_, err = r.Authenticate(t.Context(), last.Key, r.client)
	require.NoError(t, err)
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM api_keys WHERE last_used_at > now() - interval '1 minute' AND id8 = $1", last.Prefix[9:]))
	r.exec(t, "UPDATE customers SET trial_ends_at = now(), plan_version = plan_version + 1")
	r.refusedSoon(t, last.Key, sweep.FeatureNotInPlan)
	r.exec(t, "UPDATE customers SET suspended_at = now()")
	r.refusedSoon(t, last.Key, sweep.AccountSuspended)
}

// KEY-3: where a key may be used from, and KEY-2: with what role.
func TestAKeyIsBoundToItsNetworksAndToItsMakersRole(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	w := wish(sweep.ScopeRead)
	w.Networks = []string{"198.51.100.7", "2001:db8::/32", "198.51.100.7/32"}
	made := r.key(t, a, w)
	require.Equal(t, []string{"198.51.100.7/32", "2001:db8::/32"}, made.Networks)
	for ip, want := range map[string]sweep.Code{"198.51.100.7": "", "::ffff:198.51.100.7": "", "2001:db8:1::1": "", "198.51.100.8": sweep.Unauthenticated, "2001:db9::1": sweep.Unauthenticated} {
		_, err := r.Authenticate(t.Context(), made.Key, account.Client{IP: netip.MustParseAddr(ip)})
		require.Equal(t, want, code(err), ip)
	}
	_, err := r.Authenticate(t.Context(), made.Key, account.Client{})
	require.Equal(t, sweep.Unauthenticated, code(err), "from nowhere")
	r.exec(t, "UPDATE members SET role = 'viewer'")
	require.Eventually(t, func() bool {
		who, err := r.Authenticate(t.Context(), made.Key, account.Client{IP: netip.MustParseAddr("198.51.100.7")})
		return err == nil && who.Role == sweep.Viewer
	}, patience, 20*time.Millisecond)
	r.exec(t, "DELETE FROM members")
	require.Zero(t, r.count(t, "SELECT count(*) FROM api_keys"), "who leaves takes their keys along")
}

// MFA-5, KEY-6
func TestMakingAKeyNeedsAPersonTheirPasswordAndTheirSecondFactor(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	p, session := r.withFactor(t, ada)
	a, err := r.Authenticate(t.Context(), session.AccessToken, r.client)
	require.NoError(t, err)
	make := func(a sweep.Actor, password, totp string) sweep.Code {
		p.again(t)
		w := wish(sweep.ScopeRead)
		w.Password, w.Code = password, totp
		_, err := r.MakeKey(t.Context(), a, w, r.client)
		return code(err)
	}
	require.Equal(t, sweep.Unauthenticated, make(a, "not the password", p.code(t, 0)))
	require.Equal(t, sweep.TOTPRequired, make(a, good, ""))
	require.Equal(t, sweep.Unauthenticated, make(a, good, "000000"))
	viewer, machine := a, a
	viewer.Role, machine.Kind = sweep.Viewer, sweep.ByKey
	require.Equal(t, sweep.Forbidden, make(viewer, good, p.code(t, 0)))
	require.Equal(t, sweep.Forbidden, make(machine, good, p.code(t, 0)))
	require.Zero(t, r.count(t, "SELECT count(*) FROM api_keys"))
	require.Equal(t, sweep.Code(""), make(a, good, p.code(t, 0)))
	require.Equal(t, sweep.Forbidden, code(r.RevokeKey(t.Context(), machine, sweep.ID{1})))
	_, err = r.ChangePassword(t.Context(), machine, good, anew, r.client)
	require.Equal(t, sweep.Forbidden, code(err))
	require.Equal(t, sweep.Forbidden, code(r.Demand(t.Context(), machine, account.Demands{})))
}

// MFA-6: a demand is not got round with a key.
func TestAKeyWhoseMakerOwesASecondFactorRests(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	made := r.key(t, a, wish(sweep.ScopeRead))
	r.exec(t, "UPDATE customers SET plan = 'enterprise', require_2fa = true, plan_version = plan_version + 1")
	r.refusedSoon(t, made.Key, sweep.FactorRequired)
	r.exec(t, "UPDATE customers SET plan = 'pro', plan_version = plan_version + 1")
	r.refusedSoon(t, made.Key, "")
}

func TestBadKeysAreRefusedWithTheirFields(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	past := time.Now().Add(-time.Minute)
	for what, change := range map[string]func(*account.KeyRequest){
		"name":       func(w *account.KeyRequest) { w.Name = "two\nlines" },
		"scopes":     func(w *account.KeyRequest) { w.Scopes = []sweep.Scope{"admin"} },
		"networks":   func(w *account.KeyRequest) { w.Networks = []string{"::ffff:1.2.3.0/120"} },
		"expires_at": func(w *account.KeyRequest) { w.ExpiresAt = &past },
	} {
		w := wish(sweep.ScopeRead)
		change(&w)
		_, err := r.MakeKey(t.Context(), a, w, r.client)
		var coded *sweep.Error
		require.ErrorAs(t, err, &coded, what)
		require.Equal(t, sweep.Invalid, coded.Code)
		require.Equal(t, what, coded.Fields[0].Location)
	}
	w := wish()
	_, err := r.MakeKey(t.Context(), a, w, r.client)
	require.Equal(t, sweep.Invalid, code(err), "a key without a scope is good for nothing")
}

// KEY-4: at the limit a key can still be rotated, also with an overlap; that makes one beyond it and no more.
func TestARotationAddsNoKey(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	first := r.key(t, a, wish(sweep.ScopeRead))
	r.exec(t, `INSERT INTO api_keys (customer_id, id, user_id, name, id8, hash, scopes, created_at) SELECT customer_id, gen_random_uuid(), user_id, name, 'filler' || n, convert_to('filler' || n, 'UTF8'), scopes, created_at
		FROM api_keys, generate_series(2, 50) n`)
	_, err := r.MakeKey(t.Context(), a, wish(sweep.ScopeRead), r.client)
	require.Equal(t, sweep.Conflict, code(err))
	rotate := func(key string, o account.Overlap) (account.NewKey, error) {
		id, err := sweep.KeyID.Parse(key)
		require.NoError(t, err)
		return r.RotateKey(t.Context(), a, id, o, good, "", r.client)
	}
	second, err := rotate(first.ID, "0")
	require.NoError(t, err)
	third, err := rotate(second.ID, "7d")
	require.NoError(t, err)
	_, err = rotate(third.ID, "7d")
	require.Equal(t, sweep.Conflict, code(err), "the one before is still in force")
	r.exec(t, "UPDATE api_keys SET expires_at = now() WHERE expires_at > now()")
	_, err = rotate(third.ID, "7d")
	require.NoError(t, err)
	require.Equal(t, 51, r.count(t, "SELECT count(*) FROM api_keys WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())"))
}

// KEY-3: the last use is written at most once a minute, however many processes see it.
func TestTheLastUseOfAKeyIsWrittenOnceAMinute(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.owner(t, ada)
	key := r.key(t, a, wish(sweep.ScopeRead))
	r.exec(t, `CREATE TABLE written (at timestamptz NOT NULL DEFAULT clock_timestamp());
		GRANT INSERT ON written TO PUBLIC;
		CREATE FUNCTION wrote() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.written DEFAULT VALUES; RETURN NEW; END $$;
		CREATE TRIGGER wrote AFTER UPDATE OF last_used_at ON api_keys FOR EACH ROW EXECUTE FUNCTION wrote()`)
	use := func() {
		said := atOnce(8, func(int) error {
			_, err := r.instance(t, testKey).Authenticate(t.Context(), key.Key, r.client) // a process of its own
			return err
		})
		require.Equal(t, map[sweep.Code]int{"": 8}, said)
		for range 20 {
			_, err := r.Authenticate(t.Context(), key.Key, r.client)
			require.NoError(t, err)
		}
	}
	use()
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM written"))
	r.exec(t, "ALTER TABLE api_keys DISABLE TRIGGER wrote; UPDATE api_keys SET last_used_at = last_used_at - interval '2 minutes'; ALTER TABLE api_keys ENABLE TRIGGER wrote")
	use()
	require.Equal(t, 2, r.count(t, "SELECT count(*) FROM written"), "a minute later once more")
}
