package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// served lists the files that are compiled into the three servers: what their packages import of ours, and what that imports.
func served(t *testing.T) (list []file) {
	t.Helper()
	all, linked := files(t), []string{"cmd/api", "cmd/worker", "cmd/scheduler"}
	for i := 0; i < len(linked); i++ {
		for _, f := range all {
			if f.pkg != linked[i] || strings.HasSuffix(f.name, "_test.go") {
				continue
			}
			list = append(list, f)
			for _, imported := range f.imports {
				if ours, is := strings.CutPrefix(imported, "mailsweep/"); is && !slices.Contains(linked, ours) {
					linked = append(linked, ours)
				}
			}
		}
	}
	require.Contains(t, linked, "internal/httpapi")
	require.NotContains(t, linked, "internal/dev/attack")
	return list
}

// SRV-5: what a stranger could try to make the servers do, they have no means for.
func TestTheServersLackWhatTheyNeedNot(t *testing.T) {
	t.Parallel()
	never := []string{"os/exec", "plugin", "encoding/xml", "mime/multipart", "golang.org/x/net/websocket", "github.com/gorilla/websocket", "github.com/coder/websocket", "nhooyr.io/websocket",
		"github.com/labstack/echo/v4/middleware"} // has a proxy with a known hole
	// they open files that the settings name
	withFiles := []string{"cmd/api", "cmd/worker", "cmd/scheduler", "internal/app", "internal/config", "internal/secret", "internal/telemetry"}
	calls := map[string]string{"http.Dir": "serves a folder", "http.FileServer": "serves a folder", "os.DirFS": "serves a folder", "os.StartProcess": "starts a program", "syscall.Exec": "starts a program",
		"syscall.ForkExec": "starts a program", ".FormFile": "takes a file", ".MultipartForm": "takes a file", ".MultipartReader": "takes a file", ".ParseMultipartForm": "takes a file",
		".Static": "serves a folder", ".StaticFS": "serves a folder", ".JSONP": "runs in pages of others", ".JSONPBlob": "runs in pages of others"}
	for _, f := range served(t) {
		for _, i := range f.imports {
			if slices.Contains(never, i) {
				t.Errorf("%s imports %s", f.name, i)
			}
			if i == "os" && !slices.Contains(withFiles, f.pkg) {
				t.Errorf("%s may open files", f.name)
			}
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), filepath.Join("..", "..", f.name), nil, 0)
		require.NoError(t, err)
		ast.Inspect(parsed, func(n ast.Node) bool {
			if s, is := n.(*ast.SelectorExpr); is {
				of, _ := s.X.(*ast.Ident)
				for _, name := range []string{"." + s.Sel.Name, identity(of) + "." + s.Sel.Name} {
					if what, is := calls[name]; is {
						t.Errorf("%s %s: %s", f.name, what, name)
					}
				}
			}
			return true
		})
	}
}

func identity(i *ast.Ident) string {
	if i == nil {
		return ""
	}
	return i.Name
}

// SRV-5: an image has the three programs and the roots of trust, and what it is made from has no history.
func TestWhatIsDeployedHasNoVersionControl(t *testing.T) {
	t.Parallel()
	ignored, err := os.ReadFile(filepath.Join("..", "..", ".dockerignore"))
	require.NoError(t, err)
	require.Contains(t, strings.Split(string(ignored), "\n"), ".git")
	recipe, err := os.ReadFile(filepath.Join("..", "..", "deployments", "Dockerfile"))
	require.NoError(t, err)
	_, last, is := strings.Cut(string(recipe), "\nFROM scratch\n")
	require.True(t, is, "the image begins with nothing")
	var copied []string
	for line := range strings.Lines(last) {
		if words := strings.Fields(line); len(words) > 0 && (words[0] == "COPY" || words[0] == "ADD" || words[0] == "FROM" || words[0] == "RUN") {
			copied = append(copied, strings.Join(words, " "))
		}
	}
	require.Equal(t, []string{"COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/", "COPY --from=build /out/ /bin/"}, copied)
}

// ENC-5: TLS and the signatures of others apart, the servers' own cryptography is Tink, SHA-2, HMAC, Ed25519 and bcrypt.
func TestTheServersUseNoOtherCryptography(t *testing.T) {
	t.Parallel()
	primitives := []string{"crypto/ed25519", "crypto/hmac", "crypto/rand", "crypto/rsa", "crypto/sha256", "crypto/sha512", "crypto/subtle", "crypto/tls", "crypto/x509", "golang.org/x/crypto/bcrypt"}
	// they check what Google has signed
	withRSA := []string{"internal/gmail", "internal/account"}
	// they spread load, and draw a made-up mailbox
	guessable := []string{"internal/ratelimit", "internal/mailindex", "internal/gmail", "internal/queue", "internal/billing", "internal/cleanup", "internal/store", "internal/demo"}
	for _, f := range served(t) {
		for _, i := range f.imports {
			switch {
			case (strings.HasPrefix(i, "crypto/") || strings.HasPrefix(i, "golang.org/x/crypto/")) && !slices.Contains(primitives, i):
				t.Errorf("%s uses %s", f.name, i)
			case i == "crypto/rsa" && !slices.Contains(withRSA, f.pkg):
				t.Errorf("%s uses RSA", f.name)
			case strings.HasPrefix(i, "math/rand") && !slices.Contains(guessable, f.pkg):
				t.Errorf("%s draws numbers that can be guessed", f.name)
			}
		}
	}
}
