package httpapi

import (
	"errors"
	"mime"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
)

// googleEventsPath is where Google posts what happened to accounts. It is Google's protocol (RFC 8935), not one of our operations.
const googleEventsPath = "/webhooks/google/security"

// googleEvents takes one signed security event token. What is not believed counts against the caller's address like any guessing.
func (s *server) googleEvents(c echo.Context) error {
	r := c.Request()
	media, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err == nil && media != "application/secevent+jwt" {
		err = errors.New("of another type")
	}
	if err != nil {
		err = &account.EventRefused{Code: "invalid_request", Description: "send Content-Type: application/secevent+jwt"}
	} else {
		var body []byte
		if body, err = readBody(r); err != nil {
			return err
		}
		err = s.Account.HearGoogle(r.Context(), strings.TrimSpace(string(body)), caller(r.Context()))
	}
	var refused *account.EventRefused
	switch {
	case errors.As(err, &refused):
		if err := s.spendAddress(c); err != nil {
			return err
		}
		c.Response().Header().Set("Content-Language", "en")
		return c.JSON(http.StatusBadRequest, map[string]string{"err": refused.Code, "description": refused.Description})
	case err != nil:
		return err // Google tries again
	}
	return c.NoContent(http.StatusAccepted)
}

// stripeEventsPath is where Stripe posts events. It is Stripe's protocol: the body is signed as it is, so nothing reads it before.
const stripeEventsPath = "/webhooks/stripe"

// stripeEvents takes one event. It is written down before it is answered; what it leads to is done later. What Stripe did not sign counts against the
// caller's address like any guessing.
func (s *server) stripeEvents(c echo.Context) error {
	r := c.Request()
	body, err := readBody(r)
	if err != nil {
		return err
	}
	err = s.Billing.Hear(r.Context(), body, r.Header.Get("Stripe-Signature"))
	if sweep.CodeOf(err) == sweep.BadRequest {
		if err := s.spendAddress(c); err != nil {
			return err
		}
	}
	if err != nil {
		return err // Stripe tries again
	}
	return c.JSON(http.StatusOK, map[string]bool{"received": true})
}
