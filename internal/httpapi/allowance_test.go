package httpapi_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

// item is a member of a structured field: a string with parameters that are integers.
type item struct {
	name   string
	params map[string]int
}

// structured reads a list of strings with integer parameters, strictly as RFC 9651 (4.2) says.
func structured(field string) (list []item, err error) {
	for rest := field; ; {
		var one item
		if one, rest, err = readItem(strings.TrimLeft(rest, " ")); err != nil {
			return nil, fmt.Errorf("%q: %w", field, err)
		}
		list = append(list, one)
		if rest = strings.TrimLeft(rest, " \t"); rest == "" {
			return list, nil
		}
		if rest = strings.TrimLeft(strings.TrimPrefix(rest, ","), " \t"); rest == "" || !strings.Contains(field, ",") {
			return nil, fmt.Errorf("%q does not end as a list does", field)
		}
	}
}

func readItem(s string) (one item, rest string, err error) {
	if !strings.HasPrefix(s, `"`) {
		return one, s, fmt.Errorf("no string at %q", s)
	}
	name, rest, closed := strings.Cut(s[1:], `"`)
	if !closed || strings.ContainsAny(name, "\\\x7f") || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r > '~' }) {
		return one, s, fmt.Errorf("no plain string at %q", s)
	}
	one = item{name, map[string]int{}}
	for strings.HasPrefix(rest, ";") {
		rest = strings.TrimLeft(rest[1:], " ")
		end := strings.IndexFunc(rest, func(r rune) bool { return r != '*' && r != '_' && (r < 'a' || r > 'z') })
		if end < 1 || rest[end] != '=' {
			return one, rest, fmt.Errorf("no parameter at %q", rest)
		}
		key, digits := rest[:end], rest[end+1:]
		rest = strings.TrimLeft(digits, "0123456789")
		digits = digits[:len(digits)-len(rest)]
		n, err := strconv.Atoi(digits)
		if err != nil || len(digits) > 15 {
			return one, rest, fmt.Errorf("no integer at %q", digits)
		}
		one.params[key] = n
	}
	return one, rest, nil
}

func TestStructuredFieldsAreReadStrictly(t *testing.T) {
	t.Parallel()
	list, err := structured(`"default";q=60;w=60, "key";q=48;w=60`)
	require.NoError(t, err)
	require.Equal(t, []item{{"default", map[string]int{"q": 60, "w": 60}}, {"key", map[string]int{"q": 48, "w": 60}}}, list)
	for _, bad := range []string{"", "default;q=60", `"default"; q = 60`, `"default";q=`, `"default";q=6.5`, `"default";q=60,`, `"default`, `"default";Q=60`, `"default";q=60 x`, `"dé";q=1`} {
		_, err := structured(bad)
		require.Error(t, err, bad)
	}
}

// limits reads both headers of an answer.
func limits(t *testing.T, a answer) (policy, left map[string]map[string]int) {
	t.Helper()
	read := func(header string) map[string]map[string]int {
		require.Len(t, a.Header.Values(header), 1)
		list, err := structured(a.Header.Get(header))
		require.NoError(t, err)
		out := map[string]map[string]int{}
		for _, one := range list {
			out[one.name] = one.params
		}
		return out
	}
	return read("RateLimit-Policy"), read("RateLimit")
}

// perMinute gives every plan an allowance.
func perMinute(n int) func(*rig) {
	return func(r *rig) {
		for tier, p := range r.Plans {
			p.RequestsPerMinute = n
			r.Plans[tier] = p
		}
	}
}

// RAT-2: whoever waits as long as a refusal says is let in.
func TestARefusalSaysWhenTheNextCallIsAccepted(t *testing.T) {
	t.Parallel()
	r := newRig(t, perMinute(12))
	token := r.member(t, "ada@example.com")
	for range 2 {
		refused := answer{}
		testkit.Eventually(t, time.Minute, func() bool {
			refused = r.call(t, "GET", "/api/v1/auth/me", token, "")
			policy, left := limits(t, refused)
			require.Equal(t, map[string]map[string]int{"default": {"q": 12, "w": 60}}, policy)
			require.Contains(t, left, "default")
			return refused.StatusCode == 429
		}, "refused")
		_, left := limits(t, refused)
		after, err := strconv.Atoi(refused.Header.Get("Retry-After"))
		require.NoError(t, err)
		require.Equal(t, map[string]int{"r": 0, "t": after}, left["default"], "both point at one instant")
		time.Sleep(time.Duration(after) * time.Second) // what the caller was told to do is the subject
		require.Equal(t, 200, r.call(t, "GET", "/api/v1/auth/me", token, "").StatusCode)
	}
}

// RAT-1: an execute counts as ten, a key has four fifths of its account's allowance, and what a key is refused costs the account nothing.
func TestOperationsHaveWeightsAndKeysAShare(t *testing.T) {
	t.Parallel()
	r := newRig(t, perMinute(60))
	token := r.member(t, "ada@example.com")
	_, err := r.root.Exec(t.Context(), "UPDATE customers SET plan = 'enterprise', plan_version = plan_version + 1")
	require.NoError(t, err)
	_, key := r.apiKey(t, token, sweep.AllScopes()...)
	spent := func(method, path, body string) (fromKey, fromAll, cameBack int) {
		began := time.Now()
		before, was := limits(t, r.call(t, "GET", "/api/v1/jobs", key, ""))
		require.Equal(t, map[string]map[string]int{"default": {"q": 60, "w": 60}, "key": {"q": 48, "w": 60}}, before)
		_, is := limits(t, r.call(t, method, path, key, body))
		return was["key"]["r"] - is["key"]["r"], was["default"]["r"] - is["default"]["r"], int(time.Since(began)/time.Second) + 1
	}
	for _, c := range []struct {
		method, path, body string
		cost               int
	}{
		{"POST", "/api/v1/gmail/cleanup/execute", `{"action":"archive","criteria":` + promotions + `,"max_messages":5}`, 10},
		{"POST", "/api/v1/jobs/job_00000000000000000000000000000000/undo", "", 10},
		{"POST", "/api/v1/gmail/analyze", "", 1},
		{"POST", "/api/v1/jobs/job_00000000000000000000000000000000/cancel", "", 1},
	} {
		fromKey, fromAll, cameBack := spent(c.method, c.path, c.body)
		for _, n := range []int{fromKey, fromAll} {
			require.LessOrEqual(t, n, c.cost, c.path)
			require.GreaterOrEqual(t, n, c.cost-cameBack, c.path)
		}
	}
	var refused answer
	testkit.Eventually(t, time.Minute, func() bool {
		refused = r.call(t, "POST", "/api/v1/jobs/job_00000000000000000000000000000000/undo", key, "")
		return refused.StatusCode == 429
	}, "the key's share is used up")
	require.Contains(t, refused.object(t)["detail"], "48")
	require.Equal(t, 200, r.call(t, "GET", "/api/v1/auth/me", token, "").StatusCode, "people get through")
}

// RAT-3: what a customer at 20 times its limit sends is refused before any work; all others are served.
func TestACustomerAtTwentyTimesItsLimitConcernsNobodyElse(t *testing.T) {
	t.Parallel()
	const limit, others = 60, 3
	served := &tally{}
	r := newRig(t, perMinute(limit), func(r *rig) { r.Observe = served.note })
	noisy := r.member(t, "noisy@example.com")
	quiet := make([]string, others)
	for i := range quiet {
		quiet[i] = r.member(t, fmt.Sprintf("quiet%d@example.com", i))
	}
	began := time.Now()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 20 * limit / 8 {
				r.call(t, "GET", "/api/v1/gmail/usage", noisy, "")
			}
		})
	}
	for _, token := range quiet {
		all.Go(func() {
			for range limit * 2 / 3 {
				if a := r.call(t, "GET", "/api/v1/keep-list", token, ""); a.StatusCode != http.StatusOK {
					t.Errorf("a quiet customer got %d", a.StatusCode)
				}
			}
		})
	}
	all.Wait()
	comeBack := int(time.Since(began)/time.Second) + 1
	require.Equal(t, others*limit*2/3, served.of("/api/v1/keep-list", 200))
	admitted := served.of("/api/v1/gmail/usage", 200)
	require.Equal(t, 20*limit, admitted+served.of("/api/v1/gmail/usage", 429))
	require.LessOrEqual(t, admitted, limit+comeBack, "no more work than the limit")
}

// tally counts answers by route and status.
type tally struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *tally) note(_, route string, status int, _ time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[fmt.Sprint(route, status)]++
}

func (c *tally) of(route string, status int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[fmt.Sprint(route, status)]
}
