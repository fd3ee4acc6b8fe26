package queue

import (
	"context"
	"log/slog"

	"github.com/redis/go-redis/v9"
)

// Hinter tells the dispatchers of other processes that looking is worth while: for a process that dispatches nothing itself.
type Hinter struct{ hints *hints }

// NewHinter makes a Hinter; Run publishes what Hint asks for.
func NewHinter(c redis.UniversalClient, log *slog.Logger) *Hinter { return &Hinter{newHints(c, log)} }

// Hint never blocks and may be lost.
func (h *Hinter) Hint() { poke(h.hints.out) }

// Run publishes hints until ctx ends.
func (h *Hinter) Run(ctx context.Context) error {
	h.hints.tell(ctx)
	return nil
}
