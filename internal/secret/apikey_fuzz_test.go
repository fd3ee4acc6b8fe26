package secret

import (
	"strings"
	"testing"
)

// FuzzAPIKey holds KEY-1 and KEY-5: a sound key has one length and its own checksum, and is found in whatever it stands in.
func FuzzAPIKey(f *testing.F) {
	key, _, _ := NewAPIKey()
	for _, s := range []string{key, key[:len(key)-1], key + "0", strings.ToUpper(key), apiKeyPrefix, "", "Bearer " + key, key + key} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if found := FindAPIKey(text); !strings.Contains(text, found) || len(found) > apiKeyLength || (found == "") == strings.Contains(text, apiKeyPrefix) {
			t.Fatalf("in %q %q is found", text, found)
		}
		if !SoundAPIKey(text) {
			return
		}
		if cut := len(text) - 6; len(text) != apiKeyLength || text[cut:] != checksum(text[:cut]) || FindAPIKey("?key="+text+"&x") != text {
			t.Fatalf("%q is sound", text)
		}
	})
}
