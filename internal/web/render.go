package web

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"html/template"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"mailsweep/internal/sweep"
)

// view is what every page is made from; Page is a struct of the page's own.
type view struct {
	Title  string
	Nav    string // the entry of the navigation that is lit
	Token  string // of the session's forms; "": nobody is signed in
	Reload int    // seconds after which a browser without scripts asks again; 0: never
	Page   any
}

// Signed says whether somebody is signed in.
func (v view) Signed() bool { return v.Token != "" }

// Moves says whether the page loads the scripts that move parts of it.
func (v view) Moves() bool {
	_, form := v.Page.(demoCleanPage)
	return v.Signed() || form
}

// names of the pages; each defines "main", and those that move define fragments beside it.
var names = []string{"landing", "pricing", "privacy", "security", "terms", "demo", "demo-clean", "demo-plan", "signup", "sent", "verify", "login", "code", "code-shown", "link", "forgot", "reset", "confirm-email", "undo-email", "mailboxes", "overview", "clean", "build", "senders", "domains", "lists", "largest", "job", "plan", "messages", "history", "settings", "accounts", "account-code", "notifications", "twofactor", "codes", "people", "person", "keys", "key", "key-shown", "allowlist", "audit", "invitation", "support", "deleted", "billing", "change", "problem"}

// sheets are the pages by name. Who is not signed in has mostly come for the first time: the style comes within their page, so that nothing else
// is waited for. The others' browsers keep it.
func sheets(build string) map[string]*template.Template {
	list := map[string]*template.Template{}
	for _, name := range names {
		page := template.New("layout.html").Funcs(words()).Funcs(template.FuncMap{"build": func() string { return build }})
		template.Must(page.ParseFS(static, "static/style.css"))
		list[name] = template.Must(page.ParseFS(templates, "pages/layout.html", "pages/parts.html", "pages/account.html", "pages/picture.html", "pages/"+name+".html"))
	}
	return list
}

// gone marks a request whose session it has ended.
const gone = "session gone"

// show renders a whole page; one that cannot be rendered is not sent by halves.
func (p *Pages) show(c echo.Context, status int, name, title string, page any) error {
	v := view{Title: title, Nav: nav(c.Path()), Page: page}
	if c.Get(gone) == nil {
		v.Token = p.edge.Token(c)
	}
	if r, ok := page.(reloading); ok {
		v.Reload = r.reload()
	}
	b, err := p.render(name, "layout.html", v)
	if err != nil {
		return err
	}
	return c.HTMLBlob(status, b)
}

// fragmentOf is what a part of a page is made from.
func fragmentOf(token string, page any) view { return view{Token: token, Page: page} }

// fragment renders a part of a page for what moves in it.
func (p *Pages) fragment(c echo.Context, name, part string, page any) error {
	b, err := p.render(name, part, fragmentOf(p.edge.Token(c), page))
	if err != nil {
		return err
	}
	return c.HTMLBlob(http.StatusOK, b)
}

func (p *Pages) render(name, part string, v view) ([]byte, error) {
	var b bytes.Buffer
	if err := p.sheets[name].ExecuteTemplate(&b, part, v); err != nil {
		return nil, fmt.Errorf("render %s of %s: %w", part, name, err)
	}
	return b.Bytes(), nil
}

// reloading is a page that changes by itself.
type reloading interface{ reload() int }

func nav(path string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(path, "/"), "/")
	switch first {
	case "jobs", "plans", "history":
		return "history"
	case "billing":
		return "settings"
	}
	return first
}

// words are what templates write values with.
func words() template.FuncMap {
	return template.FuncMap{
		"count": grouped, "size": size, "day": day, "date": func(t time.Time) string { return t.UTC().Format("2 Jan 2006") }, "instant": instant, "ago": ago, "percent": percent, "plural": plural[int],
		"category": categoryName, "age": ageName, "reason": reasonName, "grade": gradeName, "why": gradeWhy, "whyshort": gradeShort, "verb": verb, "price": func(n any) string { return priced(n) }, "cents": cents, "yearly": func(monthly int) string { return price(10 * monthly) }, "feature": sweep.Feature.Name,
		"state": stateName, "span": span, "json": criteriaJSON, "says": describe, "bar": bar, "sentence": sentence, "many": many[int],
		"title": titled, "categories": sweep.Categories, "ages": ageKeys, "arc": arc, "open": openInGmail,
		"order": inOrder, "calmFirst": calmFirst, "settings": settingsPages, "roles": roles, "keystate": keyState, "act": actName, "mark": mark, "band": band, "trend": trendOf, "space": spaceOf, "pieces": pieces,
	}
}

// pieces are the parts of an address or a list's id before each of which a line may break.
func pieces(address string) (parts []string) {
	for address != "" {
		end := strings.IndexAny(address[1:], "@.-") + 1
		if end == 0 {
			end = len(address)
		}
		parts, address = append(parts, address[:end]), address[end:]
	}
	return parts
}

// titled begins with a capital.
func titled(word any) string {
	s := fmt.Sprint(word)
	return strings.ToUpper(s[:min(1, len(s))]) + s[min(1, len(s)):]
}

// whole is what is counted.
type whole interface{ int | int64 }

// count groups digits by thousands.
func count[N whole](n N) string { return grouped(n) }

func grouped(n any) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// size is bytes as people read them, in powers of ten.
func size(n int64) string {
	for _, unit := range []struct {
		at   float64
		name string
	}{{1e12, "TB"}, {1e9, "GB"}, {1e6, "MB"}, {1e3, "kB"}} {
		if v := float64(n) / unit.at; v >= 1 {
			if v < 10 {
				return fmt.Sprintf("%.1f %s", v, unit.name)
			}
			return fmt.Sprintf("%.0f %s", v, unit.name)
		}
	}
	return fmt.Sprintf("%d B", n)
}

func day(t time.Time) string     { return t.UTC().Format("2 January 2006") }
func instant(t time.Time) string { return t.UTC().Format("2 Jan 2006, 15:04 UTC") }

// ago is a time's distance from now in one unit.
func ago(t time.Time) string {
	d := time.Since(t)
	switch {
	case d < time.Minute:
		return "just now"
	case d < time.Hour:
		return plural(int(d.Minutes()), "minute") + " ago"
	case d < 48*time.Hour:
		return plural(int(d.Hours()), "hour") + " ago"
	}
	return plural(int(d.Hours()/24), "day") + " ago"
}

// span is a length of time in its largest unit.
func span(seconds int) string {
	switch {
	case seconds < 90:
		return plural(max(1, seconds), "second")
	case seconds < 90*60:
		return plural((seconds+30)/60, "minute")
	}
	return plural((seconds+1800)/3600, "hour")
}

func plural[N whole](n N, word string) string { return many(n, word, word+"s") }

func many[N whole](n N, one, more string) string {
	if n == 1 {
		return count(n) + " " + one
	}
	return count(n) + " " + more
}

// percent is a share as whole percents; what is there is never nought, what is not all never a hundred.
func percent(part, whole int) int {
	if whole <= 0 {
		return 0
	}
	p := int(math.Round(100 * float64(part) / float64(whole)))
	if part > 0 {
		p = max(p, 1)
	}
	if part < whole {
		p = min(p, 99)
	}
	return p
}

// bar is the length of a bar of a hundred.
func bar(part, whole int) string {
	if whole <= 0 {
		return "0"
	}
	return strconv.FormatFloat(100*float64(part)/float64(whole), 'f', 2, 64)
}

// sentence begins with a capital and ends with a stop.
func sentence(s string) string {
	s = strings.TrimSpace(s)
	if s == "" {
		return s
	}
	s = strings.ToUpper(s[:1]) + s[1:]
	if !strings.ContainsAny(s[len(s)-1:], ".!?") {
		s += "."
	}
	return s
}

// cents is a sum with its sign, to the cent.
func cents(n int64) string {
	if n < 0 {
		return "−" + cents(-n)
	}
	return fmt.Sprintf("$%d.%02d", n/100, n%100)
}

// priced is a price of the plans or of Stripe, which count in different whole numbers.
func priced(n any) string {
	if wide, ok := n.(int64); ok {
		return price(wide)
	}
	narrow, _ := n.(int)
	return price(narrow)
}

func price[N whole](cents N) string {
	if cents%100 == 0 {
		return fmt.Sprintf("$%d", cents/100)
	}
	return fmt.Sprintf("$%d.%02d", cents/100, cents%100)
}

func criteriaJSON(c sweep.Criteria) (string, error) {
	b, err := c.MarshalJSON()
	return string(b), err
}

// mark names criteria, the same each time: what moves around a form leaves the form where it is.
func mark(c sweep.Criteria) (string, error) {
	b, err := c.MarshalJSON()
	sum := sha256.Sum256(b)
	return "c" + hex.EncodeToString(sum[:8]), err
}

func ageKeys() (keys []string) {
	for _, a := range sweep.Ages() {
		keys = append(keys, a.Key)
	}
	return keys
}

// arc is the dashes of a circle of radius 40 that show a score of a hundred.
func arc(score int) string {
	round := 2 * math.Pi * 40
	return fmt.Sprintf("%.1f %.1f", round*float64(score)/100, round)
}

// openInGmail is a message's address in Gmail's own pages, in the right account.
func openInGmail(email, message string) string {
	return "https://mail.google.com/mail/?authuser=" + url.QueryEscape(email) + "#all/" + url.PathEscape(message)
}

// tally is a named count.
type tally struct {
	Name  string
	Count int
}

// inOrder lists counts by reason, the most first.
func inOrder(m map[sweep.Reason]int) (list []tally) {
	for r, n := range m {
		if n > 0 {
			list = append(list, tally{reasonName(r), n})
		}
	}
	slices.SortFunc(list, func(a, b tally) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Name, b.Name)) })
	return list
}

// calmFirst lists suggestions as a person should meet them: those of one kind of mail by size, then the presets, which take several kinds at once,
// from the most careful to the boldest.
func calmFirst(list []sweep.Suggestion) []sweep.Suggestion {
	boldness := func(s sweep.Suggestion) int {
		return 1 + slices.IndexFunc([]string{"Conservative", "Moderate", "Aggressive"}, func(p string) bool { return strings.HasPrefix(s.Title, p) })
	}
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(a, b sweep.Suggestion) int { return cmp.Compare(boldness(a), boldness(b)) })
	return list
}
