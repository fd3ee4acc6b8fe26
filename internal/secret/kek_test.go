package secret_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/secret"
	"mailsweep/internal/sim/kms"
	"mailsweep/internal/sweep"
)

const kekURI = "gcp-kms://projects/p/locations/global/keyRings/r/cryptoKeys/keysets"

// cloud is a key management over the wire, and a folder of keysets that are encrypted by it.
type cloud struct {
	*kms.Sim
	kek          *secret.CloudKEK
	token, index secret.Source
}

func newCloud(t *testing.T) *cloud {
	t.Helper()
	c := &cloud{Sim: kms.New()}
	server := httptest.NewServer(c.Sim)
	t.Cleanup(server.Close)
	var err error
	c.kek, err = secret.NewCloudKEK(t.Context(), kekURI, server.URL, true)
	require.NoError(t, err)
	sets, err := secret.GenerateKeysets()
	require.NoError(t, err)
	folder := t.TempDir()
	file := func(name string, clear []byte) secret.Source {
		s := secret.Source{Name: name, Ref: filepath.Join(folder, name+".json"), Production: true, KEK: c.kek}
		text, err := s.Encrypt(t.Context(), clear)
		require.NoError(t, err)
		require.True(t, secret.Encrypted(text))
		require.NotContains(t, string(text), `"value"`, "a key in clear")
		require.NoError(t, os.WriteFile(s.Ref, text, 0o600))
		return s
	}
	c.token, c.index = file(secret.TokenKeyset, sets.TokenPrivate), file(secret.IndexKeyset, sets.Index)
	return c
}

// ENC-3: keysets whose files are encrypted by a key that never leaves its service open, and rotate, as those in clear do.
func TestKeysetsThatAKeyManagementEncrypts(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	opener, err := secret.FollowTokenOpener(c.token)
	require.NoError(t, err)
	public, err := c.token.Public()
	require.NoError(t, err)
	sealer, err := secret.NewTokenSealer(public)
	require.NoError(t, err)
	place := secret.Context{Customer: "a", Provider: "google", Account: "b", Field: "refresh_token"}
	sealed, err := sealer.Seal([]byte("1//x"), place)
	require.NoError(t, err)

	id, err := c.token.Add(t.Context())
	require.NoError(t, err)
	require.NoError(t, c.token.Promote(t.Context(), id))
	text, err := os.ReadFile(c.token.Ref)
	require.NoError(t, err)
	require.True(t, secret.Encrypted(text), "a change leaves it encrypted")
	info, err := os.Stat(c.token.Ref)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	changed, err := opener.Renew()
	require.NoError(t, err)
	require.True(t, changed)
	require.Equal(t, id, opener.Primary())
	again, err := opener.Reseal(sealed, place)
	require.NoError(t, err)
	require.NotEqual(t, sealed[:5], again[:5])
	for _, s := range [][]byte{sealed, again} {
		plain, err := opener.Open(s, place)
		require.NoError(t, err)
		require.Equal(t, "1//x", string(plain))
	}
	asked := c.Calls("decrypt")
	changed, err = opener.Renew()
	require.NoError(t, err)
	require.False(t, changed)
	require.Equal(t, asked, c.Calls("decrypt"), "nobody is asked about a file that has not changed")
}

// ENC-3
func TestKeysetsThatDoNotOpen(t *testing.T) {
	t.Parallel()
	c := newCloud(t)
	try := func(what string, s secret.Source) error {
		t.Helper()
		_, err := secret.FollowVault(s)
		require.Error(t, err, what)
		return err
	}
	_, err := secret.FollowVault(c.index)
	require.NoError(t, err)
	swapped := c.index
	swapped.Ref = c.token.Ref
	try("the file of another keyset", swapped)
	misnamed := c.index
	misnamed.Name = secret.TokenKeyset
	try("the file under another keyset's name", misnamed)
	plain := c.index
	plain.KEK = nil
	require.ErrorContains(t, try("no KEK", plain), "KEYSET_KEK")
	other, err := secret.NewCloudKEK(t.Context(), kekURI+"2", c.endpoint(t), true)
	require.NoError(t, err)
	under := c.index
	under.KEK = other
	try("another key of the same service", under)
	sets, err := secret.GenerateKeysets()
	require.NoError(t, err)
	clear := c.index
	clear.Ref = filepath.Join(t.TempDir(), "clear.json")
	require.NoError(t, os.WriteFile(clear.Ref, sets.Index, 0o600))
	require.ErrorContains(t, try("in clear beside a KEK", clear), "in clear")
	c.Refuse(http.StatusForbidden)
	require.ErrorContains(t, try("forbidden", c.index), "403")
	c.Refuse(0)
	c.Garble(true)
	require.ErrorContains(t, try("garbled", c.index), "garbled")
	_, err = c.index.Add(t.Context())
	require.Error(t, err)
	c.Garble(false)
	_, err = secret.NewCloudKEK(t.Context(), "aws-kms://x", "", true)
	require.Error(t, err)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", c.index, c.index, c.index), c.index.Ref)
}

// endpoint serves the same keys a second time.
func (c *cloud) endpoint(t *testing.T) string {
	server := httptest.NewServer(c.Sim)
	t.Cleanup(server.Close)
	return server.URL
}

// A service that is away, or a file that is spoilt, changes nothing of what is in use.
func TestAKeysetThatCannotBeReadStaysAsItWas(t *testing.T) { // ENC-2
	t.Parallel()
	c := newCloud(t)
	vault, err := secret.FollowVault(c.index)
	require.NoError(t, err)
	wrapped, err := vault.NewDataKey("cus_a")
	require.NoError(t, err)
	was := vault.Primary()
	require.NoError(t, os.WriteFile(c.index.Ref, []byte(`{"encryptedKeyset":"AAAA"}`), 0o600))
	_, err = vault.Renew()
	require.Error(t, err)
	require.NoError(t, os.Chmod(c.index.Ref, 0o644))
	_, err = vault.Renew()
	require.ErrorContains(t, err, "0600")
	require.Equal(t, was, vault.Primary())
	_, err = vault.Box(wrapped, "cus_a")
	require.NoError(t, err)
}

// Two changes at once would lose a key: the second is refused, and one that failed leaves nothing behind.
func TestKeysetsAreChangedOneAtATime(t *testing.T) { // ENC-2
	t.Parallel()
	c := newCloud(t)
	busy := c.index.Ref + ".new"
	require.NoError(t, os.WriteFile(busy, nil, 0o600))
	_, err := c.index.Add(t.Context())
	require.Equal(t, sweep.Conflict, sweep.CodeOf(err))
	require.NoError(t, os.Remove(busy))
	keys, err := c.index.Keys()
	require.NoError(t, err)
	require.Len(t, keys, 1)
	first := keys[0].ID
	require.Equal(t, sweep.NotFound, sweep.CodeOf(c.index.Promote(t.Context(), first+1)))
	require.Equal(t, sweep.Conflict, sweep.CodeOf(c.index.Disable(t.Context(), first)))
	require.Equal(t, sweep.Conflict, sweep.CodeOf(c.index.Destroy(t.Context(), first)))
	require.NoFileExists(t, busy)
	second, err := c.index.Add(t.Context())
	require.NoError(t, err)
	require.NoError(t, c.index.Disable(t.Context(), second))
	require.Equal(t, sweep.Conflict, sweep.CodeOf(c.index.Promote(t.Context(), second)), "it is disabled")
	require.NoError(t, c.index.Destroy(t.Context(), second))
	keys, err = c.index.Keys()
	require.NoError(t, err)
	require.Equal(t, []secret.KeyInfo{{ID: first, Enabled: true, Primary: true}}, keys)
	inline := secret.Source{Name: secret.IndexKeyset, Ref: `{"primaryKeyId":1}`}
	_, err = inline.Add(t.Context())
	require.Equal(t, sweep.Invalid, sweep.CodeOf(err))
	require.True(t, strings.HasPrefix(fmt.Sprint(inline), "index:"))
}
