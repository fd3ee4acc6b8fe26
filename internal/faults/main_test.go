package main

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAShortRunHoldsTheCoreAndWhatTheSeedAddsInTime(t *testing.T) {
	t.Parallel()
	drawnEver := map[string]bool{}
	for seed := range uint64(200) {
		drawn, left := draw(options{seed: seed})
		again, _ := draw(options{seed: seed})
		var took time.Duration
		for i, f := range drawn {
			took += f.takes
			drawnEver[f.id] = true
			require.Equal(t, f.id, again[i].id, "seed %d draws the same again", seed)
		}
		require.LessOrEqual(t, took, shortTime, "seed %d", seed)
		require.Len(t, append(drawn, left...), len(faults()), "seed %d: each is run or named", seed)
		require.False(t, slices.ContainsFunc(left, func(f fault) bool { return f.core }), "seed %d", seed)
	}
	require.Len(t, drawnEver, len(faults()), "every fault has its turn")
}

func TestEveryFaultStrikesAndHasATimeThatFits(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, f := range faults() {
		require.False(t, seen[f.id], f.id)
		seen[f.id] = true
		require.Positive(t, f.short, f.id)
		require.GreaterOrEqual(t, f.full, f.short, f.id)
		require.LessOrEqual(t, f.takes, shortTime, f.id)
	}
}

func TestKillPointsAreManyAndDistinct(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, p := range points() {
		seen[p.String()] = true
	}
	require.GreaterOrEqual(t, len(seen), 25)
	require.Len(t, seen, len(points()))
}
