package mail

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// Who chooses their mails sees each kind once; what may be turned off is written here once more.
func TestEveryKindOfMailIsToldToItsReader(t *testing.T) {
	t.Parallel()
	var told, optional []Kind
	for _, k := range Kinds() {
		require.NotEmpty(t, k.What)
		told = append(told, k.Kind)
		if k.Kind.Optional() {
			optional = append(optional, k.Kind)
		}
	}
	require.ElementsMatch(t, slices.Collect(maps.Keys(specs())), told)
	require.Equal(t, []Kind{QuotaWarning, QuotaFresh, TrialEnding, NeedsReconnect}, optional)
	require.False(t, Kind("unheard_of").Optional())
}
