package e2e

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// A visitor looks around, and cleans up a mailbox that is made up, without an account.
func TestAVisitorTriesTheDemo(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), nil)
	b := r.browse(t)
	b.open("/")
	b.look("landing")
	b.follow("Try it without signing up")
	b.sees("Top senders")
	b.look("demo")
	b.press("form[action='/demo/preview'] button")
	b.sees("Kept back, and why")
	b.look("demo-plan")
	b.open("/demo/clean")
	b.look("demo-clean")
	b.press("input[name=category][value=social]")
	b.fill("older", "90")
	b.sees("would change")
	counted := b.text()
	b.press("form.card button.button")
	b.at("/demo/preview.*")
	b.sees("Would change")
	total := strings.Fields(b.text()[strings.Index(b.text(), "Archive: ")+len("Archive: "):])[0]
	require.Contains(t, counted, total+" would change", "the count beside the form is the preview's")
	for path, name := range map[string]string{"/pricing": "pricing", "/privacy": "privacy", "/security": "security", "/terms": "terms", "/support": "support"} {
		b.open(path)
		b.look(name)
	}
}

// What a page costs whoever comes for the first time.
type cost struct {
	Bytes float64 // over the wire, all files
	Paint float64 // milliseconds to the first content
	Shift float64 // sum of what moved by itself
	Moved string  // what that was
	Files int
}

// A first visit is small and quick on a slow line, and nothing jumps: 1.6 Mbit/s each way, 150 ms, a processor four times slower.
func TestTheSiteIsLight(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), nil)
	for path, most := range map[string]float64{"/": 100 << 10, "/pricing": 100 << 10, "/demo": 100 << 10, "/demo/clean": 100 << 10, "/signup": 100 << 10, "/privacy": 100 << 10} {
		t.Run(path, func(t *testing.T) { // its browser ends with it: a slowed one keeps a core busy
			b := r.browse(t)
			b.throttle()
			b.open(path)
			c := b.cost()
			t.Logf("%s: %.1f KiB in %d files, first paint after %.0f ms, shift %.3f", path, c.Bytes/1024, c.Files, c.Paint, c.Shift)
			require.LessOrEqual(t, c.Bytes, most, path)
			require.Zero(t, c.Shift, "%s: %s", path, c.Moved)
			require.LessOrEqual(t, c.Files, 5, path)
		})
	}
}

// emulateLine is the protocol's older command: Debian's Chromium wants a parameter of the newer one that its later form has not.
var emulateLine = cdp.Command[line, cdp.Empty]{Method: "Network.emulateNetworkConditions"}

// line is a network: milliseconds, and bytes a second.
type line struct {
	Offline            bool    `json:"offline"`
	Latency            float64 `json:"latency"`
	DownloadThroughput float64 `json:"downloadThroughput"`
	UploadThroughput   float64 `json:"uploadThroughput"`
}

// throttle makes the line and the processor slow, and forgets what was kept.
func (b *browser) throttle() {
	b.t.Helper()
	b.do("throttle", func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, network.SetCacheDisabled, network.SetCacheDisabledParams{CacheDisabled: true})
		if err == nil {
			_, err = cdp.Call(ctx, t, emulateLine, line{Latency: 150, DownloadThroughput: 200_000, UploadThroughput: 200_000})
		}
		if err == nil {
			_, err = cdp.Call(ctx, t, emulation.SetCPUThrottlingRate, emulation.SetCPUThrottlingRateParams{Rate: 4})
		}
		return chromedp.Void{}, err
	})
}

// cost is what the browser measured of the page that is open.
func (b *browser) cost() (c cost) {
	b.t.Helper()
	const ask = `new Promise(done => { let shift = 0, moved = "";
		const what = s => (s.node && s.node.outerHTML || String(s.node)).slice(0, 120) + " from " + JSON.stringify(s.previousRect) + " to " + JSON.stringify(s.currentRect) + "; ";
		new PerformanceObserver(l => { for (const e of l.getEntries()) { shift += e.value; moved += e.sources.map(what).join("") } }).observe({type: "layout-shift", buffered: true});
		setTimeout(() => { const all = [...performance.getEntriesByType("navigation"), ...performance.getEntriesByType("resource")];
			done({Bytes: all.reduce((n, e) => n + e.transferSize, 0), Files: all.length, Shift: shift, Moved: moved,
				Paint: (performance.getEntriesByName("first-contentful-paint")[0] || {startTime: 0}).startTime}) }, 300) })`
	require.NoError(b.t, json.Unmarshal(script[json.RawMessage](b, ask, chromedp.EvalAwaitPromise), &c))
	return c
}
