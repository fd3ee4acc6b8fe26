package httpapi_test

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/httpapi"
	"mailsweep/internal/sweep"
)

var update = flag.Bool("update", false, "write the golden files")

const golden = "testdata/openapi.json"

func TestSpecIsTheGoldenOne(t *testing.T) {
	t.Parallel()
	spec := httpapi.API{}.Spec()
	if *update {
		require.NoError(t, os.WriteFile(golden, spec, 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), string(spec), "the API changed: look at the change, then go test ./internal/httpapi -update")
}

// document is what the tests look at.
type document struct {
	OpenAPI    string
	Paths      map[string]map[string]described
	Components struct {
		Schemas map[string]map[string]any
	}
}

type described struct {
	OperationID string
	Role        sweep.Role    `json:"x-role"`
	Feature     sweep.Feature `json:"x-feature"`
	Security    []map[string][]string
	RequestBody *struct {
		Required bool
		Content  map[string]struct {
			Schema struct {
				Ref string `json:"$ref"`
			}
		}
	}
	Responses  map[string]response
	Parameters []struct{ Name, In, Description string }
}

type response struct{ Content, Headers map[string]any }

func parsedSpec(t *testing.T) (d document) {
	t.Helper()
	require.NoError(t, json.Unmarshal(httpapi.API{}.Spec(), &d))
	return d
}

func TestEveryErrorIsDocumentedAsAProblem(t *testing.T) {
	t.Parallel()
	for path, methods := range parsedSpec(t).Paths {
		for method, op := range methods {
			for status, answer := range op.Responses {
				if status < "400" {
					continue
				}
				require.Contains(t, answer.Content, "application/problem+json", "%s %s %s", method, path, status)
			}
			require.NotContains(t, op.Responses, "default", "%s %s", method, path)
		}
	}
}

func TestOnlyTheseOperationsAreOpen(t *testing.T) {
	t.Parallel()
	open := []string{"signup", "verify-email", "resend-verification", "login", "verify-second-factor", "forgot-password", "reset-password", "undo-email", "accept-invitation", "google-callback", "start-google", "google-sign-in-callback", "complete-google", "link-google", "list-plans", "health", "ready"}
	for path, methods := range parsedSpec(t).Paths {
		for method, op := range methods {
			if len(op.Security) == 0 {
				require.Contains(t, open, op.OperationID, "%s %s", method, path)
			}
		}
	}
}

func TestReferencesOfTheSpecLeadSomewhere(t *testing.T) {
	t.Parallel()
	d := parsedSpec(t)
	require.Equal(t, "3.1.0", d.OpenAPI)
	for _, found := range strings.Split(string(httpapi.API{}.Spec()), `"$ref": "#/components/schemas/`)[1:] {
		name, _, _ := strings.Cut(found, `"`)
		require.Contains(t, d.Components.Schemas, name)
	}
	require.Contains(t, d.Components.Schemas, "Criteria")
}

func TestEveryPostOfAPersonDocumentsItsIdempotencyKey(t *testing.T) {
	t.Parallel()
	for path, methods := range parsedSpec(t).Paths {
		op, ok := methods["post"]
		if !ok {
			continue
		}
		var names []string
		for _, p := range op.Parameters {
			names = append(names, p.Name)
		}
		require.Equal(t, len(op.Security) > 0, slices.Contains(names, "Idempotency-Key"), path)
		require.Equal(t, len(op.Security) > 0, slices.ContainsFunc(slices.Collect(maps.Values(op.Responses)), func(r response) bool { return r.Headers["Idempotent-Replayed"] != nil }), path)
	}
}

func TestEveryPathParameterIsDocumented(t *testing.T) {
	t.Parallel()
	for path, methods := range parsedSpec(t).Paths {
		for method, op := range methods {
			named := 0
			for _, p := range op.Parameters {
				if p.In == "path" {
					named++
				}
			}
			require.Equal(t, strings.Count(path, "{"), named, "%s %s", method, path)
		}
	}
}

func TestRequestsAreStrictAndAnswersMayGrow(t *testing.T) {
	t.Parallel()
	d := parsedSpec(t)
	for _, name := range []string{"Signup", "DryRun", "Execute", "ProtectBody", "Criteria"} {
		require.Equal(t, false, d.Components.Schemas[name]["additionalProperties"], name)
	}
	for _, name := range []string{"JobView", "Analysis", "UsageView"} {
		require.NotContains(t, d.Components.Schemas[name], "additionalProperties", name)
	}
}
