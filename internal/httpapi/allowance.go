package httpapi

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"mailsweep/internal/ratelimit"
	"mailsweep/internal/sweep"
)

// costs are what operations take from an allowance that make a worker change mail; all others take 1.
var costs = map[string]int{"execute": 10, "undo-job": 10}

// policy is an allowance of requests a minute under the name by which the answer tells of it.
type policy struct {
	name, key string
	perMinute int
}

func (p policy) allowance() ratelimit.Allowance {
	return ratelimit.Allowance{Key: p.key, Limit: p.perMinute, Per: time.Minute}
}

// allowancesOf are those that a request of a counts against: its customer's, and for a key four fifths of that, so that one script
// that runs wild leaves room for people and other keys.
func allowancesOf(a sweep.Actor, perMinute int) []policy {
	customer := policy{"default", "customer:{" + a.Customer.String() + "}", max(1, perMinute)}
	if a.Kind != sweep.ByKey {
		return []policy{customer}
	}
	return []policy{customer, {"key", customer.key + ":key:" + a.User.String(), max(1, customer.perMinute*4/5)}}
}

// spend takes cost from all of the allowances or from none, and says in the answer what is left (draft-ietf-httpapi-ratelimit-headers).
// Where an allowance is smaller than the cost, the whole of it passes.
func (s *server) spend(c echo.Context, cost int, from ...policy) error {
	allowances := make([]ratelimit.Allowance, len(from))
	for i, p := range from {
		allowances[i], cost = p.allowance(), min(cost, p.perMinute)
	}
	decisions, err := s.Requests.Take(c.Request().Context(), cost, allowances...)
	if err != nil {
		return fmt.Errorf("count request: %w", err)
	}
	var policies, left []string
	var refused error
	wait := 0
	for i, d := range decisions {
		policies = append(policies, fmt.Sprintf("%q;q=%d;w=60", from[i].name, d.Limit))
		left = append(left, fmt.Sprintf("%q;r=%d;t=%d", from[i].name, d.Remaining, seconds(until(d))))
		if !d.Allowed && seconds(d.RetryAfter) > wait {
			wait = seconds(d.RetryAfter)
			refused = sweep.Errorf(sweep.RateLimited, "at most %d requests a minute", d.Limit).With("retry_after", strconv.Itoa(wait))
		}
	}
	c.Response().Header().Set("RateLimit-Policy", strings.Join(policies, ", "))
	c.Response().Header().Set("RateLimit", strings.Join(left, ", "))
	return refused
}

// until is when more will pass: the next one if none does now.
func until(d ratelimit.Decision) time.Duration {
	if d.Allowed {
		return d.ResetAfter
	}
	return d.RetryAfter
}

func seconds(d time.Duration) int { return max(1, int(math.Ceil(d.Seconds()))) }
