package trust

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Test is one test function.
type Test struct{ Package, Name string }

var anID = regexp.MustCompile(`\b(?:REG|VER|RST|PWD|THR|JWT|SES|CSR|OIDC|MFA|KEY|IPA|COR|HDR|RAT|ERR|IDM|SRV|AUD|ENC|TEN|OUT|GDP|LOG|WHK|BIL)-\d+\b`)

// Scan finds the tests below root/internal and the IDs that each names: in its comment, beside its name, or in its body.
func Scan(root string) (map[string][]Test, error) {
	found := map[string][]Test{}
	err := filepath.WalkDir(filepath.Join(root, "internal"), func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && path == filepath.Join(root, "internal", "dev", "trust") {
			return filepath.SkipDir // its tests name IDs only to try this
		}
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		return scanFile(root, path, found)
	})
	for _, tests := range found {
		slices.SortFunc(tests, func(a, b Test) int { return strings.Compare(a.Package+a.Name, b.Package+b.Name) })
	}
	return found, err
}

func scanFile(root, path string, found map[string][]Test) error {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, nil, parser.ParseComments)
	if err != nil {
		return fmt.Errorf("read %s: %w", path, err)
	}
	dir, err := filepath.Rel(root, filepath.Dir(path))
	if err != nil {
		return fmt.Errorf("place %s: %w", path, err)
	}
	for _, decl := range f.Decls {
		fn, ok := decl.(*ast.FuncDecl)
		if !ok || fn.Recv != nil || !isTest(fn.Name.Name) {
			continue
		}
		for id := range idsOf(f, fn) {
			found[id] = append(found[id], Test{Package: "mailsweep/" + filepath.ToSlash(dir), Name: fn.Name.Name})
		}
	}
	return nil
}

func isTest(name string) bool {
	return strings.HasPrefix(name, "Test") && name != "TestMain" || strings.HasPrefix(name, "Fuzz")
}

// idsOf reads comments and string literals from the first line of the function's comment to its end.
func idsOf(f *ast.File, fn *ast.FuncDecl) map[string]bool {
	from, to := fn.Pos(), fn.End()
	if fn.Doc != nil {
		from = fn.Doc.Pos()
	}
	ids := map[string]bool{}
	note := func(text string) {
		for _, id := range anID.FindAllString(text, -1) {
			ids[id] = true
		}
	}
	for _, group := range f.Comments {
		if group.Pos() >= from && group.End() <= to {
			note(group.Text())
		}
	}
	ast.Inspect(fn, func(n ast.Node) bool {
		if lit, ok := n.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			note(lit.Value)
		}
		return true
	})
	return ids
}
