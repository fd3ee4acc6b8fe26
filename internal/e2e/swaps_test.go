package e2e

import (
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// older makes the browser one that cannot move an element without taking it out first, as some are: what a swap takes along loses the focus there.
func (b *browser) older() {
	b.t.Helper()
	require.True(b.t, b.holds("delete Element.prototype.moveBefore; delete DocumentFragment.prototype.moveBefore; delete Document.prototype.moveBefore; !('moveBefore' in document.body)"))
}

// swapped waits until a part of the page has been replaced so many more times.
func (b *browser) swapped(times int) {
	b.t.Helper()
	require.True(b.t, b.holds("window.swaps = 0; window.counts ||= document.body.addEventListener('htmx:sseMessage', () => window.swaps++) || true"))
	for range times {
		b.eventually("see it move", func() bool { return b.holds("window.swaps > 0") })
		b.holds("--window.swaps >= 0")
	}
}

// What a person is at survives the progress that comes in meanwhile: the button keeps the focus, and is one press although it was down while the
// page moved.
func TestAPressOutlastsTheProgressThatComesIn(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), nil)
	u := r.join(t, "ada", 14_000)
	p := u.plan("trash", old())
	require.Greater(t, p.ToClean, 8000, "the scenario wants eight batches")
	r.slowly(2 * time.Second)
	b := u.signInAt("/mailboxes")
	b.at("/mailboxes")
	run := u.execute(p)
	b.open("/jobs/" + run.ID)
	b.sees("Stop")
	b.older()
	const held = "document.activeElement === document.querySelector('#stop button')"
	b.holds("document.querySelector('#stop button').focus(); true")
	at := script[[]float64](b, "(r => [r.x + r.width / 2, r.y + r.height / 2])(document.querySelector('#stop button').getBoundingClientRect())")
	b.do("hold the button down", chromedp.MouseEvent(chromedp.MouseMoved, at[0], at[1]), chromedp.MouseEvent(chromedp.MousePressed, at[0], at[1], chromedp.Button("left"), chromedp.ClickCount(1)))
	b.swapped(2)
	require.True(t, b.holds(held), "the focus is lost")
	b.do("let go", chromedp.MouseEvent(chromedp.MouseReleased, at[0], at[1], chromedp.Button("left"), chromedp.ClickCount(1)))
	b.sees("Canceled")
	b.eventually("be rid of the button", func() bool { return b.holds("!document.querySelector('#stop')") })
	require.Less(t, len(u.changes()), p.ToClean, "it was stopped")
	var log struct {
		Items []struct{ Action, Object string }
	}
	u.get("/api/v1/audit", &log)
	stops := 0
	for _, entry := range log.Items {
		if entry.Action == "job.cancel" {
			require.Equal(t, run.ID, entry.Object)
			stops++
		}
	}
	require.Equal(t, 1, stops)
	b.look("job-stopped")
}
