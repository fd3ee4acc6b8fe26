package telemetry

import (
	"testing"

	"pgregory.net/rapid"
)

// TestNoSecretLacksItsSign draws texts that the expression takes for secrets: each must be seen by the cheap look before it.
func TestNoSecretLacksItsSign(t *testing.T) {
	t.Parallel()
	text := rapid.StringMatching(secretLooks.String())
	rapid.Check(t, func(t *rapid.T) {
		if s := text.Draw(t, "secret"); secretLooks.MatchString(s) && !mayHoldSecret([]byte(s)) {
			t.Fatalf("%q is not looked at", s)
		}
	})
}
