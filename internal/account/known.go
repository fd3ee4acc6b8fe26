package account

import (
	"crypto/sha256"

	"mailsweep/internal/secret"
)

// Knows says whether the database need not be asked whose a bearer or a session's cookie is: this process has found that out, or sees that it
// can be nobody's. One of the two is "".
func (s *Service) Knows(bearer, cookie string) bool {
	known := true
	switch {
	case cookie != "":
		if len(cookie) == cookieLength && plausible(cookie) {
			_, known = s.sessions.owner([32]byte(secret.HashToken(cookie)))
		}
	case secret.SoundAPIKey(bearer):
		_, known = s.keys.owner(sha256.Sum256([]byte(bearer)))
	}
	return known
}
