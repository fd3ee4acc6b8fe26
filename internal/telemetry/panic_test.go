package telemetry_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/telemetry"
)

// LOG-2
func TestAPanicIsToldWithoutItsText(t *testing.T) {
	t.Parallel()
	for want, cause := range map[string]any{
		"a string": "alice@example.com", "a *fmt.wrapError": fmt.Errorf("alice@example.com: %w", fmt.Errorf("no")), "a map[string]string": map[string]string{"alice": "b"},
	} {
		require.Equal(t, want, telemetry.Panicked(cause))
	}
	defer func() {
		require.Equal(t, "runtime error: index out of range [3] with length 0", telemetry.Panicked(recover()))
	}()
	n := 3
	_ = []int{}[n]
}
