package account

import (
	"context"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// The places that sealed values are bound to.
var (
	FactorPlace   = factorPlace
	VerifierPlace = verifierContext
	TokenPlace    = tokenPlace
)

// DropSignUp is the step of a proof by other means that makes room.
func (s *Service) DropSignUp(ctx context.Context, customer sweep.ID, c Client) error {
	return s.DB.Tenant(ctx, customer, func(tx *store.Tx) error { return s.makeRoom(tx, customer, c) })
}

// Waiting is how many stand in line for a turn, or have it.
func (s *Service) Waiting() (n int) {
	s.turns.mu.Lock()
	defer s.turns.mu.Unlock()
	for _, l := range s.turns.lines {
		n += l.waiting
	}
	return n
}
