package httpapi_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sweep"
)

// generous lets a test ask as often as it likes.
func generous(r *rig) {
	for tier, p := range r.Plans {
		p.RequestsPerMinute = 1_000_000
		r.Plans[tier] = p
	}
}

// sent is what a browser says of where a request comes from.
type sent struct {
	what    string
	headers []string
	ours    bool
}

func (r *rig) origins() []sent {
	return []sent{
		{"from another site", []string{"Sec-Fetch-Site", "cross-site"}, false},
		{"from another host of our site", []string{"Sec-Fetch-Site", "same-site"}, false},
		{"from another site, named", []string{"Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example"}, false},
		{"from an old browser, another site", []string{"Origin", "https://evil.example"}, false},
		{"from an old browser, our name as a part", []string{"Origin", page + ".evil.example"}, false},
		{"from an old browser, a frame without origin", []string{"Origin", "null"}, false},
		{"from a frame without origin", []string{"Sec-Fetch-Site", "cross-site", "Origin", "null"}, false},
		{"in words of nobody's", []string{"Sec-Fetch-Site", "Same-Origin"}, false},
		{"from nowhere", nil, false},
		{"from our page", []string{"Sec-Fetch-Site", "same-origin"}, true},
		{"from our page, named", []string{"Sec-Fetch-Site", "same-origin", "Origin", r.url}, true},
		{"from an old browser, our host", []string{"Origin", r.url}, true},
		{"from our public address", []string{"Origin", "https://api.example"}, true},
		{"from an origin of the list", []string{"Sec-Fetch-Site", "cross-site", "Origin", page}, true},
	}
}

// unsafe lists the operations of the document that need somebody signed in and are no GET, with ids of nothing.
func unsafe(t *testing.T) (list [][2]string) {
	for path, methods := range parsedSpec(t).Paths {
		for method, op := range methods {
			if method == "get" || len(op.Security) == 0 {
				continue
			}
			require.Contains(t, op.Security, map[string][]string{"cookie": {}, "csrf": {}}, "%s %s is documented so", method, path)
			list = append(list, [2]string{strings.ToUpper(method), strings.ReplaceAll(path, "{id}", "ses_1")})
		}
	}
	require.Greater(t, len(list), 20)
	return list
}

// CSR-1: every route that changes something, from everywhere, with each token.
func TestACookieAloneChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, generous)
	r.member(t, "ada@example.com")
	r.member(t, "eve@example.com")
	mine, other, eves := r.browser(t, "ada@example.com", ""), r.browser(t, "ada@example.com", ""), r.browser(t, "eve@example.com", "")
	tokens := map[string]string{"none": "", "right": mine.csrf, "of my other session": other.csrf, "another person's": eves.csrf, "the cookie": mine.cookie, "cut": mine.csrf[:42], "longer": mine.csrf + "A"}
	before := r.everything(t)
	for _, route := range unsafe(t) {
		for _, from := range r.origins() {
			for what, token := range tokens {
				if from.ours && what == "right" {
					continue
				}
				headers := append([]string{"Cookie", cookieName + "=" + mine.cookie}, from.headers...)
				if token != "" {
					headers = append(headers, "X-CSRF-Token", token)
				}
				a := r.call(t, route[0], route[1], "", "{}", headers...)
				require.Equal(t, 403, a.StatusCode, "%s %s, token %s: %s", route, from.what, what, a.body)
				require.Equal(t, "cross_site", a.object(t)["code"])
			}
		}
	}
	require.Equal(t, before, r.everything(t), "nothing has changed")
	require.Equal(t, 200, r.call(t, "GET", me, "", "", "Cookie", cookieName+"="+mine.cookie, "Sec-Fetch-Site", "cross-site").StatusCode, "who follows a link to us is who they are")
}

// CSR-1: what our own pages send gets through, and what shows a token or a key needs none of it.
func TestOurPagesAndProgramsAreNotInTheWay(t *testing.T) {
	t.Parallel()
	r := newRig(t, generous)
	r.member(t, "ada@example.com")
	through := func(a answer, what ...any) {
		require.NotEqual(t, 401, a.StatusCode, "%s: %s", what, a.body)
		if a.StatusCode >= 400 {
			require.NotEqual(t, "cross_site", a.object(t)["code"], "%s", what)
		}
	}
	for _, route := range unsafe(t) {
		for _, from := range r.origins() {
			if from.ours {
				b := r.browser(t, "ada@example.com", "") // some routes end it
				through(r.call(t, route[0], route[1], "", "{}", append([]string{"Cookie", cookieName + "=" + b.cookie, "X-CSRF-Token", b.csrf}, from.headers...)...), route, from.what)
			}
		}
	}
	token := r.call(t, "POST", "/api/v1/auth/login", "", `{"email":"ada@example.com","password":"`+good+`"}`, "Sec-Fetch-Site", "cross-site").object(t)["access_token"].(string)
	_, key := r.apiKey(t, token, sweep.ScopeAnalyze)
	for _, from := range r.origins() {
		require.Equal(t, 200, r.call(t, "PUT", "/api/v1/keep-list", token, `{"entries":[]}`, from.headers...).StatusCode, from.what)
		through(r.call(t, "POST", "/api/v1/gmail/analyze", key, "", from.headers...), from.what)
	}
}

// CSR-1: a stranger's page signs nobody in as the stranger.
func TestOnlyOurPagesSignABrowserIn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.member(t, "ada@example.com")
	for _, from := range r.origins() {
		for path, body := range map[string]string{"login": `{"email":"ada@example.com","password":"` + good + `","cookie":true}`, "verify-email": `{"token":"x","cookie":true}`,
			"2fa/verify": `{"challenge":"x","code":"1","cookie":true}`} {
			a := r.call(t, "POST", "/api/v1/auth/"+path, "", body, from.headers...)
			if from.ours {
				require.NotEqual(t, 403, a.StatusCode, "%s %s", path, from.what)
				continue
			}
			problem(t, a, 403, "cross_site")
			require.Empty(t, a.Header.Values("Set-Cookie"), from.what)
		}
	}
}

// CSR-1: every GET of the document, of what there is, by a browser.
func TestLookingChangesNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, generous)
	token := r.member(t, "ada@example.com")
	mailbox := r.connect(t, token)
	job := r.submit(t, token, "/api/v1/gmail/analyze", `{"mailbox_id":"`+mailbox.ID+`"}`)
	b := r.browser(t, "ada@example.com", "")
	require.Equal(t, 200, r.status(t, b, me))
	held := func() map[string]string {
		all := r.everything(t)
		delete(all, "audit_logs") // has that somebody asked for what is not there, which a browser's cookie alone may do
		delete(all, "audit_heads")
		return all
	}
	before, noted := held(), r.count(t, "audit_logs")
	for path, methods := range parsedSpec(t).Paths {
		if _, ok := methods["get"]; !ok || strings.HasPrefix(path, "/health") {
			continue
		}
		id := job.ID
		switch {
		case strings.HasPrefix(path, "/api/v1/mailboxes/"):
			id = mailbox.ID
		case strings.HasSuffix(path, "/events"):
			id = "job_00000000000000000000000000000000" // a stream of one that runs would not end
		}
		for range 2 {
			a := r.call(t, "GET", strings.ReplaceAll(path, "{id}", id), "", "", b.headers()...)
			require.Less(t, a.StatusCode, 500, path)
		}
		require.Equal(t, before, held(), path)
	}
	require.Equal(t, noted, r.count(t, "audit_logs WHERE action <> 'access.denied'"))
}
