package sweep

import (
	"strings"
	"testing"
)

// FuzzCanonicalEmail holds REG-5: a spelling that passes is its own canonical form, and no byte of it can break a header or a line.
func FuzzCanonicalEmail(f *testing.F) {
	for _, s := range []string{" Ada@Example.COM ", "a@b", "a@b.example\r\nBcc: c@d.example", "\u212a@b.example", "a@[127.0.0.1]", "a@@b.example", "a\x00@b.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		canonical, err := CanonicalEmail(s)
		if err != nil {
			return
		}
		if again, err := CanonicalEmail(canonical); err != nil || again != canonical {
			t.Fatalf("%q became %q, and that %q: %v", s, canonical, again, err)
		}
		outside := func(r rune) bool { return r <= ' ' || r > '~' || r >= 'A' && r <= 'Z' }
		if len(canonical) > 254 || strings.Count(canonical, "@") != 1 || strings.ContainsFunc(canonical, outside) {
			t.Fatalf("%q became %q", s, canonical)
		}
	})
}
