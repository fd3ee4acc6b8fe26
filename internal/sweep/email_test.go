package sweep

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestSpellingsOfAnAddressAreOne(t *testing.T) { // REG-5
	t.Parallel()
	for _, s := range []string{"a.b+c@sub.example.com", "A.B+C@SUB.example.COM", "  a.b+c@sub.example.com\t", "\ta.B+c@Sub.Example.Com "} {
		email, err := CanonicalEmail(s)
		require.NoError(t, err, s)
		require.Equal(t, "a.b+c@sub.example.com", email)
	}
	for _, s := range []string{"x@a.co", "o'brien@example.com", "user_name-1@xn--bcher-kva.example", strings.Repeat("l", 64) + "@example.com", "1@1.example", "a@b." + strings.Repeat("c", 63)} {
		email, err := CanonicalEmail(s)
		require.NoError(t, err, s)
		require.Equal(t, s, email)
	}
}

func TestBadAddressesAreRefusedWithoutAnEcho(t *testing.T) { // REG-5
	t.Parallel()
	bad := []string{"", " ", "@", "a", "a@", "@example.com", "a@b", "a@example..com", "a@.example.com", "a@example.com.", "a@-example.com", "a@example-.com",
		".a@example.com", "a.@example.com", "a..b@example.com", "a b@example.com", "a@exam ple.com", "a@b@example.com", `"a b"@example.com`, "a(comment)@example.com",
		"Ada <ada@example.com>", "a@[127.0.0.1]", "a@127.0.0.1", "a@exam_ple.com", "a\r\nBcc: b@example.com", "a@example.com\nx", "a\x00@example.com", "a\u200b@example.com",
		"а@example.com", "a@exämple.com", "a,b@example.com", "a;b@example.com", "a@example.com,b@example.com", "a\\@example.com", strings.Repeat("l", 65) + "@example.com",
		"a@" + strings.Repeat("d", 64) + ".com", "a@" + strings.Repeat("dddddddd.", 30) + "com", "a@example.com\x7f", "a@example.com\u00a0x", "a\xff@example.com"}
	require.GreaterOrEqual(t, len(bad), 30)
	for _, s := range bad {
		_, err := CanonicalEmail(s)
		require.Equal(t, Invalid, CodeOf(err), "%q", s)
		require.NotContains(t, err.Error(), "example", "the address is echoed")
	}
}

func TestTheCanonicalFormIsItsOwnAndHarmless(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), rapid.StringMatching(`[ -~]{0,12}@[ -~]{0,12}\.[ -~]{0,5}`), rapid.StringMatching(`[a-zA-Z.+]{1,9}@[a-zA-Z0-9-]{1,9}\.[a-zA-Z]{2,5}`)).Draw(t, "address")
		email, err := CanonicalEmail(s)
		if err != nil {
			return
		}
		again, err := CanonicalEmail(email)
		if err != nil || again != email {
			t.Fatalf("%q became %q, then %q, %v", s, email, again, err)
		}
		if strings.ContainsAny(email, " \t\r\n\x00\"<>(),;:\\[]") || strings.Count(email, "@") != 1 || len(email) > 254 || strings.ToLower(email) != email {
			t.Fatalf("%q passed as %q", s, email)
		}
	})
}

func TestKeepEntriesAreAddressesOrDomains(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{" Boss@Work.example ": "boss@work.example", "@Bank.Example": "@bank.example", "@банк.example": "@банк.example"} {
		entry, ok := CanonicalKeep(in)
		require.True(t, ok, in)
		require.Equal(t, want, entry)
	}
	for _, in := range []string{"", "@", "bank.example", "a@", "a@b@c", "a b@c", "a@b c", `"a"@b`, "a@b\nc", "a\u200b@b", "a\x00@b", "a@(b)", strings.Repeat("a", 250) + "@b.co", "a\xff@b"} {
		_, ok := CanonicalKeep(in)
		require.False(t, ok, "%q", in)
	}
}
