package httpapi_test

import (
	"context"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

// act is what only some plans can do: over HTTP, and by the use case that pages call too. Declared: the route refuses it before anything is read of
// the request; the others refuse only some requests, such as those that switch something on.
type act struct {
	operation, method, path, body string
	feature                       sweep.Feature
	declared                      bool
	use                           func(context.Context, *account.Service, sweep.Actor) error
}

var fromHere = account.Client{IP: netip.MustParseAddr("127.0.0.1")}

// All of them, written here once more.
var acts = []act{
	{"make-api-key", "POST", "/api/v1/api-keys", `{"name":"k","scopes":["read"],"password":"` + good + `"}`, sweep.APIKeys, true, func(ctx context.Context, s *account.Service, a sweep.Actor) error {
		_, err := s.MakeKey(ctx, a, account.KeyRequest{Name: "k", Scopes: []sweep.Scope{sweep.ScopeRead}, Password: good}, fromHere)
		return err
	}},
	{"rotate-api-key", "POST", "/api/v1/api-keys/key_00000000000000000000000000000000/rotate", `{"overlap":"0","password":"` + good + `"}`, sweep.APIKeys, true,
		func(ctx context.Context, s *account.Service, a sweep.Actor) error {
			_, err := s.RotateKey(ctx, a, sweep.ID{}, "0", good, "", fromHere)
			return err
		}},
	{"put-ip-allowlist", "PUT", "/api/v1/ip-allowlist", `{"networks":["127.0.0.0/8"]}`, sweep.IPAllowlist, false, func(ctx context.Context, s *account.Service, a sweep.Actor) error {
		_, err := s.PutAllowlist(ctx, a, account.Allowlist{Networks: []string{"127.0.0.0/8"}}, false, fromHere)
		return err
	}},
	{"put-demands", "PUT", "/api/v1/demands", `{"require_2fa":true}`, sweep.Enforce2FA, false, func(ctx context.Context, s *account.Service, a sweep.Actor) error {
		return s.Demand(ctx, a, account.Demands{Require2FA: true})
	}},
}

// checks are the functions that compare a feature with a plan. Of a key that is used every route asks it.
var checks = map[string]sweep.Feature{"mayMakeKeys": sweep.APIKeys, "authenticateKey": sweep.APIKeys, "PutAllowlist": sweep.IPAllowlist, "mayDemand": sweep.Enforce2FA}

// Every plan with every act: the route, its use case and the plan table give one answer.
func TestARouteAndItsUseCaseAskForTheSameFeature(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, tier := range sweep.Tiers() {
		signedIn, actor := r.onPlan(t, tier)
		for _, x := range acts {
			want := sweep.CodeOf(r.Plans[tier].Require(x.feature))
			a := r.call(t, x.method, x.path, signedIn, x.body)
			refused := a.StatusCode == 403 && a.object(t)["code"] == string(sweep.FeatureNotInPlan)
			require.Equal(t, want == sweep.FeatureNotInPlan, refused, "%s on %s: %s", x.operation, tier, a.body)
			if refused {
				require.Equal(t, string(x.feature), a.object(t)["feature"], x.operation)
			}
			used := sweep.CodeOf(x.use(t.Context(), r.Account, actor))
			require.Equal(t, refused, used == sweep.FeatureNotInPlan, "%s on %s: the use case says %q", x.operation, tier, used)
		}
	}
}

// onPlan is a new customer on a plan, without a trial, once the API knows it.
func (r *rig) onPlan(t *testing.T, tier sweep.Tier) (signedIn string, a sweep.Actor) {
	t.Helper()
	signedIn = r.member(t, string(tier)+"@example.com")
	a, err := r.Account.Authenticate(t.Context(), signedIn, fromHere)
	require.NoError(t, err)
	_, err = r.root.Exec(t.Context(), "UPDATE customers SET plan = $1, trial_ends_at = now(), plan_version = plan_version + 1 WHERE id = $2", tier, a.Customer.String())
	require.NoError(t, err)
	testkit.Eventually(t, patience, func() bool {
		plan, err := r.Account.Plan(t.Context(), a)
		return err == nil && plan.Tier == tier
	}, "the plan is known")
	return signedIn, a
}

// Every route of the document: those that declare a feature are the acts above, and the smallest plan is refused by no other. Who has no body to show is
// refused by a declaration all the same.
func TestNoOtherRouteAsksForAFeature(t *testing.T) {
	t.Parallel()
	r := newRig(t, func(r *rig) {
		p := r.Plans[sweep.Free]
		p.RequestsPerMinute = 100_000 // the walk is long
		r.Plans[sweep.Free] = p
	})
	r.onPlan(t, sweep.Free)
	seen := 0
	for path, methods := range parsedSpec(t).Paths {
		for method, op := range methods {
			i := slices.IndexFunc(acts, func(x act) bool { return x.operation == op.OperationID })
			declared := i >= 0 && acts[i].declared
			require.Equal(t, declared, op.Feature != "", op.OperationID)
			if declared {
				require.Equal(t, acts[i].feature, op.Feature, op.OperationID)
				seen++
			}
			if len(op.Security) == 0 {
				continue
			}
			filled := strings.NewReplacer("{id}", "job_00000000000000000000000000000000").Replace(path)
			body := map[bool]string{true: "{}"}[method == "post" || method == "put" || method == "patch"]
			a := r.call(t, strings.ToUpper(method), filled, r.signIn(t, "free@example.com"), body)
			refused := a.StatusCode == 403 && a.object(t)["code"] == string(sweep.FeatureNotInPlan)
			require.Equal(t, declared, refused, "%s: %s", op.OperationID, a.body)
		}
	}
	require.Equal(t, 2, seen)
	var asked, shipped []sweep.Feature
	for _, x := range acts {
		asked = append(asked, x.feature)
	}
	shipped = r.Plans.Shipped()
	slices.Sort(asked)
	slices.Sort(shipped)
	require.Equal(t, shipped, slices.Compact(asked), "what is sold as a feature is asked for somewhere, and nothing else")
}

// The functions of the use cases that ask a plan for a feature are those that the acts above go through: a new one needs its act here, and one that
// is gone is missed.
func TestEveryCheckOfAFeatureIsKnown(t *testing.T) {
	t.Parallel()
	found := map[string]sweep.Feature{}
	for _, name := range sources(t) {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		for _, d := range file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if word := required(n); word != "" {
					found[f.Name.Name] = featureNamed(t, word)
				}
				return true
			})
		}
	}
	require.Equal(t, checks, found)
	of := slices.Collect(maps.Values(found))
	for _, x := range acts {
		require.Contains(t, of, x.feature, x.operation)
	}
}

// sources are the files of the packages with use cases, and of the pages.
func sources(t *testing.T) (names []string) {
	for _, p := range []string{"account", "billing", "cleanup", "export", "report", "web"} {
		files, err := filepath.Glob(filepath.Join("..", p, "*.go"))
		require.NoError(t, err)
		require.NotEmpty(t, files, p)
		names = append(names, slices.DeleteFunc(files, func(f string) bool { return strings.HasSuffix(f, "_test.go") })...)
	}
	return names
}

// required is X of a call of Require(sweep.X); "" for anything else.
func required(n ast.Node) string {
	call, ok := n.(*ast.CallExpr)
	if !ok || len(call.Args) != 1 {
		return ""
	}
	f, ok := call.Fun.(*ast.SelectorExpr)
	if !ok || f.Sel.Name != "Require" {
		return ""
	}
	of, ok := call.Args[0].(*ast.SelectorExpr)
	if !ok {
		return "?" // a feature that is chosen while it runs cannot be told here
	}
	return of.Sel.Name
}

// featureNamed is the feature of a constant of package sweep.
func featureNamed(t *testing.T, constant string) sweep.Feature {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "sweep", "plan.go"), nil, 0)
	require.NoError(t, err)
	var value string
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && len(v.Names) == 1 && v.Names[0].Name == constant && len(v.Values) == 1 {
			if lit, ok := v.Values[0].(*ast.BasicLit); ok {
				value, err = strconv.Unquote(lit.Value)
			}
		}
		return true
	})
	require.NoError(t, err)
	require.NotEmpty(t, value, constant)
	return sweep.Feature(value)
}
