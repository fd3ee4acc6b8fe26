package web

import (
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
)

// Cookies beside the session's, which the edge keeps.
const (
	deviceCookie = "__Host-mailsweep-device"     // failures of strangers do not stop a sign-in from here
	ticketCookie = "__Host-mailsweep-google"     // of a sign-in with Google that began here
	inviteCookie = "__Host-mailsweep-invitation" // of whoever came by the link of one
)

// deviceLife is how many seconds a device is known: 180 days.
const deviceLife = 180 * 24 * 60 * 60

// keep gives the browser a value for some seconds, out of reach of scripts and of other sites' requests.
func keep(c echo.Context, name, value string, seconds int) {
	if value == "" {
		return
	}
	c.SetCookie(&http.Cookie{Name: name, Value: value, MaxAge: seconds, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

func cookie(c echo.Context, name string) string {
	if have, err := c.Cookie(name); err == nil {
		return have.Value
	}
	return ""
}

// lastOf is the last part of a location such as body.password.
func lastOf(location string) string {
	return location[strings.LastIndexByte(location, '.')+1:]
}
