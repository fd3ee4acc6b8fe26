package arch

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// shared are the names of net/http that register in, or serve, the mux of the whole process: net/http/pprof hangs profiles into it,
// and any dependency may.
var shared = []string{"DefaultServeMux", "Handle", "HandleFunc", "ListenAndServe", "ListenAndServeTLS", "Serve", "ServeTLS"}

func TestNobodyServesTheMuxOfTheWholeProcess(t *testing.T) {
	t.Parallel()
	for _, f := range files(t) {
		if strings.HasSuffix(f.name, "_test.go") || !slices.Contains(f.imports, "net/http") {
			continue
		}
		set := token.NewFileSet()
		parsed, err := parser.ParseFile(set, filepath.Join("..", "..", f.name), nil, 0)
		require.NoError(t, err)
		ast.Inspect(parsed, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.SelectorExpr:
				if of(n, "http") && slices.Contains(shared, n.Sel.Name) {
					t.Errorf("%s uses http.%s", set.Position(n.Pos()), n.Sel.Name)
				}
			case *ast.CompositeLit:
				if s, is := n.Type.(*ast.SelectorExpr); is && of(s, "http") && s.Sel.Name == "Server" && !sets(n, "Handler") {
					t.Errorf("%s makes a server without a handler: it would serve http.DefaultServeMux", set.Position(n.Pos()))
				}
			}
			return true
		})
	}
}

func of(s *ast.SelectorExpr, pkg string) bool {
	id, is := s.X.(*ast.Ident)
	return is && id.Name == pkg
}

func sets(lit *ast.CompositeLit, field string) bool {
	return slices.ContainsFunc(lit.Elts, func(e ast.Expr) bool {
		kv, is := e.(*ast.KeyValueExpr)
		if !is {
			return false
		}
		id, is := kv.Key.(*ast.Ident)
		return is && id.Name == field
	})
}
