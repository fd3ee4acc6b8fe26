package httpapi_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sweep"
)

// apiKey makes a key of scopes over HTTP.
func (r *rig) apiKey(t *testing.T, token string, scopes ...sweep.Scope) (id, key string) {
	t.Helper()
	words := make([]string, len(scopes))
	for i, s := range scopes {
		words[i] = `"` + string(s) + `"`
	}
	a := r.call(t, "POST", "/api/v1/api-keys", token, `{"name":"test","scopes":[`+strings.Join(words, ",")+`],"password":"`+good+`"}`)
	require.Equal(t, 201, a.StatusCode, string(a.body))
	made := a.object(t)
	return made["id"].(string), made["key"].(string)
}

// KEY-2, KEY-6: every route of the document, with a key of each scope and of none that helps.
func TestAKeyDoesWhatItsScopesAllowAndNothingElse(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := r.member(t, "ada@example.com")
	_, err := r.root.Exec(t.Context(), "UPDATE customers SET plan = 'enterprise', plan_version = plan_version + 1")
	require.NoError(t, err)
	keys := map[sweep.Scope]string{}
	for _, s := range sweep.AllScopes() {
		_, keys[s] = r.apiKey(t, token, s)
	}
	_, all := r.apiKey(t, token, sweep.AllScopes()...)
	people, machines := 0, 0
	for path, methods := range parsedSpec(t).Paths {
		for method, op := range methods {
			if len(op.Security) == 0 {
				continue
			}
			needs := sweep.Scope("")
			for _, s := range op.Security {
				if list, ok := s["key"]; ok {
					needs = sweep.Scope(list[0])
				}
			}
			call := func(key string) string {
				filled := strings.NewReplacer("{id}", "job_00000000000000000000000000000000").Replace(path)
				a := r.call(t, strings.ToUpper(method), filled, key, map[bool]string{true: "{}"}[method == "post" || method == "put" || method == "patch"])
				require.NotEqual(t, 401, a.StatusCode, "%s %s", method, path)
				require.Less(t, a.StatusCode, 500, "%s %s", method, path)
				if a.StatusCode != 403 {
					return ""
				}
				return a.object(t)["code"].(string)
			}
			if needs == "" {
				people++
				require.Equal(t, "forbidden", call(all), "%s %s is for people", method, path)
				continue
			}
			machines++
			for scope, key := range keys {
				require.Equal(t, map[bool]string{true: "", false: "forbidden"}[scope == needs], call(key), "%s %s with %s", method, path, scope)
			}
		}
	}
	require.Greater(t, people, 15)
	require.Equal(t, 28, machines)
}

func TestARequestShowsOneCredentialAndNoneInItsAddress(t *testing.T) { // KEY-5
	t.Parallel()
	r := newRig(t)
	token := r.member(t, "ada@example.com")
	id, key := r.apiKey(t, token, sweep.ScopeRead)
	usage := "/api/v1/gmail/usage"
	require.Equal(t, 200, r.call(t, "GET", usage, key, "").StatusCode)
	require.Equal(t, 200, r.call(t, "GET", usage, "", "", "X-API-Key", key).StatusCode)
	require.Equal(t, 401, r.call(t, "GET", usage, token, "", "X-API-Key", key).StatusCode, "two credentials")
	require.Equal(t, 401, r.call(t, "GET", usage, "", "", "X-API-Key", token).StatusCode, "a token is no key")
	session := r.browser(t, "ada@example.com", "")
	require.Equal(t, 200, r.status(t, session, usage))
	require.Equal(t, 401, r.call(t, "GET", usage, token, "", session.headers()...).StatusCode, "a token and a session")
	require.Equal(t, 401, r.call(t, "GET", usage, "", "", session.headers("X-API-Key", key)...).StatusCode, "a key and a session")
	require.Equal(t, 401, r.call(t, "GET", usage, "", "", "Cookie", cookieName+"="+session.cookie+"; "+cookieName+"="+session.cookie).StatusCode, "two sessions, or one twice")
	require.Equal(t, 200, r.call(t, "GET", usage, "", "", "Cookie", "theme=dark; "+cookieName+"="+session.cookie).StatusCode, "other cookies are not ours to look at")
	flagged := func() any {
		return r.call(t, "GET", "/api/v1/api-keys", token, "").object(t)["items"].([]any)[0].(map[string]any)["flagged_at"]
	}
	require.Nil(t, flagged())
	for _, query := range []string{"api_key=" + key, "x=1&token=" + key, "s=" + strings.Replace(key, "swp", "s%77p", 1), key, key + "=1", "k=x" + key, "k=" + key + ";y"} {
		_, err := r.root.Exec(t.Context(), "UPDATE api_keys SET flagged_at = NULL")
		require.NoError(t, err)
		problem(t, r.call(t, "GET", usage+"?"+query, "", ""), 400, "invalid_request")
		problem(t, r.call(t, "GET", "/api/v1/billing/plans?"+query, "", ""), 400, "invalid_request")
		require.NotNil(t, flagged(), query)
	}
	problem(t, r.call(t, "GET", usage+"?k="+key[:30], "", ""), 400, "invalid_request")
	require.NotContains(t, r.log.String(), key)
	require.Equal(t, 200, r.call(t, "GET", usage, key, "").StatusCode, "it is for its owner to end it")
	require.Equal(t, 204, r.call(t, "DELETE", "/api/v1/api-keys/"+id, token, "").StatusCode)
	require.Equal(t, 401, r.call(t, "GET", usage, key, "").StatusCode)
}

func TestAKeyReachesNothingThatHasAStar(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := r.member(t, "ada@example.com")
	r.connect(t, token)
	_, key := r.apiKey(t, token, sweep.ScopeAnalyze, sweep.ScopeExecute)
	body := `{"action":"trash","criteria":` + promotions + `,"protect":{"starred":false}`
	problem(t, r.call(t, "POST", "/api/v1/gmail/cleanup/dry-run", key, body+`}`), 403, "forbidden")
	problem(t, r.call(t, "POST", "/api/v1/gmail/cleanup/execute", key, body+`,"max_messages":5}`), 403, "forbidden")
	require.Equal(t, 202, r.call(t, "POST", "/api/v1/gmail/cleanup/dry-run", token, body+`}`).StatusCode)
	job := r.call(t, "POST", "/api/v1/gmail/cleanup/dry-run", key, `{"action":"trash","criteria":`+promotions+`}`)
	require.Equal(t, 202, job.StatusCode, string(job.body))
	require.Equal(t, 403, r.call(t, "GET", "/api/v1/jobs/"+job.object(t)["id"].(string), key, "").StatusCode, "it was not made to read")
}
