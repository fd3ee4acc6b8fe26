package web

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// PWD-2, PWD-6: a password is masked, may be pasted and filled in by whoever keeps it, and is never cut: a browser cuts what is pasted at
// maxlength without a word.
func TestAPasswordIsTakenAsItIsPasted(t *testing.T) {
	t.Parallel()
	files, err := fs.Glob(templates, "pages/*.html")
	require.NoError(t, err)
	input, handler := regexp.MustCompile(`<input [^>]*>`), regexp.MustCompile(`\son[a-z]+=`)
	fields := 0
	for _, file := range files {
		text, err := fs.ReadFile(templates, file)
		require.NoError(t, err)
		require.NotRegexp(t, handler, string(text), "%s: a script could keep people from pasting", file)
		for _, field := range input.FindAllString(string(text), -1) {
			if !strings.Contains(field, "password") || strings.Contains(field, `type="hidden"`) {
				continue
			}
			fields++
			require.Contains(t, field, `type="password"`, file)
			require.Regexp(t, `autocomplete="(current|new)-password"`, field, file)
			require.NotContains(t, field, "maxlength", file)
		}
	}
	require.Greater(t, fields, 6)
}

// HDR-1: whatever strangers wrote, a page says it as text: templates escape by where a value stands, and no value is told to them as safe.
func TestNothingGoesIntoAPageUnescaped(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	safe := regexp.MustCompile(`template\.(HTML|HTMLAttr|JS|JSStr|CSS|URL|Srcset)\b|"text/template"|fmt\.Fprintf?\(c\.Response|c\.HTML\(`)
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		require.NotRegexp(t, safe, string(text), file)
	}
}

// SES-6: who is signed in can sign out on every page, in its navigation.
func TestEveryPageOfWhoIsSignedInLeadsOut(t *testing.T) {
	t.Parallel()
	navigation := regexp.MustCompile(`(?s)<nav aria-label="Main">.*</nav>`)
	for name, sheet := range sheets("test") {
		bare, err := sheet.Clone()
		require.NoError(t, err)
		_, err = bare.Parse(`{{define "main"}}a page{{end}}`) // what is in the page is not asked here
		require.NoError(t, err)
		for token, out := range map[string]bool{"a token": true, "": false} {
			var b bytes.Buffer
			require.NoError(t, bare.ExecuteTemplate(&b, "layout.html", view{Title: name, Token: token}), name)
			way := regexp.MustCompile(`<form[^>]* method="post" action="/logout"><input type="hidden" name="csrf" value="a token"><button>Sign out</button></form>`)
			require.Equal(t, out, way.MatchString(navigation.FindString(b.String())), name)
		}
	}
}

// HDR-1: what stands in a visitor's page as style is what the policy allows, on every page; who is signed in gets none in theirs.
func TestThePolicyAllowsTheStyleThatIsInAPage(t *testing.T) {
	t.Parallel()
	policy := (&Pages{sheets: sheets("test")}).allows()
	require.NotContains(t, policy, "unsafe")
	for name, sheet := range sheets("test") {
		bare, err := sheet.Clone()
		require.NoError(t, err)
		_, err = bare.Parse(`{{define "main"}}a page{{end}}`)
		require.NoError(t, err)
		for token, inline := range map[string]int{"a token": 0, "": 1} {
			var b bytes.Buffer
			require.NoError(t, bare.ExecuteTemplate(&b, "layout.html", view{Title: name, Token: token}), name)
			found := styles.FindAllSubmatch(b.Bytes(), -1)
			require.Len(t, found, inline, name)
			for _, style := range found {
				require.Contains(t, string(style[1]), "prefers-color-scheme: dark")
				sum := sha256.Sum256(style[1])
				require.Contains(t, policy, "'sha256-"+base64.StdEncoding.EncodeToString(sum[:])+"'", name)
			}
		}
	}
}
