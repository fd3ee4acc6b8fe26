package attack

import (
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

// SRV-6: by the database that internal/tools/holes pins. make attack ONLY=govulncheck asks the newest one, before a release. With FULL=1, as
// make trust runs it, by the Go that releases are built with; else by the Go at hand, which may have holes itself: those of modules count.
func TestTheServersCallNothingWithAKnownHole(t *testing.T) {
	t.Parallel()
	r := &ground{Options: Options{Dir: t.TempDir(), Root: "../../..", Out: io.Discard}}
	if err := os.MkdirAll(r.log(""), 0o755); err != nil {
		t.Fatal(err)
	}
	toolchain, err := releaseGo(r.Root)
	if err != nil {
		t.Fatal(err)
	}
	full := os.Getenv("FULL") != ""
	if !full {
		toolchain = "local"
	}
	tried, found, err := r.knownHoles(t.Context(), database, toolchain)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(tried)
	if strings.HasPrefix(tried, "0 ") {
		t.Error("the database lists nothing at all")
	}
	for _, hole := range found {
		if full || !strings.Contains(hole, " of stdlib ") {
			t.Error(hole)
		}
	}
}

func TestAHoleIsFoundWhereItIsCalled(t *testing.T) {
	t.Parallel()
	const said = `{"config":{"protocol_version":"v1.0.0"}}
{"osv":{"id":"GO-2021-0113","affected":[]}}
{"osv":{"id":"GO-2022-1059","affected":[]}}
{"finding":{"osv":"GO-2022-1059","fixed_version":"v0.3.8","trace":[{"module":"golang.org/x/text","version":"v0.3.5"}]}}
{"finding":{"osv":"GO-2022-1059","fixed_version":"v0.3.8","trace":[{"module":"golang.org/x/text","version":"v0.3.5","package":"golang.org/x/text/language"}]}}
{"finding":{"osv":"GO-2021-0113","fixed_version":"v0.3.7","trace":[{"module":"golang.org/x/text","version":"v0.3.5","package":"golang.org/x/text/language","function":"Parse"},{"module":"m","package":"m","function":"main"}]}}`
	listed, found, err := called([]byte(said))
	want := []string{"GO-2021-0113: golang.org/x/text/language.Parse of golang.org/x/text v0.3.5, mended in v0.3.7"}
	if err != nil || listed != 2 || !slices.Equal(found, want) {
		t.Errorf("listed %d, found %q: %v", listed, found, err)
	}
	if _, _, err := called([]byte(said[:len(said)-3])); err == nil {
		t.Error("half of what it says is enough")
	}
}
