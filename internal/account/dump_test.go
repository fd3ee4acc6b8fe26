package account_test

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/bcrypt"

	"mailsweep/internal/secret"
	"mailsweep/internal/testkit"
)

var bcryptInDump = regexp.MustCompile(`v2\$p1\$(\$2a\$\d\d\$[./A-Za-z0-9]{53})`)

// PWD-3: whoever has the whole database can verify no password, not even one that they know: the pepper is not in it, and without it the
// hashes match nothing.
func TestADumpVerifiesNoPassword(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.member(t, ada)
	r.member(t, "eve@example.com")
	dump := testkit.Dump(t, r.database)
	require.Contains(t, dump, ada, "the dump has the people")
	pepper := r.Passwords.Peppers["p1"]
	for form, text := range map[string]string{"plain": string(pepper), "hex": hex.EncodeToString(pepper), "base64": strings.TrimRight(base64.StdEncoding.EncodeToString(pepper), "="),
		"base64 for addresses": base64.RawURLEncoding.EncodeToString(pepper), "the password": good} {
		require.NotContains(t, dump, text, form)
	}
	hashes := bcryptInDump.FindAllStringSubmatch(dump, -1)
	require.Len(t, hashes, 2)
	other := &secret.Passwords{Peppers: map[string][]byte{"p1": make([]byte, 32)}, Current: "p1", Cost: 4}
	for _, hash := range hashes {
		require.NoError(t, bcrypt.CompareHashAndPassword([]byte(hash[1]), keyed(pepper)), "with the pepper it verifies")
		right, _, err := other.Verify(t.Context(), hash[0], good)
		require.NoError(t, err)
		require.False(t, right, "under another pepper")
		for form, guess := range guesses(dump) {
			require.Error(t, bcrypt.CompareHashAndPassword([]byte(hash[1]), guess), form)
		}
	}
}

// keyed is what bcrypt gets for the known password.
func keyed(key []byte) []byte {
	mac := hmac.New(sha512.New384, key)
	mac.Write([]byte(good))
	return base64.StdEncoding.AppendEncode(nil, mac.Sum(nil))
}

var keyInDump = regexp.MustCompile(`\\\\x[0-9a-f]{64}\b`)

// guesses are the known password in the forms that need nothing but what is public or in the dump.
func guesses(dump string) map[string][]byte {
	plain := sha512.Sum384([]byte(good))
	all := map[string][]byte{"alone": []byte(good), "digest": base64.StdEncoding.AppendEncode(nil, plain[:]), "no key": keyed(nil), "id of the pepper": keyed([]byte("p1"))}
	for _, text := range keyInDump.FindAllString(dump, -1) { // whatever looks like a key
		key, _ := hex.DecodeString(strings.TrimPrefix(text, `\\x`)) // 64 hex digits
		all[text] = keyed(key)
	}
	return all
}
