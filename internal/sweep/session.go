package sweep

import "time"

// How long a browser's session lasts: since its last use that was noted, and at all.
const (
	SessionIdle = 12 * time.Hour
	SessionLife = 7 * 24 * time.Hour
)

// SessionEnds is the first moment at which a session is over by time alone: it was last used at seen, and expires in any case.
func SessionEnds(seen, expires time.Time) time.Time {
	if idle := seen.Add(SessionIdle); idle.Before(expires) {
		return idle
	}
	return expires
}
