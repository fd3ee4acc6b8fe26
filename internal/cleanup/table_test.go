package cleanup

import (
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"mailsweep/internal/sweep"
)

// A table answers as a map would that takes nothing but the messages of its list.
func TestATableIsAMapOfAList(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.Map(rapid.Uint64Range(1, 40), func(n uint64) sweep.MessageID { return sweep.MessageID(n) })
		list := ids(rapid.SliceOfDistinct(id, rapid.ID[sweep.MessageID]).Draw(t, "list"))
		got, want := over[int](inOrder(list)), map[sweep.MessageID]int{}
		for range rapid.IntRange(0, 80).Draw(t, "puts") {
			message, v := id.Draw(t, "message"), rapid.IntRange(0, 3).Draw(t, "value")
			got.put(message, v)
			if slices.Contains(list, message) {
				want[message] = v
			}
		}
		maps.DeleteFunc(want, func(_ sweep.MessageID, v int) bool { return v == 0 })
		require.Equal(t, len(want), got.n)
		require.Equal(t, slices.Sorted(maps.Keys(want)), slices.Collect(got.all()))
		for n := range sweep.MessageID(42) {
			require.Equal(t, want[n], got.at(n))
		}
	})
}
