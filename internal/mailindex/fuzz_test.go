package mailindex

import (
	"strings"
	"testing"

	"mailsweep/internal/sweep"
)

// FuzzParseUnsubscribe: nobody is unsubscribed by one click whose header has no https address, or who did not say so.
func FuzzParseUnsubscribe(f *testing.F) {
	for _, s := range [][2]string{{"<https://shop.example/u>", "List-Unsubscribe=One-Click"}, {"<mailto:u@shop.example>, <http://shop.example/u>", ""}, {"https://a.example, <", "list-unsubscribe = one-click"}, {"<https:///x>", "List-Unsubscribe=One-Click"}} {
		f.Add(s[0], s[1])
	}
	f.Fuzz(func(t *testing.T, header, post string) {
		method := ParseUnsubscribe(header, post)
		small := strings.ToLower(strings.Join(strings.Fields(header), ""))
		switch method {
		case sweep.OneClick:
			if !strings.Contains(small, "https://") || !strings.Contains(strings.ToLower(post), "one-click") {
				t.Fatalf("%q and %q are one click", header, post)
			}
		case sweep.Mailto:
			if !strings.Contains(small, "mailto:") {
				t.Fatalf("%q is a mail", header)
			}
		case sweep.Link:
			if !strings.Contains(small, "://") {
				t.Fatalf("%q is a link", header)
			}
		case sweep.NoWay:
		default:
			t.Fatalf("%q", method)
		}
	})
}

// FuzzSenderCursor: a cursor that is understood is written the same way, and leads on from the place that it names.
func FuzzSenderCursor(f *testing.F) {
	for _, c := range []cursor{{0, "a@shop.example", true}, {-5, "", true}, {1 << 60, "x y", true}} {
		f.Add(c.String())
	}
	f.Add("")
	f.Add("!")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := parseCursor(text)
		if err != nil {
			if sweep.CodeOf(err) != sweep.Invalid {
				t.Fatal(err)
			}
			return
		}
		again, err := parseCursor(c.String())
		if err != nil || text != "" && again != c {
			t.Fatalf("%q is %+v and then %+v: %v", text, c, again, err)
		}
	})
}
