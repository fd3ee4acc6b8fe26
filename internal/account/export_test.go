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
