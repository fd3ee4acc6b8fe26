package secret

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"strings"
)

const (
	apiKeyPrefix = "swp_live_"
	apiKeyLength = len(apiKeyPrefix) + 8 + 1 + 43 + 6
)

// NewAPIKey makes a key for one reader, swp_live_<8 hex>_<43 characters of 256 random bits><6 hex of a checksum>, with the 8 by which people
// tell keys apart and the hash to store.
func NewAPIKey() (key, id8 string, hash []byte) {
	id8 = hex.EncodeToString(random(4))
	plain, _ := NewToken()
	key = apiKeyPrefix + id8 + "_" + plain
	key += checksum(key)
	return key, id8, HashToken(key)
}

// IsAPIKey says whether a text claims to be a key of ours, whole or not.
func IsAPIKey(text string) bool { return strings.HasPrefix(text, apiKeyPrefix) }

// FindAPIKey gives what looks like a key in a text, whole or cut; "" when nothing does.
func FindAPIKey(text string) string {
	i := strings.Index(text, apiKeyPrefix)
	if i < 0 {
		return ""
	}
	return text[i:min(len(text), i+apiKeyLength)]
}

// SoundAPIKey says whether a text is a key whose checksum is right: what is mistyped or made up is refused without a look at the database,
// and scanners of repositories recognize what leaked.
func SoundAPIKey(text string) bool {
	if !IsAPIKey(text) || len(text) != apiKeyLength {
		return false
	}
	cut := len(text) - 6
	return subtle.ConstantTimeCompare([]byte(checksum(text[:cut])), []byte(text[cut:])) == 1
}

func checksum(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:3])
}
