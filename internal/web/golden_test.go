package web

import (
	"flag"
	"fmt"
	"html/template"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
)

var update = flag.Bool("update", false, "write the golden files anew")

// examples has one page of each name.
var examples = map[string]any{
	"landing": landingPage{}, "pricing": pricingPage{}, "privacy": privacyPage{}, "security": securityPage{}, "terms": termsPage{},
	"demo": demoPage{}, "demo-clean": demoCleanPage{}, "demo-plan": demoPlanPage{},
	"signup": entering{}, "sent": entering{}, "verify": entering{}, "login": entering{}, "code": entering{}, "code-shown": handedOn{}, "link": entering{},
	"forgot": entering{}, "reset": entering{}, "confirm-email": entering{}, "undo-email": entering{}, "invitation": entering{},
	"mailboxes": mailboxesPage{}, "overview": overviewPage{}, "clean": cleanPage{}, "build": buildPage{}, "senders": sendersPage{}, "domains": groupsPage{}, "lists": groupsPage{}, "largest": largestPage{}, "job": jobPage{}, "plan": planPage{},
	"messages": messagesPage{}, "history": historyPage{}, "settings": settingsPage{}, "accounts": accountsPage{}, "account-code": accountCodePage{}, "notifications": notificationsPage{}, "twofactor": factorPage{}, "codes": codesPage{},
	"people": peoplePage{}, "person": personPage{}, "keys": keysPage{}, "key": keyPage{}, "key-shown": account.NewKey{}, "allowlist": allowlistPage{}, "audit": auditPage{},
	"support": supportPage{}, "deleted": account.Deleted{}, "billing": billingPage{}, "change": changePage{}, "problem": problemPage{},
}

// Each page is what it was when somebody last looked at it: with nothing to show, and with everything there can be. Whatever a text says, it
// stays a text: all of them, of strangers too, hold markup here.
func TestPagesAreAsTheyWereLookedAt(t *testing.T) {
	t.Parallel()
	require.ElementsMatch(t, names, slices.Collect(maps.Keys(examples)), "each page has an example")
	p := &Pages{sheets: sheets("build")}
	for _, name := range names {
		of := reflect.TypeOf(examples[name])
		full, empty := reflect.New(of).Elem(), reflect.New(of).Elem()
		fill(full, of.Name(), 0)
		start(empty)
		for variant, page := range map[string]any{"": full.Interface(), ".empty": empty.Interface()} {
			t.Run(name+variant, func(t *testing.T) {
				t.Parallel()
				p.lookedAt(t, name, "main", name+variant, view{Token: "token", Page: page})
			})
		}
	}
	at := time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	two := []account.SessionView{{ID: "ses_1", Device: "Firefox on Linux", SeenAt: at, Current: true}, {ID: "ses_2", Device: "Safari on iPhone", SeenAt: at}}
	p.lookedAt(t, "settings", "main", "settings.two", view{Token: "token", Page: settingsPage{Sessions: two, Lately: true}})
	p.lookedAt(t, "settings", "main", "settings.late", view{Token: "token", Page: settingsPage{Sessions: two}})
	p.lookedAt(t, "terms", "layout.html", "layout", view{Title: hostile("Title"), Nav: "demo", Page: termsPage{}})
	p.lookedAt(t, "terms", "layout.html", "layout.signed", view{Title: hostile("Title"), Nav: "history", Token: "token", Reload: 5, Page: termsPage{}})
}

func (p *Pages) lookedAt(t *testing.T, name, part, file string, v view) {
	t.Helper()
	got, err := p.render(name, part, v)
	require.NoError(t, err)
	require.NotContains(t, string(got), "<i>", "a text became markup")
	require.NotContains(t, string(got), "ZgotmplZ", "a text stands where none may")
	golden(t, filepath.Join("testdata", "pages", file+".html"), steady(got))
}

var passing = regexp.MustCompile(`[\d,]+ (second|minute|hour|day)s? ago`)

// steady is a page without what passes with time, and without its style.
func steady(page []byte) string {
	return styles.ReplaceAllString(passing.ReplaceAllString(string(page), "some time ago"), "<style>…</style>")
}

func golden(t *testing.T, file, got string) {
	t.Helper()
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err, "go test ./internal/web -run PagesAre -update writes it; look at it first")
	require.Equal(t, string(want), got)
}

// hostile is a text that breaks out of wherever it is not escaped.
func hostile(what string) string { return what + ` "'><i>` }

// proper are values of the types that have few.
var proper = map[reflect.Type]any{
	reflect.TypeFor[time.Time](): time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC), reflect.TypeFor[time.Duration](): time.Hour, reflect.TypeFor[netip.Prefix](): netip.MustParsePrefix("203.0.113.0/24"),
	reflect.TypeFor[sweep.Tier](): sweep.Pro, reflect.TypeFor[sweep.Category](): sweep.Promotions, reflect.TypeFor[sweep.Role](): sweep.Operator,
	reflect.TypeFor[sweep.JobState](): sweep.Succeeded, reflect.TypeFor[sweep.JobKind](): sweep.Execute, reflect.TypeFor[sweep.Criteria](): sweep.Criteria{Op: sweep.BySubject, Text: hostile("Subject")}, reflect.TypeFor[sweep.Action](): sweep.Trash,
	reflect.TypeFor[[]sweep.TrendPoint](): []sweep.TrendPoint{{At: time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC), Messages: 4000, Unread: 3000, Bytes: 5 << 30, Score: 40}, {At: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC), Messages: 1000, Unread: 10, Bytes: 1 << 30, Score: 90}},
	reflect.TypeFor[*block]():             rootOf(sweep.Criteria{Op: sweep.BySubject, Text: hostile("Subject")}),
	reflect.TypeFor[sweep.Code]():         sweep.QuotaExceeded, reflect.TypeFor[template.HTML](): template.HTML(""),
}

// start gives a page what it never lacks.
func start(v reflect.Value) {
	if good, ok := proper[v.Type()]; ok {
		v.Set(reflect.ValueOf(good))
	} else if v.Kind() == reflect.Struct {
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				start(v.Field(i))
			}
		}
	}
}

// fill gives everything a value: texts hold markup, lists one element, numbers their place. Fields whose values are few in a text of their own
// get one of those.
func fill(v reflect.Value, name string, depth int) {
	if good, ok := proper[v.Type()]; ok {
		v.Set(reflect.ValueOf(good))
		return
	}
	if depth > 8 {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(hostile(name))
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64, reflect.Int32:
		v.SetInt(int64(1000 + len(name)))
	case reflect.Uint64, reflect.Uint32, reflect.Uint16:
		v.SetUint(uint64(1000 + len(name)))
	case reflect.Float64:
		v.SetFloat(12.5)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), name, depth+1)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), strings.TrimSuffix(name, "s"), depth+1)
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), fmt.Sprint(name, i), depth+1)
		}
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		fill(key, "key", depth+1)
		fill(value, name, depth+1)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i), v.Type().Field(i).Name, depth+1)
			}
		}
	}
}
