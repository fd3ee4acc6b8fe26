package web

import (
	"errors"
	"net/http"

	"github.com/labstack/echo/v4"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
)

func (p *Pages) enterRoutes(e *echo.Echo) {
	e.GET("/signup", p.open(p.signUpForm))
	e.POST("/signup", p.open(p.signUp))
	e.GET("/verify-email", p.open(p.verifyForm))
	e.POST("/verify-email", p.open(p.verify))
	e.GET("/login", p.open(p.signInForm))
	e.POST("/login", p.open(p.signIn))
	e.POST("/login/code", p.open(p.signInCode))
	e.POST("/login/google", p.open(p.toGoogle))
	e.GET("/sign-in/google", p.open(p.fromGoogle))
	e.POST("/sign-in/google", p.open(p.linkGoogle))
	e.GET("/forgot", p.open(p.forgotForm))
	e.POST("/forgot", p.open(p.forgot))
	e.GET("/reset-password", p.open(p.resetForm))
	e.POST("/reset-password", p.open(p.reset))
	e.POST("/logout", p.costing(sweep.Viewer, 0, p.signOut))
}

// entering is a form that somebody fills in who is not signed in. Problem says why it was refused; what was typed stays, but for secrets.
type entering struct {
	Email, Name, Next string
	Token             string // of a mail
	Challenge         string // of the second factor
	Problem           string
	Fields            map[string]string // a field's name to what is wrong with it
	By                string            // what sent the mail: the title of the page "sent"
}

// refused fills a form in with why it was refused; anything but the person's own mistake stays an error.
func (f entering) refused(err error) (entering, error) {
	var e *sweep.Error
	if !errors.As(err, &e) || e.Code == sweep.Internal {
		return f, err
	}
	f.Problem, f.Fields = sentence(e.Detail), map[string]string{}
	for _, field := range e.Fields {
		f.Fields[lastOf(field.Location)] = field.Message
	}
	return f, nil
}

func (p *Pages) again(c echo.Context, name, title string, f entering, err error) error {
	f, err = f.refused(err)
	if err != nil {
		return err
	}
	return p.show(c, http.StatusUnprocessableEntity, name, title, f)
}

// signUpForm keeps the invitation that somebody comes with: they may go on by Google.
func (p *Pages) signUpForm(c echo.Context) error {
	keep(c, inviteCookie, c.QueryParam("invitation"), 24*60*60)
	return p.show(c, http.StatusOK, "signup", "Create your account", entering{})
}

func (p *Pages) signUp(c echo.Context) error {
	f := entering{Email: c.FormValue("email"), Name: c.FormValue("name")}
	client := p.edge.Client(c)
	client.Invitation = cookie(c, inviteCookie)
	if err := p.Account.SignUp(c.Request().Context(), f.Email, c.FormValue("password"), f.Name, client); err != nil {
		return p.again(c, "signup", "Create your account", f, err)
	}
	return p.show(c, http.StatusOK, "sent", "Check your mail", entering{Email: f.Email, By: "signup"})
}

func (p *Pages) verifyForm(c echo.Context) error {
	return p.show(c, http.StatusOK, "verify", "Confirm your address", entering{Token: c.QueryParam("token")})
}

func (p *Pages) verify(c echo.Context) error {
	f := entering{Token: c.FormValue("token")}
	session, err := p.edge.Begin(c, func(client account.Client) (account.Session, error) {
		return p.Account.VerifyEmail(c.Request().Context(), f.Token, c.FormValue("password"), client)
	})
	if err != nil {
		return p.again(c, "verify", "Confirm your address", f, err)
	}
	keep(c, deviceCookie, session.Device, deviceLife)
	return p.go_(c, "/mailboxes")
}

func (p *Pages) signInForm(c echo.Context) error {
	return p.show(c, http.StatusOK, "login", "Sign in", entering{Next: c.QueryParam("next")})
}

func (p *Pages) signIn(c echo.Context) error {
	f := entering{Email: c.FormValue("email"), Next: c.FormValue("next")}
	return p.enter(c, "login", "Sign in", f, func(client account.Client) (account.Session, error) {
		return p.Account.Login(c.Request().Context(), f.Email, c.FormValue("password"), "", client)
	})
}

func (p *Pages) signInCode(c echo.Context) error {
	f := entering{Challenge: c.FormValue("challenge"), Next: c.FormValue("next")}
	return p.enter(c, "code", "One more step", f, func(client account.Client) (account.Session, error) {
		return p.Account.AnswerChallenge(c.Request().Context(), f.Challenge, c.FormValue("code"), client)
	})
}

// enter signs somebody in, or asks for what is still missing.
func (p *Pages) enter(c echo.Context, name, title string, f entering, begin func(account.Client) (account.Session, error)) error {
	session, err := p.edge.Begin(c, func(client account.Client) (account.Session, error) {
		client.Device = cookie(c, deviceCookie)
		return begin(client)
	})
	if err != nil {
		return p.missing(c, name, title, f, err)
	}
	keep(c, deviceCookie, session.Device, deviceLife)
	return p.go_(c, inner(f.Next))
}

// missing asks for the second factor, or for the password of the account that has the address which Google vouches for.
func (p *Pages) missing(c echo.Context, name, title string, f entering, err error) error {
	var e *sweep.Error
	if !errors.As(err, &e) {
		return err
	}
	switch e.Code {
	case sweep.TOTPRequired:
		if challenge, ok := e.Data["challenge"].(string); ok && name != "link" && name != "invitation" { // these two take the code with the password
			return p.show(c, http.StatusOK, "code", "One more step", entering{Challenge: challenge, Next: f.Next})
		}
	case sweep.LinkRequired:
		email, _ := e.Data["email"].(string)
		return p.show(c, http.StatusOK, "link", "Is this you?", entering{Email: email})
	case sweep.EmailUnverified:
		if f.Email == "" { // of a sign-in with Google: what to do stands in the refusal
			break
		}
		if rerr := p.Account.ResendVerification(c.Request().Context(), f.Email, p.edge.Client(c)); rerr != nil {
			return rerr
		}
		return p.show(c, http.StatusOK, "sent", "Check your mail", entering{Email: f.Email, By: "signup"})
	}
	return p.again(c, name, title, f, err)
}

// toGoogle begins a sign-in with Google; what completes it stays in this browser.
func (p *Pages) toGoogle(c echo.Context) error {
	started, err := p.Account.StartGoogle(c.Request().Context(), p.edge.Client(c))
	if err != nil {
		return err
	}
	keep(c, ticketCookie, started.Ticket, 15*60)
	return c.Redirect(http.StatusSeeOther, started.AuthorizeURL)
}

func (p *Pages) fromGoogle(c echo.Context) error {
	if c.QueryParam("error") != "" {
		return p.show(c, http.StatusOK, "login", "Sign in", entering{Problem: "Google signed nobody in: it was declined, or it took too long."})
	}
	if cookie(c, ticketCookie) == "" {
		return p.elsewhere(c, handedOn{Code: c.QueryParam("code")})
	}
	return p.enter(c, "login", "Sign in", entering{}, func(client account.Client) (account.Session, error) {
		client.Invitation = cookie(c, inviteCookie)
		return p.Account.CompleteGoogle(c.Request().Context(), cookie(c, ticketCookie), c.QueryParam("state"), c.QueryParam("code"), client)
	})
}

func (p *Pages) linkGoogle(c echo.Context) error {
	f := entering{Email: c.FormValue("email")}
	return p.enter(c, "link", "Is this you?", f, func(client account.Client) (account.Session, error) {
		return p.Account.LinkGoogle(c.Request().Context(), cookie(c, ticketCookie), f.Email, c.FormValue("password"), c.FormValue("code"), client)
	})
}

func (p *Pages) forgotForm(c echo.Context) error {
	return p.show(c, http.StatusOK, "forgot", "Set a new password", entering{})
}

func (p *Pages) forgot(c echo.Context) error {
	f := entering{Email: c.FormValue("email"), By: "forgot"}
	if err := p.Account.ForgotPassword(c.Request().Context(), f.Email, p.edge.Client(c)); err != nil {
		return p.again(c, "forgot", "Set a new password", f, err)
	}
	return p.show(c, http.StatusOK, "sent", "Check your mail", f)
}

func (p *Pages) resetForm(c echo.Context) error {
	return p.show(c, http.StatusOK, "reset", "Set a new password", entering{Token: c.QueryParam("token")})
}

func (p *Pages) reset(c echo.Context) error {
	f := entering{Token: c.FormValue("token")}
	if _, err := p.Account.ResetPassword(c.Request().Context(), f.Token, c.FormValue("password"), p.edge.Client(c)); err != nil {
		return p.again(c, "reset", "Set a new password", f, err)
	}
	return p.show(c, http.StatusOK, "login", "Sign in", entering{By: "reset"})
}

func (p *Pages) signOut(c echo.Context, a sweep.Actor) error {
	if err := p.Account.Logout(c.Request().Context(), a); err != nil {
		return err
	}
	p.edge.Leave(c)
	return p.go_(c, "/")
}
