package httpapi

import (
	"context"
	"errors"
	"regexp"

	"mailsweep/internal/sweep"
)

// shownID is an id as callers write it.
var shownID = regexp.MustCompile(`\b[a-z]{3}_[0-9a-f]{32}\b`)

// noteDenial writes down that somebody who is signed in asked for an object that they do not have. It is the same for an object of somebody else's and for one that
// does not exist, in the log and in the time it takes; only what has the form of an id is written.
func (s *server) noteDenial(ctx context.Context, operation string, err error) {
	var e *sweep.Error
	a := actorOf(ctx)
	if a.Customer.IsZero() || !errors.As(err, &e) || e.Code != sweep.NotFound || e.Own {
		return
	}
	asked := askedOf(ctx)
	object := shownID.FindString(asked.path)
	if object == "" {
		object = string(shownID.Find(asked.body))
	}
	if object == "" {
		return
	}
	if err := s.Account.Denied(ctx, a, operation, object); err != nil {
		s.Log.WarnContext(ctx, "a denial was not noted", "error", err)
	}
}
