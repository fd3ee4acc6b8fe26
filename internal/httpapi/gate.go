package httpapi

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/url"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humaecho"
	"github.com/labstack/echo/v4"

	"mailsweep/internal/secret"
	"mailsweep/internal/sweep"
	"mailsweep/internal/telemetry"
)

const (
	bearerScheme = "bearer"
	keyScheme    = "key"
	keyHeader    = "X-API-Key"
)

// admit lets a request through to its operation: signed in where the operation says so, and within its allowance.
func (s *server) admit(ctx huma.Context, next func(huma.Context)) {
	c := humaecho.Unwrap(ctx)
	op := ctx.Operation()
	if op.Metadata[unlimited] == true {
		next(ctx)
		return
	}
	if err := s.enter(c, len(op.Security) > 0, op.Metadata); err != nil {
		s.refuse(c, err)
		return
	}
	next(ctx)
}

// enter finds the actor and takes one request from the customer's allowance, or from the address's when nobody is signed in.
func (s *server) enter(c echo.Context, protected bool, op map[string]any) error {
	if err := s.keyInAddress(c); err != nil {
		return err
	}
	ctx := s.look(c)
	if !protected {
		return s.spendAddress(c)
	}
	a, err := s.whoAsks(ctx, c)
	if err != nil {
		return err
	}
	ctx = telemetry.WithAttrs(withActor(withClient(ctx, cookied(caller(ctx), a)), a), slog.String("customer_id", sweep.CustomerID.Show(a.Customer)))
	c.SetRequest(c.Request().WithContext(ctx))
	plan, err := s.Account.Plan(ctx, a)
	if err != nil {
		return fmt.Errorf("read plan: %w", err)
	}
	cost, _ := op[costing].(int)
	if err := s.spend(c, cost, allowancesOf(a, plan.RequestsPerMinute)...); err != nil {
		return err
	}
	if err := mayAsDeclared(a, plan, op); err != nil || op[owing] == true {
		return err
	}
	return s.settled(ctx, a)
}

// whoAsks finds the actor. What lets nobody in counts against the address: guessing is not free. A credential that the database must be asked for is
// counted before that, so that what is invented costs it nothing once the address's allowance is used up.
func (s *server) whoAsks(ctx context.Context, c echo.Context) (sweep.Actor, error) {
	show := shownOf(ctx)
	known := s.Account.Knows(show.token, show.session)
	if !known {
		if over := s.spendAddress(c); over != nil {
			return sweep.Actor{}, over
		}
	}
	a, err := s.authenticate(ctx, c.Request())
	if err != nil && known {
		if over := s.spendAddress(c); over != nil {
			return a, over
		}
	}
	return a, err
}

// mayAsDeclared compares who calls with what the operation declares: a key's scope, a role, a feature of the plan.
func mayAsDeclared(a sweep.Actor, plan sweep.Plan, op map[string]any) error {
	scope, _ := op[scoped].(sweep.Scope)
	if err := a.MayUse(scope); err != nil {
		return err
	}
	role, _ := op[needing].(sweep.Role)
	if err := a.MayAs(role); err != nil {
		return err
	}
	if feature, _ := op[featured].(sweep.Feature); feature != "" {
		return plan.Require(feature)
	}
	return nil
}

// settled refuses who owes the second factor that the customer demands.
func (s *server) settled(ctx context.Context, a sweep.Actor) error {
	owes, err := s.Account.OwesFactor(ctx, a)
	if err != nil {
		return fmt.Errorf("read membership: %w", err)
	}
	if owes {
		return sweep.Errorf(sweep.FactorRequired, "this account demands a second factor: set one up first")
	}
	return nil
}

// keyInAddress refuses a request whose address has an API key, and marks the key: logs, histories and caches keep addresses.
func (s *server) keyInAddress(c echo.Context) error {
	query := c.Request().URL.RawQuery
	if plain, err := url.QueryUnescape(query); err == nil {
		query = plain // also in a name, behind other letters, or written with percents
	}
	key := secret.FindAPIKey(query)
	if key == "" {
		return nil
	}
	if err := s.spendAddress(c); err != nil {
		return err
	}
	if err := s.Account.SeenInAddress(c.Request().Context(), key, caller(c.Request().Context())); err != nil {
		return err
	}
	return sweep.Errorf(sweep.BadRequest, "an API key belongs into a header, never into the address: rotate this one")
}

func (s *server) spendAddress(c echo.Context) error {
	limit := s.AnonymousPerMinute
	if limit == 0 {
		limit = defaultAnonymous
	}
	who := hex.EncodeToString(s.Account.Pseudonym.Of("ip", network(caller(c.Request().Context()).IP)))
	return s.spend(c, 1, policy{"anonymous", "address:" + who, limit})
}

// defaultAnonymous is what one address may ask per minute without being signed in.
const defaultAnonymous = 120
