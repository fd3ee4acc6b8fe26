package cleanup_test

import (
	"net/http"
	"regexp"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/mailindex"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

// Gmail may count a size to either side of a step: the classes are right and an action holds nothing more all the same.
func TestMailOnTheEdgesOfSizesIsCountedWhereItIs(t *testing.T) {
	t.Parallel()
	c := newRig(t).customer(t, "one@gmail.example", google.Generate{Messages: 200, Seed: 251})
	c.budget(900) // for the listing and the edges, and few messages more
	var mail []google.Incoming
	for _, step := range mailindex.Ladder()[:5] {
		for _, size := range []int64{step - 1, step, step + 1, step + 2} {
			mail = append(mail, google.Incoming{From: "edge@size.example", Size: int(size), Date: time.Now().AddDate(0, -2, 0)})
		}
	}
	_, err := c.google.Deliver(c.email, mail...)
	require.NoError(t, err)
	a := c.analyzed(t)
	require.Less(t, a.AttributedPercent, 100.0)
	c.equalsFacts(t, a)
	later := c.analyzed(t)
	c.equalsFacts(t, later)
	for _, text := range []string{`{"smaller_than":65537}`, `{"larger_than":65536}`, `{"smaller_than":65536}`, `{"larger_than":65535}`} {
		r := wanted(t, sweep.Trash, text)
		p := c.preview(t, r)
		right, plan := c.naively(t, r.Spec, time.Now()), c.members(t, p.CleanupPlanID)
		require.Subset(t, right, plan, text)
		require.GreaterOrEqual(t, len(plan), len(right)-1, "%s: only what lies on the edge may be missed", text)
	}
}

// shifted is a Gmail that counts the seconds of before: and after: to the other side.
type shifted struct{ next http.RoundTripper }

var seconds = regexp.MustCompile(`(before|after):(\d+)`)

// RoundTrip implements http.RoundTripper.
func (s shifted) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	query := r.URL.Query()
	query.Set("q", seconds.ReplaceAllStringFunc(query.Get("q"), func(m string) string {
		parts := seconds.FindStringSubmatch(m)
		n, _ := strconv.ParseInt(parts[2], 10, 64)
		return parts[1] + ":" + strconv.FormatInt(n+1, 10)
	}))
	r.URL.RawQuery = query.Encode()
	return s.next.RoundTrip(r)
}

func TestMailOnTheSecondOfABoundIsWhereItIs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, name := range []string{"one", "shifted"} {
		c := r.customer(t, name+"@gmail.example", google.Generate{Messages: 100, Seed: 252})
		if name == "shifted" {
			r.wire.next = shifted{r.wire.next}
		}
		bound := time.Date(time.Now().Year()-3, 1, 1, 0, 0, 0, 0, time.UTC)
		var mail []google.Incoming
		for d := -2; d <= 2; d++ {
			mail = append(mail, google.Incoming{From: "edge@time.example", Date: bound.Add(time.Duration(d) * time.Second)})
		}
		_, err := r.google.Deliver(c.email, mail...)
		require.NoError(t, err)
		for _, text := range []string{`{"before":"` + bound.Format(time.RFC3339) + `"}`, `{"after":"` + bound.Format(time.RFC3339) + `"}`} {
			w := wanted(t, sweep.Trash, text)
			p := c.preview(t, w)
			require.Equal(t, sorted(c.naively(t, w.Spec, time.Now())), sorted(c.members(t, p.CleanupPlanID)), "%s %s", name, text)
		}
	}
}
