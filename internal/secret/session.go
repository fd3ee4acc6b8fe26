package secret

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
)

// CSRFToken is what a page adds to what it sends with a session's cookie: only who can read an answer to that cookie knows it. It is
// derived from the cookie and does not give it away.
func CSRFToken(cookie string) string {
	mac := hmac.New(sha256.New, []byte(cookie))
	mac.Write([]byte("csrf"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// IsCSRFToken compares in constant time.
func IsCSRFToken(token, cookie string) bool {
	return hmac.Equal([]byte(token), []byte(CSRFToken(cookie)))
}
