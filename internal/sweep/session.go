package sweep

import "time"

// ProofLife is how long after a sign-in a person may do what a session that was taken from them must not: end the others, or change from where
// and with what people may come in.
const ProofLife = 15 * time.Minute

// ProvenLately says whether the actor showed who they are within ProofLife before now; nil or SignInAgain.
func (a Actor) ProvenLately(now time.Time) error {
	if now.Sub(a.ProvenAt) < ProofLife {
		return nil
	}
	return Errorf(SignInAgain, "sign in again, then this is possible for %.0f minutes", ProofLife.Minutes())
}

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
