// Package web is the pages that people use: a form in, one use-case call, HTML out. Everything is rendered here, works without scripts where a
// form suffices, and loads nothing from elsewhere.
package web

import (
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/labstack/echo/v4"

	"mailsweep/internal/account"
	"mailsweep/internal/billing"
	"mailsweep/internal/cleanup"
	"mailsweep/internal/report"
	"mailsweep/internal/sweep"
)

//go:embed pages
var templates embed.FS

//go:embed static
var static embed.FS

// Edge is what pages share with the API: who asks, what they may, what is counted, and how a session is carried.
type Edge interface {
	Visit(echo.Context) error
	Enter(c echo.Context, role sweep.Role, cost int) (sweep.Actor, error)
	Client(echo.Context) account.Client
	Token(echo.Context) string
	Begin(echo.Context, func(account.Client) (account.Session, error)) (account.Session, error)
	Leave(echo.Context)
	Follow(c echo.Context, a sweep.Actor, job sweep.ID, render func(sweep.JobView) ([]byte, error)) error
	Refused(echo.Context, error) (status int, detail, requestID string)
}

// Pages are the site and the dashboard.
type Pages struct {
	Account   *account.Service
	Billing   *billing.Service
	Cleanup   *cleanup.Service
	Report    *report.Service
	Plans     sweep.Plans
	Features  []sweep.Feature // that can be used already: pricing shows no others
	Elsewhere []string        // origins of Google's consent page and of Stripe's: forms may lead there
	Contact   string          // address of whoever runs this
	Kept      []sweep.Kept    // what is stored of customers: the privacy page says it
	Grace     time.Duration   // between the deletion of an account and its purge
	Log       *slog.Logger

	edge   Edge
	sheets map[string]*template.Template
	policy string
	sample demoBox
	turns  turns
}

// Mount adds the pages' routes.
func (p *Pages) Mount(e *echo.Echo, edge Edge) {
	p.edge, p.sheets = edge, sheets(build())
	p.policy = p.allows()
	p.assets(e)
	p.siteRoutes(e)
	p.demoRoutes(e)
	p.enterRoutes(e)
	p.mailboxRoutes(e)
	p.cleanRoutes(e)
	p.senderRoutes(e)
	p.jobRoutes(e)
	p.planRoutes(e)
	p.settingRoutes(e)
	p.accountRoutes(e)
	p.factorRoutes(e)
	p.peopleRoutes(e)
	p.keyRoutes(e)
	p.allowlistRoutes(e)
	p.notificationRoutes(e)
	p.auditRoutes(e)
	p.billingRoutes(e)
	p.leaveRoutes(e)
}

var styles = regexp.MustCompile(`(?s)<style>(.*?)</style>`)

// allows is the policy of pages: their own files, and of all that stands in them the style alone, as it is rendered.
func (p *Pages) allows() string {
	page, err := p.render("terms", "layout.html", view{Page: termsPage{}})
	if err != nil {
		panic(err) // the pages are part of the binary
	}
	style := sha256.Sum256(styles.FindSubmatch(page)[1])
	return "default-src 'none'; script-src 'self'; style-src 'self' 'sha256-" + base64.StdEncoding.EncodeToString(style[:]) + "'; " +
		"img-src 'self' data:; connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self' " + strings.Join(p.Elsewhere, " ")
}

// build names the embedded files: another content has another name.
var build = sync.OnceValue(func() string {
	h := sha256.New()
	err := fs.WalkDir(static, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := static.ReadFile(name)
		h.Write(b)
		return err
	})
	if err != nil {
		panic(err) // the folder is part of the binary
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
})

// assets serves the embedded files. Pages ask for them under the build's name, so browsers may keep them.
func (p *Pages) assets(e *echo.Echo) {
	files, err := fs.Sub(static, "static")
	if err != nil {
		panic(err) // the folder is part of the binary
	}
	serve := http.StripPrefix("/static/", http.FileServerFS(files))
	e.GET("/static/:file", func(c echo.Context) error {
		if _, err := fs.Stat(files, c.Param("file")); err != nil {
			return echo.ErrNotFound
		}
		kept := "no-cache"
		if c.QueryParam("v") == build() {
			kept = "public, max-age=31536000, immutable"
		}
		c.Response().Header().Set("Cache-Control", kept)
		serve.ServeHTTP(c.Response(), c.Request())
		return nil
	})
}

type signed func(echo.Context, sweep.Actor) error

// open is a page for everybody.
func (p *Pages) open(h echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		p.dress(c)
		err := p.edge.Visit(c)
		if err == nil {
			err = h(c)
		}
		return p.settle(c, err)
	}
}

// signed is a page for who is signed in, in a role; others are sent to sign in, and come back.
func (p *Pages) signed(role sweep.Role, h signed) echo.HandlerFunc { return p.costing(role, 1, h) }

// costing is a signed page that takes more than one request from the customer's allowance.
func (p *Pages) costing(role sweep.Role, cost int, h signed) echo.HandlerFunc {
	return func(c echo.Context) error {
		p.dress(c)
		a, err := p.edge.Enter(c, role, cost)
		if sweep.CodeOf(err) == sweep.Unauthenticated {
			return p.toSignIn(c)
		}
		if err == nil {
			err = h(c, a)
		}
		return p.settle(c, err)
	}
}

// dress sets the headers of pages. Browsers that tell the origin of a form by Origin alone send it only where the address may be told.
func (p *Pages) dress(c echo.Context) {
	c.Response().Header().Set("Content-Security-Policy", p.policy)
	c.Response().Header().Set("Referrer-Policy", "same-origin")
}

// toSignIn sends a browser to the sign-in page and, where a page was asked for, back afterwards.
func (p *Pages) toSignIn(c echo.Context) error {
	if p.edge.Token(c) != "" {
		p.edge.Leave(c) // the session is over
	}
	if c.Request().Header.Get("Accept") == "text/event-stream" {
		return c.NoContent(http.StatusNoContent) // a stream that is told so does not come back
	}
	to := "/login"
	if c.Request().Method == http.MethodGet && c.Request().Header.Get("HX-Request") == "" {
		to += "?next=" + url.QueryEscape(c.Request().URL.RequestURI())
	}
	return p.go_(c, to)
}

// inner is a path of ours to go to, or the mailboxes: what stands in an address was written by anybody.
func inner(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(next, "/") || strings.HasPrefix(next, "//") || strings.Contains(next, "\\") {
		return "/mailboxes"
	}
	return next
}

// go_ sends the browser on; a fragment's request is answered so that the whole page goes.
func (p *Pages) go_(c echo.Context, to string) error {
	if c.Request().Header.Get("HX-Request") != "" {
		c.Response().Header().Set("HX-Redirect", to)
		return c.NoContent(http.StatusNoContent)
	}
	return c.Redirect(http.StatusSeeOther, to)
}

// settle shows why something was not done.
func (p *Pages) settle(c echo.Context, err error) error {
	if err == nil || c.Response().Committed {
		return nil
	}
	if sweep.CodeOf(err) == sweep.NotFound || errors.Is(err, echo.ErrNotFound) {
		err = sweep.Errorf(sweep.NotFound, "there is nothing at this address, or it is somebody else’s")
	}
	status, detail, id := p.edge.Refused(c, err)
	page := problemPage{Code: sweep.CodeOf(err), Detail: sentence(detail), RequestID: id, Status: status}
	var e *sweep.Error
	if errors.As(err, &e) {
		page.Job, _ = e.Data["job_id"].(string)
	}
	return p.show(c, status, "problem", "Not done", page)
}

// Lost shows a browser that there is no such page.
func (p *Pages) Lost(c echo.Context, err error) error {
	p.dress(c)
	return p.settle(c, err)
}

// problemPage says what was refused, and what to do next.
type problemPage struct {
	Code      sweep.Code
	Detail    string
	RequestID string
	Status    int
	Job       string // that was there first
}

// Next is where to go on from a refusal: a word and a path.
func (p problemPage) Next() (next [2]string) {
	if p.Job != "" {
		return [2]string{"See that job", "/jobs/" + p.Job}
	}
	switch p.Code {
	case sweep.QuotaExceeded, sweep.FeatureNotInPlan, sweep.MailboxLimit, sweep.PeopleLimit:
		return [2]string{"Compare plans", "/billing"}
	case sweep.MailboxNeedsReconnect, sweep.WrongGoogleAccount:
		return [2]string{"Reconnect the mailbox", "/mailboxes"}
	case sweep.FactorRequired:
		return [2]string{"Set it up", factorPath}
	case sweep.NotFound:
		return [2]string{"Your mailboxes", "/mailboxes"}
	}
	return [2]string{"Back to your mailboxes", "/mailboxes"}
}

// Ours says whether the fault is ours, so that the request's id helps.
func (p problemPage) Ours() bool { return p.Status >= 500 }
