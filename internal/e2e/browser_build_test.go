package e2e

import (
	"fmt"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// choose sets a list to one of its values.
func (b *browser) choose(css, value string) {
	b.t.Helper()
	b.set(css, value)
}

// put replaces what stands in a field.
func (b *browser) put(css, text string) {
	b.t.Helper()
	b.set(css, "")
	b.do("fill "+css, chromedp.SendKeys(chromedp.CSS(css), text))
}

func (b *browser) set(css, value string) {
	b.t.Helper()
	set := fmt.Sprintf(`(() => { const e = document.querySelector(%q); e.value = %q; e.dispatchEvent(new Event("input", {bubbles: true})); return e.value })()`, css, value)
	require.Equal(b.t, value, script[string](b, set), css)
}

// value is what stands in a field.
func (b *browser) value(css string) string {
	b.t.Helper()
	return script[string](b, fmt.Sprintf("document.querySelector(%q).value", css))
}

// analyzed is a customer whose mailbox is known, in a browser that stands on its page.
func (r *rig) analyzed(t *testing.T, name string, messages int) (*user, *browser, string) {
	t.Helper()
	u := r.join(t, name, messages)
	u.run("/api/v1/gmail/analyze", nil)
	b := u.signInAt("/mailboxes")
	b.at("/mailboxes")
	b.follow("Open")
	b.at("/mailboxes/mbx_[0-9a-f]{32}")
	return u, b, b.where()
}

// A cleanup is put together from blocks: counted as it is edited, told off where it is wrong, previewed as it stands.
func TestACleanupIsBuiltFromBlocks(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), nil)
	_, b, mailbox := r.analyzed(t, "ada", 2000)

	b.open(mailbox + "/clean")
	b.fill("older", "abc") // a number's field takes no letters
	b.fill("from", "nobody")
	b.press("form.card .stick button")
	b.sees("Must be an address or @domain.")
	require.Equal(t, "nobody", b.value("#from"), "what was typed stays")
	b.pardon()
	b.look("clean-refused")
	b.put("#from", "@shop.example")
	b.press("form.card button[formaction$='/build']")
	b.at(mailbox + "/build")
	require.Equal(t, "@shop.example", b.value("#b1"), "the short form goes on in blocks")

	b.open(mailbox + "/build?preset=aggressive")
	b.sees(" match")
	b.look("build-preset")
	b.open(mailbox + "/build")
	b.sees(" match")
	b.choose("select[name='kind.0']", "none")
	b.press("button[value='add 0']")
	b.eventually("see the new block", func() bool { return b.holds("!!document.querySelector(\"select[name='kind.3']\")") })
	b.sees("None of these hold")
	b.choose("select[name='kind.3']", "from")
	b.press("button[value='add 3']")
	b.eventually("see the new condition", func() bool { return b.holds("document.activeElement.id === 'b4'") })
	b.do("type where the focus is", chromedp.SendKeys(chromedp.CSS("#b4"), "@bank.example nobody"))
	b.press("form.card .stick button")
	b.sees("Must be an address or @domain.")
	require.Equal(t, "@bank.example nobody", b.value("#b4"))
	b.pardon()
	b.look("build-refused")
	b.put("#b4", "@bank.example, @example.com")
	b.press("button[value='drop 1']")
	b.eventually("see the category gone", func() bool { return b.value("#b1") == "90" })
	b.press("form.card .stick button")
	b.at("/plans/pln_[0-9a-f]{32}")
	b.sees("older than 90 days and not (from @bank.example or from @example.com)")

	b.open(mailbox)
	b.press("form[action$='/preview'] button[formaction$='/build']")
	b.at(mailbox + "/build")
	b.sees(" match")
	b.look("build-suggestion")
}
