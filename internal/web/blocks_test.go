package web

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"mailsweep/internal/sweep"
)

func drawCriteria(t *rapid.T, depth int) sweep.Criteria {
	op := rapid.SampledFrom([]sweep.Op{sweep.All, sweep.Any, sweep.Not, sweep.ByCategory, sweep.ByFrom, sweep.BySubject, sweep.OlderThanDays, sweep.Before, sweep.LargerThan, sweep.ByUnread, sweep.In, sweep.ByQuery}).Draw(t, "op")
	c := sweep.Criteria{Op: op}
	kids := 0
	switch op {
	case sweep.All, sweep.Any:
		kids = rapid.IntRange(1, 3).Draw(t, "kids")
	case sweep.Not:
		kids = 1
	case sweep.ByCategory:
		c.Text = "social"
	case sweep.ByFrom:
		c.Text = rapid.SampledFrom([]string{"a@shop.example", "@deals.example", "o'neil+x@b.example"}).Draw(t, "from")
	case sweep.BySubject, sweep.ByQuery:
		c.Text = rapid.StringMatching(`[a-z&=;" <>]{0,8}x`).Draw(t, "text")
		c.Text = strings.TrimSpace(c.Text)
	case sweep.OlderThanDays, sweep.LargerThan:
		c.Number = rapid.Int64Range(1, 36500).Draw(t, "number")
	case sweep.Before:
		c.Time = time.Unix(rapid.Int64Range(0, 4e9).Draw(t, "time"), 0).UTC()
	case sweep.ByUnread:
		c.Flag = rapid.Bool().Draw(t, "flag")
	case sweep.In:
		c.Text = "archive"
	}
	for range kids {
		if depth == 0 {
			c.Kids = append(c.Kids, sweep.Criteria{Op: sweep.ByUnread, Flag: true})
			continue
		}
		c.Kids = append(c.Kids, drawCriteria(t, depth-1))
	}
	return c
}

// posted is the form that a browser makes of blocks.
func posted(root *block) url.Values {
	form := url.Values{}
	root.walk(func(b *block) {
		form.Add("depth", strconv.Itoa(b.Depth))
		form.Add("op", b.Op)
		form.Add("value", b.Value)
	})
	return form
}

// plainly drops what says nothing: a group of one, and a not over a group of one.
func plainly(c sweep.Criteria) sweep.Criteria {
	kids := make([]sweep.Criteria, 0, len(c.Kids))
	for _, k := range c.Kids {
		kids = append(kids, plainly(k))
	}
	if c.Kids = kids; len(kids) == 1 && (c.Op == sweep.All || c.Op == sweep.Any) {
		return kids[0]
	}
	if len(kids) == 0 {
		c.Kids = nil
	}
	return c
}

func TestBlocksSayWhatTheCriteriaSay(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := drawCriteria(t, 3)
		raw, err := c.MarshalJSON()
		require.NoError(t, err)
		if c, err = sweep.ParseCriteria(raw); err != nil {
			return // it contradicts itself
		}
		back, err := blocksOf(posted(rootOf(c)))
		require.NoError(t, err)
		got, err := back.criteria()
		require.NoError(t, err)
		require.Equal(t, plainly(c), plainly(got), "%s", raw)
	})
}

func TestAButtonChangesTheBlocks(t *testing.T) {
	t.Parallel()
	c, err := sweep.ParseCriteria([]byte(`{"all":[{"category":"promotions"},{"not":{"any":[{"from":"@bank.example"},{"unread":true}]}}]}`))
	require.NoError(t, err)
	root := rootOf(c)
	for _, step := range []struct{ button, kind, says string }{
		{"drop 3", "", "in Promotions and not (unread)"},
		{"add 2", "category", "in Promotions and not (unread or in Primary)"},
		{"add 2", "all", ""}, // holds nothing yet
		{"drop 5", "", "in Promotions and not (unread or in Primary)"},
		{"drop 2", "", "in Promotions"},
		{"drop 0", "", "in Promotions"}, // what holds all the others stays
		{"add 0", "nonsense", "in Promotions"},
		{"add 1", "category", "in Promotions"}, // no group
		{"", "", "in Promotions"},
		{"add -1", "category", "in Promotions"},
	} {
		form := posted(root)
		_, place, _ := strings.Cut(step.button, " ")
		form.Set("kind."+place, step.kind)
		root, err = blocksOf(form)
		require.NoError(t, err)
		root.edit(step.button, form)
		got, err := root.criteria()
		if step.says == "" {
			require.Equal(t, sweep.Invalid, sweep.CodeOf(err))
			continue
		}
		require.NoError(t, err)
		require.Equal(t, step.says, describe(got), step.button)
	}
}

// What is wrong is said at its block, and what was typed stays.
func TestABlockSaysWhatIsWrongWithIt(t *testing.T) {
	t.Parallel()
	for op, values := range map[string][]string{
		"from": {"", "nobody", "a@b.example, x", " , "}, "older_than_days": {"", "0", "-1", "1.5", "x", "99999999"}, "larger_than": {"0", "x", "-2", "NaN", "1e300"},
		"before": {"", "yesterday", "2026-13-01"}, "category": {"spam"}, "in": {"trash"}, "subject": {" ", "a\nb"},
	} {
		for _, value := range values {
			root, err := blocksOf(url.Values{"depth": {"0", "1"}, "op": {"all", op}, "value": {"", value}})
			require.NoError(t, err)
			_, err = root.criteria()
			require.Equal(t, sweep.Invalid, sweep.CodeOf(err), "%s %q", op, value)
			require.NotEmpty(t, root.Kids[0].Wrong, "%s %q", op, value)
			require.Equal(t, value, root.Kids[0].Value)
		}
	}
}

func TestAFormThatIsNoTreeIsRefused(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "op=all", "depth=0&op=all", "depth=0&op=unread&value=yes", "depth=1&op=all&value=", "depth=0&op=all&value=&depth=0&op=unread&value=yes",
		"depth=0&op=all&value=&depth=2&op=unread&value=yes", "depth=0&op=all&value=&depth=1&op=unread&value=yes&depth=2&op=unread&value=yes",
		"depth=0&op=all&value=&depth=x&op=unread&value=yes", "depth=0&op=all&value=&depth=-1&op=unread&value=yes", "depth=0&op=all&value=&depth=1&op=not&value=",
		"depth=0&op=all&value=" + strings.Repeat("&depth=1&op=unread&value=yes", mostBlocks),
	} {
		form, err := url.ParseQuery(text)
		require.NoError(t, err)
		_, err = blocksOf(form)
		require.Contains(t, []sweep.Code{sweep.Invalid, sweep.BadRequest}, sweep.CodeOf(err), text)
	}
}

// Every preset and suggestion of ours can be gone on with in blocks, and the page of them renders, also where strangers' words stand in it.
func TestBlocksRender(t *testing.T) {
	t.Parallel()
	p := &Pages{}
	p.Mount(echo.New(), nil)
	trees := []sweep.Criteria{{Op: sweep.Any, Kids: []sweep.Criteria{{Op: sweep.BySubject, Text: `"><script>x</script>`}, {Op: sweep.ByFrom, Text: `'"@x.example`}}}}
	for _, preset := range presets() {
		trees = append(trees, preset.Criteria)
	}
	for _, c := range trees {
		page := buildPage{mailForm: mailForm{Values: url.Values{"protecting": {"1"}, "protect": {"starred"}, "action": {"trash"}}}, Root: rootOf(c), Whole: true}
		html, err := p.render("build", "layout.html", view{Token: "x", Page: page})
		require.NoError(t, err)
		require.NotContains(t, string(html), "<script>x")
		require.Contains(t, string(html), `<option value="trash" selected>`)
		require.Contains(t, string(html), `value="starred" checked>`)
		require.NotContains(t, string(html), `value="replied" checked>`)
	}
}

// Another content of a form is another request; the same content, pressed twice, is one.
func TestAFormThatIsFilledInAnewIsAnotherRequest(t *testing.T) {
	t.Parallel()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("once=a"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	c := echo.New().NewContext(r, nil)
	require.Equal(t, pressedAs(c, "dry-run", "x"), pressedAs(c, "dry-run", "x"))
	require.NotEqual(t, pressedAs(c, "dry-run", "x").Key, pressedAs(c, "dry-run", "y").Key)
}
