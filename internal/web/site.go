package web

import (
	"net/http"
	"slices"

	"github.com/labstack/echo/v4"

	"mailsweep/internal/sweep"
)

func (p *Pages) siteRoutes(e *echo.Echo) {
	e.GET("/", p.open(p.landing))
	e.GET("/pricing", p.open(p.pricing))
	e.GET("/privacy", p.open(p.privacy))
	e.GET("/security", p.open(func(c echo.Context) error {
		return p.show(c, http.StatusOK, "security", "Security", securityPage{p.Contact})
	}))
	e.GET("/terms", p.open(func(c echo.Context) error { return p.show(c, http.StatusOK, "terms", "Terms", termsPage{}) }))
}

// figure is a measured value beside what it means. Row is the row of BENCH.md that it stands in.
type figure struct{ Value, Text, Row string }

// figures are what we can prove to a visitor. Gmail was simulated in these measurements, by its published quota.
func figures() []figure {
	return []figure{
		{"0.6 s", "from connecting a mailbox of 100,000 messages to its first exact counts", "first paint: counts of a mailbox never seen, 100k messages"},
		{"32.7 s", "to all of its messages by category, age and size; not one number differed from the truth", "full facet report, 100k messages"},
		{"363x", "less of Google’s quota for a cleanup than moving its messages one by one", "execute 55053 messages"},
		{"15.8 s", "until a cleanup whose server was killed goes on, without a message lost or charged twice", "execute resumed after kill -9 of its worker"},
	}
}

// securityPage says how mail is kept safe, and where to report what is not.
type securityPage struct{ Contact string }

// termsPage is a placeholder: the operator's lawyers write it.
type termsPage struct{}

// privacyPage is what is kept, by topic, and how long a deleted account can come back.
type privacyPage struct {
	Topics []topic
	Grace  string
}

type topic struct {
	Name string
	Kept []sweep.Kept
}

func (p *Pages) privacy(c echo.Context) error {
	page := privacyPage{Grace: plural(int(p.Grace.Hours()/24), "day")}
	for _, k := range p.Kept {
		if n := len(page.Topics); n == 0 || page.Topics[n-1].Name != k.Topic {
			page.Topics = append(page.Topics, topic{Name: k.Topic})
		}
		last := &page.Topics[len(page.Topics)-1]
		last.Kept = append(last.Kept, k)
	}
	return p.show(c, http.StatusOK, "privacy", "What we keep, and for how long", page)
}

func (p *Pages) landing(c echo.Context) error {
	return p.show(c, http.StatusOK, "landing", "Clean up Gmail and be able to undo it", landingPage{Trial: p.Plans[sweep.Basic].Emails, Free: p.Plans[sweep.Free].Emails, Figures: figures()})
}

// landingPage names figures of the plans, so that they are never other than what applies.
type landingPage struct {
	Trial, Free int
	Figures     []figure
}

// pricingPage is the plan table, features that can be used already only.
type pricingPage struct {
	Plans []sweep.Plan
	Trial int // emails of the trial
}

func (p *Pages) pricing(c echo.Context) error {
	return p.show(c, http.StatusOK, "pricing", "Plans and prices", pricingPage{Plans: p.sold(), Trial: p.Plans[sweep.Basic].Emails})
}

// sold are the plans with the features that can be used already.
func (p *Pages) sold() (plans []sweep.Plan) {
	for _, tier := range sweep.Tiers() {
		plan := p.Plans[tier]
		plan.Features = slices.DeleteFunc(slices.Clone(plan.Features), func(f sweep.Feature) bool { return !slices.Contains(p.Features, f) })
		plans = append(plans, plan)
	}
	return plans
}
