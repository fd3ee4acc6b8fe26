package httpapi_test

import (
	"crypto/sha256"
	"encoding/base64"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDocsRunUnderAStrictPolicy(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.call(t, "GET", "/api/docs", "", "")
	require.Equal(t, 200, a.StatusCode)
	policy := a.Header.Get("Content-Security-Policy")
	scripts := regexp.MustCompile(`script-src ([^;]*);`).FindStringSubmatch(policy)[1]
	require.NotContains(t, scripts, "unsafe")
	require.Contains(t, policy, "default-src 'none'")
	inline := regexp.MustCompile(`(?s)<script>(.*?)</script>`).FindAllSubmatch(a.body, -1)
	require.Len(t, inline, 2)
	for _, s := range inline {
		sum := sha256.Sum256(s[1])
		require.Contains(t, scripts, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'")
	}
	require.NotRegexp(t, `(?:src|href)="(?:https?:)?//`, string(a.body), "everything comes from us")
	for _, found := range regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(string(a.body), -1) {
		asset := r.call(t, "GET", found[1], "", "")
		require.Equal(t, 200, asset.StatusCode, found[1])
		require.NotEmpty(t, asset.body)
	}
	require.Contains(t, string(a.body), "/api/openapi.json")
}

func TestServedSpecIsTheSpec(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	a := r.call(t, "GET", "/api/openapi.json", "", "")
	require.Equal(t, string(r.Spec()), string(a.body))
	require.True(t, strings.HasPrefix(a.Header.Get("Content-Type"), "application/json"))
}

func TestEveryProblemTypeHasAPage(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	codes := parsedSpec(t).Components.Schemas["Problem"]["properties"].(map[string]any)["code"].(map[string]any)["enum"].([]any)
	for _, code := range codes {
		a := r.call(t, "GET", "/problems/"+code.(string), "", "")
		require.Equal(t, 200, a.StatusCode)
		require.Contains(t, string(a.body), code)
	}
}
