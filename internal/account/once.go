package account

import (
	"context"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// masked stands in a repeated answer where a secret was shown before.
const masked = "[masked]"

// Asked is a POST that came with an Idempotency-Key. What is everything that was asked for.
type Asked struct {
	Route, Key string
	What       string
	Status     int // 2xx, of the answer
}

// Once gives the request that the use cases store their answers for. A key belongs to its customer and route; the answer is for the actor
// who asked, since it may be a session.
func (s *Service) Once(a sweep.Actor, r Asked) *store.Once {
	return &store.Once{Customer: a.Customer, Route: r.Route, Key: r.Key, Status: r.Status, Vault: s.Vault,
		Hash: s.Pseudonym.Of("request", a.String()+"\n"+r.What)}
}

// Recall reads the first answer into answer, if there is one. IdempotencyMismatch when it was to another request.
func (s *Service) Recall(ctx context.Context, o *store.Once, answer any) (bool, error) {
	return o.Recall(ctx, s.DB, answer)
}

// Keep stores the answer to a request that had no effect to commit it with.
func (s *Service) Keep(ctx context.Context, o *store.Once, answer any) error {
	return s.DB.Tenant(o.In(ctx), o.Customer, func(tx *store.Tx) error {
		return tx.Once(answer, func() error { return nil })
	})
}
