// Package arch is the law of who may import whom: prose rots, tests do not.
package arch

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// may lists, for every package, the packages of ours that it may import. A package that is not here fails the test.
var may = map[string][]string{
	"cmd/api":       {"internal/app", "internal/config"},
	"cmd/worker":    {"internal/app", "internal/config"},
	"cmd/scheduler": {"internal/app", "internal/config"},
	"migrations":    {},

	"internal/sweep":     {},
	"internal/mailindex": {"internal/sweep"},
	"internal/demo":      {"internal/sweep", "internal/mailindex"},

	"internal/store":       {"internal/sweep", "internal/secret", "migrations"},
	"internal/gmail":       {"internal/sweep", "internal/mailindex"},
	"internal/gmail/probe": {},
	"internal/mail":        {"internal/sweep"},
	"internal/outbound":    {"internal/sweep"},
	"internal/secret":      {"internal/sweep"},
	"internal/ratelimit":   {"internal/sweep"},
	"internal/sheet":       {},
	"internal/queue":       {"internal/sweep", "internal/store", "internal/telemetry"},

	"internal/account":  {"internal/sweep", "internal/store", "internal/secret", "internal/gmail", "internal/mail", "internal/ratelimit", "internal/telemetry"},
	"internal/cleanup":  {"internal/sweep", "internal/mailindex", "internal/store", "internal/secret", "internal/gmail", "internal/mail", "internal/telemetry"},
	"internal/export":   {"internal/sweep", "internal/store", "internal/secret", "internal/mail", "internal/sheet"},
	"internal/rollover": {"internal/sweep", "internal/store", "internal/mail"},
	"internal/report":   {"internal/sweep", "internal/store", "internal/sheet"},
	"internal/ops":      {"internal/sweep", "internal/store"},
	"internal/billing":  {"internal/sweep", "internal/store", "internal/mail"},

	"internal/httpapi": {"internal/sweep", "internal/account", "internal/billing", "internal/cleanup", "internal/report", "internal/ratelimit", "internal/secret", "internal/telemetry"},

	"internal/web": {"internal/sweep", "internal/demo", "internal/account", "internal/billing", "internal/cleanup", "internal/report", "internal/secret"},

	"internal/opscli": {"internal/sweep", "internal/ops"},
	"internal/opsweb": {"internal/sweep", "internal/ops"},

	"internal/app": {"internal/sweep", "internal/account", "internal/billing", "internal/cleanup", "internal/export", "internal/rollover", "internal/report", "internal/ops", "internal/httpapi", "internal/opsweb", "internal/web", "internal/opscli", "internal/queue",
		"internal/store", "internal/gmail", "internal/gmail/probe", "internal/mail", "internal/secret", "internal/ratelimit", "internal/config", "internal/telemetry"},
	"internal/config":    {},
	"internal/telemetry": {},

	"internal/sim/google":       {"internal/sim/google/box", "internal/sim/google/mbox", "internal/sim/google/query"},
	"internal/sim/google/box":   {"internal/sim/google/mbox", "internal/sim/google/query"},
	"internal/sim/google/mbox":  {},
	"internal/sim/google/query": {},
	"internal/sim/smtp":         {},
	"internal/sim/kms":          {},
	"internal/sim/stripe":       {},

	"internal/dev":          {"internal/app", "internal/config", "internal/sweep", "internal/dev/gotest", "internal/dev/local", "internal/dev/stack", "internal/dev/customer", "internal/dev/attack", "internal/dev/bench", "internal/dev/emulate", "internal/dev/trust", "internal/sim/google"},
	"internal/dev/stack":    {"internal/app", "internal/dev/local", "internal/sim/google", "internal/sim/smtp", "internal/sim/stripe"},
	"internal/dev/customer": {"internal/sim/smtp"},
	"internal/dev/bench":    {"internal/dev/customer", "internal/dev/local", "internal/dev/stack", "internal/queue", "internal/secret", "internal/sim/google", "internal/sim/stripe", "internal/store", "internal/sweep"},
	"internal/dev/emulate":  {"internal/dev/customer", "internal/dev/local", "internal/dev/stack", "internal/sim/google"},
	"internal/dev/trust":    {"internal/dev/gotest"},
	"internal/dev/attack":   {"internal/dev/customer", "internal/dev/local", "internal/dev/stack", "internal/sim/google"},
	"internal/dev/local":    {},
	"internal/dev/gotest":   {"internal/dev/local"},
	"internal/testkit":      {"internal/dev/local"},
	"internal/arch":         {},
	"internal/e2e":          {},
	"internal/faults":       {"internal/dev/customer", "internal/dev/local", "internal/dev/stack", "internal/faults/wire", "internal/sim/google", "internal/sim/smtp", "internal/sim/stripe"},
	"internal/faults/wire":  {},
}

// owners lists the outside modules that only some packages may import. testkit stands for test support.
var owners = map[string][]string{
	"gorm.io/":                            {"internal/store"},
	"github.com/jackc/pgx":                {"internal/store", "internal/testkit", "internal/dev/bench", "internal/faults"},
	"github.com/pressly/goose":            {"internal/store"},
	"github.com/hibiken/":                 {"internal/queue"},
	"github.com/redis/go-redis":           {"internal/queue", "internal/ratelimit", "internal/app", "internal/testkit", "internal/faults"},
	"github.com/Shopify/toxiproxy":        {"internal/faults"},
	"google.golang.org/api":               {"internal/gmail", "internal/secret"},
	"golang.org/x/oauth2":                 {"internal/gmail"},
	"github.com/chromedp/":                {"internal/e2e"},
	"github.com/stripe/":                  {"internal/billing"},
	"github.com/golang-jwt/":              {"internal/account", "internal/gmail"},
	"github.com/labstack/echo":            {"internal/httpapi", "internal/web", "internal/app"},
	"github.com/danielgtaylor/huma":       {"internal/httpapi"},
	"github.com/getkin/":                  {"internal/httpapi"},
	"github.com/swaggest/":                {"internal/httpapi"},
	"github.com/tink-crypto/":             {"internal/secret"},
	"golang.org/x/crypto/bcrypt":          {"internal/secret", "internal/app"},
	"github.com/boombuler/":               {"internal/secret"},
	"github.com/ccojocar/zxcvbn-go":       {"internal/secret"},
	"github.com/wneessen/go-mail":         {"internal/mail"},
	"github.com/RoaringBitmap/":           {"internal/mailindex"},
	"github.com/emersion/go-smtp":         {"internal/sim/smtp"},
	"github.com/klauspost/compress":       {"internal/sim/google", "internal/gmail"},
	"go.yaml.in/yaml":                     {"internal/dev"},
	"github.com/prometheus/client_golang": {"internal/app", "internal/telemetry", "internal/httpapi", "internal/queue"},
	"github.com/lmittmann/tint":           {"internal/telemetry"},
	"go.opentelemetry.io/":                {"internal/telemetry", "internal/testkit"},
	"github.com/go-logr/":                 {"internal/telemetry"},
	"github.com/caarlos0/env":             {"internal/config"},
	"github.com/joho/godotenv":            {"internal/config"},
}

// pure is what the business may use of the standard library: nothing that waits, reads or writes.
var pure = []string{"bytes", "cmp", "encoding/binary", "encoding/hex", "encoding/json", "errors", "fmt", "io", "maps", "math", "net/mail", "net/netip", "slices", "sort", "strconv",
	"strings", "time", "unicode", "unicode/utf8"}

// file is one Go file's imports.
type file struct {
	pkg, name string
	imports   []string
}

func files(t *testing.T) (list []file) {
	t.Helper()
	root := filepath.Join("..", "..")
	for _, top := range []string{"cmd", "internal", "migrations"} {
		err := filepath.WalkDir(filepath.Join(root, top), func(name string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if d.IsDir() && (d.Name() == "tools" || d.Name() == "testdata") {
				return filepath.SkipDir // tools are modules of their own
			}
			if !strings.HasSuffix(name, ".go") {
				return nil
			}
			parsed, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ImportsOnly)
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(root, name)
			if err != nil {
				return err
			}
			f := file{pkg: path.Dir(filepath.ToSlash(rel)), name: filepath.ToSlash(rel)}
			for _, i := range parsed.Imports {
				p, err := strconv.Unquote(i.Path.Value)
				if err != nil {
					return err
				}
				f.imports = append(f.imports, p)
			}
			list = append(list, f)
			return nil
		})
		require.NoError(t, err)
	}
	require.Greater(t, len(list), 50, "the walk found the tree")
	return list
}

func TestEveryPackageIsListed(t *testing.T) {
	t.Parallel()
	for _, f := range files(t) {
		_, listed := may[f.pkg]
		require.True(t, listed, "%s: package %s is not in the table of arrows", f.name, f.pkg)
	}
}

func TestArrowsPointInwards(t *testing.T) {
	t.Parallel()
	for _, f := range files(t) {
		if strings.HasSuffix(f.name, "_test.go") {
			continue
		}
		for _, i := range f.imports {
			ours, is := strings.CutPrefix(i, "mailsweep/")
			if is && !slices.Contains(may[f.pkg], ours) {
				t.Errorf("%s may not import %s", f.name, ours)
			}
		}
	}
}

func TestProductionCodeImportsNoTestSupport(t *testing.T) {
	t.Parallel()
	for _, f := range files(t) {
		if strings.HasSuffix(f.name, "_test.go") || strings.HasPrefix(f.pkg, "internal/dev") || strings.HasPrefix(f.pkg, "internal/sim") || strings.HasPrefix(f.pkg, "internal/faults") || f.pkg == "internal/testkit" {
			continue
		}
		for _, i := range f.imports {
			if strings.Contains(i, "mailsweep/internal/sim") || strings.Contains(i, "testkit") || strings.Contains(i, "testify") || i == "testing" {
				t.Errorf("%s may not import %s", f.name, i)
			}
		}
	}
}

func TestOutsideModulesHaveOneOwner(t *testing.T) {
	t.Parallel()
	for _, f := range files(t) {
		if strings.HasSuffix(f.name, "_test.go") {
			continue
		}
		for _, i := range f.imports {
			for module, by := range owners {
				if strings.HasPrefix(i, module) && !slices.Contains(by, f.pkg) {
					t.Errorf("%s may not import %s: it belongs to %s", f.name, i, strings.Join(by, ", "))
				}
			}
		}
	}
}

func TestTheBusinessIsPure(t *testing.T) {
	t.Parallel()
	for _, f := range files(t) {
		if f.pkg != "internal/sweep" || strings.HasSuffix(f.name, "_test.go") {
			continue
		}
		for _, i := range f.imports {
			if !slices.Contains(pure, i) {
				t.Errorf("%s may not import %s", f.name, i)
			}
		}
	}
}
