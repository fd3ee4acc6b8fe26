package config

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

var kekName = regexp.MustCompile(`^gcp-kms://projects/[^/]+/locations/[^/]+/keyRings/[^/]+/cryptoKeys/[^/]+$`)

// checkKeysets looks at the keysets as far as that goes without opening one: where they are, who may read them, and whether they are
// encrypted as KEYSET_KEK says. What is wrong with more than one is told of each.
func (c *Config) checkKeysets(found *problems) {
	if c.Keys.KEK != "" && !kekName.MatchString(c.Keys.KEK) {
		found.add("KEYSET_KEK", "must be gcp-kms://projects/P/locations/L/keyRings/R/cryptoKeys/K")
	}
	if !slices.Contains([]string{API, Worker, Scheduler}, c.Process) {
		return // the others open nothing, and may run before there is a file
	}
	found.add("TOKEN_KEYSET_PUBLIC", c.keysetMistake(c.Keys.TokenPublic.Reveal(), false))
	found.add("TOKEN_KEYSET_PRIVATE", c.keysetMistake(c.Keys.TokenPrivate.Reveal(), true))
	found.add("INDEX_KEYSET", c.keysetMistake(c.Keys.Index.Reveal(), true))
}

// keysetMistake says what is wrong with a keyset, "" when nothing is. It never quotes it.
func (c *Config) keysetMistake(ref string, secret bool) string {
	text := []byte(ref)
	switch inline := isInlineKeyset(ref); {
	case ref == "":
		return ""
	case inline && c.Env.IsProduction():
		return "must be a file in production, not the keyset itself"
	case inline && !strings.HasPrefix(strings.TrimSpace(ref), "{"):
		text, _ = decodeBase64(ref) // isInlineKeyset has read it
	case !inline:
		var mistake string
		if text, mistake = c.keysetFile(ref); mistake != "" {
			return mistake
		}
	}
	switch encrypted := isEncryptedKeyset(text); {
	case !secret && encrypted:
		return "must be in clear: it is public"
	case secret && encrypted && c.Keys.KEK == "":
		return "is encrypted, and KEYSET_KEK does not say by which key"
	case secret && !encrypted && c.Keys.KEK != "" && c.Env.IsProduction():
		return "is in clear, although KEYSET_KEK says that it is encrypted"
	}
	return ""
}

func (c *Config) keysetFile(path string) (text []byte, mistake string) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, "names a file that cannot be found"
	case !info.Mode().IsRegular():
		return nil, "must name a regular file"
	case c.Env.IsProduction() && info.Mode().Perm()&0o077 != 0:
		return nil, fmt.Sprintf("names a file that others than its owner may open: its mode is %04o, must be 0600", info.Mode().Perm())
	}
	if text, err = os.ReadFile(path); err != nil {
		return nil, "names a file that cannot be read"
	}
	return text, ""
}

// isInlineKeyset recognizes a keyset's JSON, plain or in base64.
func isInlineKeyset(ref string) bool {
	if strings.HasPrefix(strings.TrimSpace(ref), "{") {
		return true
	}
	decoded, err := decodeBase64(ref)
	return err == nil && strings.HasPrefix(strings.TrimSpace(string(decoded)), "{")
}

func isEncryptedKeyset(text []byte) bool {
	var form struct {
		Sealed []byte `json:"encryptedKeyset"`
	}
	return json.Unmarshal(text, &form) == nil && len(form.Sealed) > 0
}
