package account_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

// instance is the service as another process has it: with a pool and with caches of its own.
func (r *rig) instance(t *testing.T, keys ...account.Key) *account.Service {
	t.Helper()
	here := r.Service
	return &account.Service{DB: r.open(t, "mailsweep_app", 0), Vault: here.Vault, Signer: signer(t, keys...), Pseudonym: here.Pseudonym, Plans: here.Plans, Passwords: here.Passwords,
		Requests: here.Requests, Limits: here.Limits, Log: here.Log}
}

// goodAt says whether a token opens an instance.
func (r *rig) goodAt(t *testing.T, s *account.Service, token string) bool {
	t.Helper()
	_, err := s.Authenticate(t.Context(), token, r.client)
	if err != nil {
		require.Equal(t, sweep.Unauthenticated, code(err))
	}
	return err == nil
}

// JWT-5: whatever ends the sessions of a person is heard by an instance that has just let the token in, within a second.
func TestWhatEndsSessionsIsHeardElsewhereWithinASecond(t *testing.T) {
	t.Parallel()
	for why, end := range map[string]func(*testing.T, *person){
		"reset": func(t *testing.T, p *person) {
			p.forgot(t, p.email)
			_, err := p.ResetPassword(t.Context(), p.resets(t)[0], anew, p.client)
			require.NoError(t, err)
		},
		"another password": func(t *testing.T, p *person) {
			_, err := p.ChangePassword(t.Context(), p.actor, good, anew, p.client)
			require.NoError(t, err)
		},
		"second factor off": func(t *testing.T, p *person) {
			p.again(t)
			_, err := p.DropFactor(t.Context(), p.actor, good, p.code(t, 0), p.client)
			require.NoError(t, err)
		},
		"deletion": func(t *testing.T, p *person) {
			p.again(t)
			_, err := p.Delete(t.Context(), p.actor, good, p.code(t, 0), p.email, p.client)
			require.NoError(t, err)
		},
		"sign-out": func(t *testing.T, p *person) { require.NoError(t, p.Logout(t.Context(), p.actor)) },
	} {
		t.Run(why, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			p, session := r.withFactor(t, ada)
			elsewhere := r.process(t, session.AccessToken)
			end(t, p)
			require.False(t, r.goodAt(t, r.Service, session.AccessToken), "here at once")
			r.outWithinASecond(t, elsewhere, session.AccessToken)
		})
	}
	t.Run("second factor on", func(t *testing.T) {
		t.Parallel()
		r := newRig(t)
		before, a := r.member(t, ada)
		p := &person{rig: r, email: ada, actor: a}
		p.offered(t)
		elsewhere := r.process(t, before.AccessToken)
		_, err := r.ConfirmFactor(t.Context(), a, p.code(t, 0), r.client)
		require.NoError(t, err)
		require.False(t, r.goodAt(t, r.Service, before.AccessToken), "here at once")
		r.outWithinASecond(t, elsewhere, before.AccessToken)
	})
}

// JWT-6: a token that was signed before an upgrade or another role gives what is bought and allowed now.
func TestAnUpgradeIsSeenAtTheNextCall(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	session, a := r.member(t, ada)
	r.exec(t, "UPDATE customers SET trial_ends_at = now(), plan_version = plan_version + 1")
	_, err := r.connect(t, a, sweep.ID{}, "one@gmail.example")
	require.NoError(t, err)
	_, err = r.connect(t, a, sweep.ID{}, "two@gmail.example")
	require.Equal(t, sweep.MailboxLimit, code(err))
	before, err := r.Me(t.Context(), a)
	require.NoError(t, err)
	require.Equal(t, sweep.Free, before.Plan)
	instances := []*account.Service{r.Service, r.instance(t, testKey)}
	for _, s := range instances { // each knows the old plan
		require.True(t, r.goodAt(t, s, session.AccessToken))
	}
	r.exec(t, "UPDATE customers SET plan = 'enterprise', plan_version = plan_version + 1")
	r.exec(t, "UPDATE members SET role = 'operator'")
	since := time.Now()
	for _, s := range instances {
		me, err := s.Me(t.Context(), a)
		require.NoError(t, err)
		require.Equal(t, sweep.Enterprise, me.Plan, "at the next call")
	}
	_, err = r.connect(t, a, sweep.ID{}, "two@gmail.example")
	require.NoError(t, err, "what the plan carries may be used at the next call")
	for _, s := range instances { // role, and the pace of requests, are at most a second old
		for {
			late := time.Since(since) > time.Second
			now, err := s.Authenticate(t.Context(), session.AccessToken, r.client)
			require.NoError(t, err)
			plan, err := s.Plan(t.Context(), now)
			require.NoError(t, err)
			if now.Role == sweep.Operator && plan.Tier == sweep.Enterprise {
				break
			}
			require.False(t, late, "%s and %s are told more than a second later", now.Role, plan.Tier)
		}
	}
}

// JWT-3: two instances get another signing key by three rolling restarts (the new key verifies everywhere before it signs anywhere) while
// people sign in at either and use what they got at both: nobody is refused. When the old key is gone, so are its tokens.
func TestSigningKeysRotateUnderLoad(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	sum := sha256.Sum256([]byte("the next key"))
	next := account.Key{ID: "k2", Seed: sum[:]}
	for i := range 4 {
		r.member(t, numbered(i))
	}
	var instances [2]atomic.Pointer[account.Service]
	restart := func(keys ...account.Key) {
		for i := range instances {
			instances[i].Store(r.instance(t, keys...))
		}
	}
	restart(testKey)
	var used, refused atomic.Int64
	var mu sync.Mutex
	tokens := map[string]bool{}
	done := make(chan struct{})
	var clients sync.WaitGroup
	client := func(i int) {
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			default:
			}
			session, err := instances[n%2].Load().Login(t.Context(), numbered(i), good, "", r.client)
			if sweep.CodeOf(err) == sweep.Unavailable {
				continue // on a machine too busy for a hash within its time
			}
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			tokens[session.AccessToken] = true
			held := make([]string, 0, 20)
			for token := range tokens {
				if held = append(held, token); len(held) == cap(held) {
					break
				}
			}
			mu.Unlock()
			for _, token := range held {
				for j := range instances {
					if _, err := instances[j].Load().Authenticate(t.Context(), token, r.client); err != nil {
						refused.Add(1)
					}
					used.Add(1)
				}
			}
		}
	}
	for i := range 4 {
		clients.Go(func() { client(i) })
	}
	more := func(what string) {
		at := used.Load()
		testkit.Eventually(t, 2*time.Minute, func() bool { return used.Load() > at+400 || t.Failed() }, what)
	}
	more("tokens of the first key are used")
	for _, keys := range [][]account.Key{{testKey, next}, {next, testKey}} {
		for i := range instances {
			instances[i].Store(r.instance(t, keys...))
			more(fmt.Sprintf("instance %d runs with other keys than the other one", i))
		}
	}
	close(done)
	clients.Wait()
	require.Zero(t, refused.Load(), "of %d uses", used.Load())
	fresh, err := instances[0].Load().Login(t.Context(), numbered(0), good, "", r.client)
	require.NoError(t, err)
	tokens[fresh.AccessToken] = true
	restart(next)
	of := map[string]int{}
	for token := range tokens {
		key := keyOf(t, token)
		of[key]++
		for i := range instances {
			require.Equal(t, key == next.ID, r.goodAt(t, instances[i].Load(), token), "a token of %s", key)
		}
	}
	require.Positive(t, of[testKey.ID], "tokens of the key that is gone")
	require.Positive(t, of[next.ID], "tokens of the key that stays")
	require.Len(t, of, 2)
}

// keyOf is the id of the key that signed a token.
func keyOf(t *testing.T, token string) string {
	t.Helper()
	head, _, _ := strings.Cut(token, ".")
	raw, err := base64.RawURLEncoding.DecodeString(head)
	require.NoError(t, err)
	var header struct {
		Kid string `json:"kid"`
	}
	require.NoError(t, json.Unmarshal(raw, &header))
	return header.Kid
}
