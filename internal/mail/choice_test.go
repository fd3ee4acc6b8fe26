package mail

import (
	"maps"
	"slices"
	"strings"
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

// What can be turned off says where, in both of its forms; what cannot promises nothing.
func TestAMailThatCanBeTurnedOffSaysWhere(t *testing.T) {
	t.Parallel()
	const page = "https://mailsweep.example/settings/notifications"
	for name, m := range cases {
		letter, err := sender("").Render(m)
		require.NoError(t, err)
		require.Equal(t, m.Kind.Optional(), strings.Contains(letter.Text, "\n"+page+"\n"), name)
		require.Equal(t, m.Kind.Optional(), strings.Contains(letter.HTML, `href="`+page+`"`), name)
	}
}
