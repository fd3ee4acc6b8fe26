package account_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

// OIDC-1: what Google's token can have wrong, for who is new and for who is known.
func TestAForgedWordOfGoogleSignsNobodyIn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Limits.GoogleStartsPerIP = 1000
	_, err := r.withGoogle(t, two)
	require.NoError(t, err)
	forged := google.Forgeries()
	require.GreaterOrEqual(t, len(forged), 20)
	for _, name := range forged {
		require.NoError(t, r.google.ForgeIDTokens(name))
		for _, email := range []string{one, two} {
			session, err := r.withGoogle(t, email)
			require.Equal(t, sweep.Unauthenticated, code(err), "%s: %v", name, err)
			require.Empty(t, session.AccessToken)
		}
	}
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM users"))
	require.Equal(t, 2*len(forged), r.count(t, "SELECT count(*) FROM security_events WHERE kind = 'google.refused'"))
	require.NoError(t, r.google.ForgeIDTokens(""))
	_, err = r.withGoogle(t, one)
	require.NoError(t, err)
}

// OIDC-1: each attack begins like an honest sign-in.
func TestAttacksOnTheWayBackFromGoogleSignNobodyIn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Limits.GoogleStartsPerIP = 1000
	victims, err := r.withGoogle(t, one)
	require.NoError(t, err)
	complete := func(ticket, state, code string) error {
		session, err := r.CompleteGoogle(t.Context(), ticket, state, code, r.client)
		require.Empty(t, session.AccessToken)
		return err
	}
	changed := func(email, name, value string) func() error {
		return func() error {
			started, err := r.StartGoogle(t.Context(), r.client)
			require.NoError(t, err)
			page, err := url.Parse(started.AuthorizeURL)
			require.NoError(t, err)
			query := page.Query()
			query.Set(name, value)
			page.RawQuery = query.Encode()
			back := r.consent(t, page.String(), email)
			return complete(started.Ticket, back.Get("state"), back.Get("code"))
		}
	}
	attacks := map[string]func() error{
		"the attacker's account in the victim's browser": func() error {
			mine, theirs := r.visits(t, two), r.visits(t, one)
			return complete(theirs.Ticket, mine.back.Get("state"), mine.back.Get("code"))
		},
		"the attacker's link in the victim's browser, then the attacker without the code": func() error {
			v := r.visits(t, one) // the code is in the victim's browser
			return complete(v.Ticket, v.State, "")
		},
		"the attacker guesses the code": func() error {
			v := r.visits(t, one)
			return complete(v.Ticket, v.State, "4/0guessed")
		},
		"the code of one attempt under the ticket and state of another": func() error {
			mine, theirs := r.visits(t, two), r.visits(t, one)
			return complete(mine.Ticket, mine.State, theirs.back.Get("code"))
		},
		"the code and state of one attempt under the ticket of another": func() error {
			mine, theirs := r.visits(t, two), r.visits(t, one)
			return complete(mine.Ticket, theirs.State, theirs.back.Get("code"))
		},
		"no state": func() error {
			v := r.visits(t, one)
			return complete(v.Ticket, "", v.back.Get("code"))
		},
		"no ticket": func() error {
			v := r.visits(t, one)
			return complete("", v.State, v.back.Get("code"))
		},
		"the state in the place of the ticket": func() error {
			v := r.visits(t, one)
			return complete(v.State, v.State, v.back.Get("code"))
		},
		"everything invented": func() error {
			return complete(strings.Repeat("t", 9000), strings.Repeat("s", 9000), strings.Repeat("c", 9000))
		},
		"a replay": func() error {
			v := r.visits(t, one)
			_, err := r.complete(t, v)
			require.NoError(t, err)
			return complete(v.Ticket, v.State, v.back.Get("code"))
		},
		"a replay of the code under a fresh attempt": func() error {
			v := r.visits(t, one)
			_, err := r.complete(t, v)
			require.NoError(t, err)
			fresh := r.visits(t, one)
			return complete(fresh.Ticket, fresh.State, v.back.Get("code"))
		},
		"too late": func() error {
			v := r.visits(t, one)
			r.exec(t, "UPDATE google_sign_ins SET expires_at = now() - interval '1 second'")
			return complete(v.Ticket, v.State, v.back.Get("code"))
		},
		"a code for another client":       changed(one, "client_id", "other"),
		"a code for our other redirect":   changed(one, "redirect_uri", public+"/oauth/google/callback"),
		"another PKCE challenge":          changed(one, "code_challenge", strings.Repeat("A", 43)),
		"another nonce":                   changed(one, "nonce", "the-attackers"),
		"another state":                   changed(one, "state", "the-attackers"),
		"a consent that does not say who": changed(one, "scope", "email profile"),
		"the state of a mailbox's connection": func() error {
			started, err := r.StartConnect(t.Context(), r.actorOf(t, victims), sweep.ID{})
			require.NoError(t, err)
			back := r.consent(t, started.AuthorizeURL, one)
			v := r.visits(t, one)
			return complete(v.Ticket, back.Get("state"), back.Get("code"))
		},
		"the code of a mailbox's connection": func() error {
			started, err := r.StartConnect(t.Context(), r.actorOf(t, victims), sweep.ID{})
			require.NoError(t, err)
			v := r.visits(t, one)
			return complete(v.Ticket, v.State, r.consent(t, started.AuthorizeURL, one).Get("code"))
		},
	}
	require.GreaterOrEqual(t, len(attacks), 12)
	for name, attack := range attacks {
		require.Equal(t, sweep.Unauthenticated, code(attack()), name)
	}
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM users"))
	require.Equal(t, 1, r.count(t, "SELECT count(google_subject) FROM users"))

	// Google itself refuses to send the browser elsewhere, and what it says instead of a code signs nobody in
	started, err := r.StartGoogle(t.Context(), r.client)
	require.NoError(t, err)
	answer, err := browser.Get(strings.Replace(started.AuthorizeURL, url.QueryEscape(public), url.QueryEscape("https://evil.example"), 1) + "&auto=1")
	require.NoError(t, err)
	defer answer.Body.Close()
	require.Equal(t, 400, answer.StatusCode)
	for _, c := range []struct{ state, code, problem, word string }{
		{started.State, "", "access_denied", "denied"}, {started.State, "c", "access_denied", "denied"}, {"", "c", "", "expired"}, {started.State, "", "", "expired"}, {"", "", "", "expired"},
	} {
		require.Equal(t, public+"/sign-in/google?error="+c.word, r.GoogleCallback(c.state, c.code, c.problem))
	}
	// the way to a mailbox takes nothing of a sign-in
	v := r.visits(t, one)
	to, err := r.Callback(t.Context(), v.State, v.back.Get("code"), "")
	require.NoError(t, err)
	require.Equal(t, public+"/mailboxes?connect_error=expired", to)
}

// OIDC-1: state, nonce and PKCE's challenge are of one attempt, and none of them tells its ticket.
func TestEachSignInHasSecretsOfItsOwn(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	seen := map[string]bool{}
	for range 3 {
		started, err := r.StartGoogle(t.Context(), r.client)
		require.NoError(t, err)
		page, err := url.Parse(started.AuthorizeURL)
		require.NoError(t, err)
		require.Equal(t, "S256", page.Query().Get("code_challenge_method"))
		for _, secret := range []string{started.Ticket, page.Query().Get("state"), page.Query().Get("nonce"), page.Query().Get("code_challenge")} {
			require.Len(t, secret, 43)
			require.False(t, seen[secret])
			seen[secret] = true
		}
	}
}
