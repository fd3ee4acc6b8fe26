package e2e

import (
	"context"
	_ "embed"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/dev/local"
)

// axe finds what keeps people with assistive technology out (axe-core 4.14.1, MPL-2.0, unchanged).
//
//go:embed testdata/axe-4.14.1.min.js
var axe string

// chromium is found, or installed, once per test process.
var chromium = sync.OnceValues(func() (local.Browser, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Minute)
	defer cancel()
	return local.Chromium(ctx, local.Options{Dir: filepath.Join(root, ".dev"), Log: func(line string) { fmt.Println(line) }})
})

// browser is a Chromium with one tab, as a person who has never been here has it.
type browser struct {
	t        *testing.T
	ctx      context.Context
	base     string
	shots    string // folder for pictures; "": none are made
	mu       sync.Mutex
	recovery string   // a code that signs in once
	faults   []string // what the console told, and what was asked of other origins
}

// browse opens a browser. SHOTS names a folder into which each page that a test looks at is drawn.
func (r *rig) browse(t *testing.T) *browser {
	t.Helper()
	found, err := chromium()
	require.NoError(t, err)
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(found.Path), chromedp.Env(found.Env...), chromedp.NoSandbox)
	ctx, stop := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(stop)
	ctx, closeTab := chromedp.NewContext(ctx)
	t.Cleanup(closeTab)
	b := &browser{t: t, ctx: ctx, base: r.API, shots: os.Getenv("SHOTS")}
	b.begin(stop)
	return b
}

// begin opens the tab, or gives up: the first call has no deadline of its own, since what it opens lives as long as its context.
func (b *browser) begin(giveUp func()) {
	b.t.Helper()
	defer time.AfterFunc(patience, giveUp).Stop()
	require.NoError(b.t, chromedp.Do(b.ctx, chromedp.EmulateViewport(1024, 800)))
	require.NoError(b.t, chromedp.Listen(b.ctx, b.hear))
}

// hear notes what a page does that it must not. Google's consent page is another site, and is left alone.
func (b *browser) hear(event any) {
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		b.fault("exception: %s", e.ExceptionDetails.Text)
	case *log.EventEntryAdded:
		if ours := e.Entry.URL == "" || strings.HasPrefix(e.Entry.URL, b.base); ours && (e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning) {
			b.fault("console: %s %s", e.Entry.Text, e.Entry.URL)
		}
	case *network.EventRequestWillBeSent:
		if from, err := url.Parse(e.DocumentURL); err == nil && strings.HasPrefix(b.base, from.Scheme+"://"+from.Host) && !strings.HasPrefix(e.Request.URL, b.base) && !strings.HasPrefix(e.Request.URL, "data:") {
			b.fault("%s asks for %s", e.DocumentURL, e.Request.URL)
		}
	}
}

func (b *browser) fault(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.faults = append(b.faults, fmt.Sprintf(format, args...))
}

func (b *browser) do(what string, actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	_, err := within(b, patience, chromedp.Steps(actions...))
	require.NoError(b.t, err, "%s at %s\n%s", what, b.where(), b.text())
}

// glance is how long one look may take: a page that goes away while it is asked may never answer, and is asked again.
const glance = 20 * time.Second

// within has the browser do something, or gives up.
func within[T any](b *browser, limit time.Duration, action chromedp.Action[T]) (T, error) {
	ctx, cancel := context.WithTimeout(b.ctx, limit)
	defer cancel()
	return chromedp.Run(ctx, action)
}

// script is what a script says on the page that is open, once all of it is there. A page that goes away meanwhile is asked again.
func script[T any](b *browser, text string, options ...chromedp.EvaluateOption) (said T) {
	b.t.Helper()
	b.whole()
	var err error
	defer func() {
		if err != nil {
			b.t.Log(err)
		}
	}()
	b.eventually("answer "+text[:min(len(text), 200)], func() bool {
		said, err = within(b, glance, chromedp.Evaluate[T](text, options...))
		return err == nil
	})
	return said
}

func (b *browser) open(path string) {
	b.t.Helper()
	b.do("open "+path, chromedp.Navigate(b.base+path))
}

// whole waits until the page is loaded: while it comes, what was found on it may be gone before it is touched.
func (b *browser) whole() {
	b.t.Helper()
	b.eventually("be loaded", func() bool {
		yes, err := within(b, glance, chromedp.Evaluate[bool]("document.readyState === 'complete'"))
		return err == nil && yes
	})
}

func (b *browser) fill(id, text string) {
	b.t.Helper()
	b.whole()
	b.do("fill "+id, chromedp.SendKeys(chromedp.ID(id), text))
}

func (b *browser) press(css string) {
	b.t.Helper()
	b.whole()
	b.do("press "+css, chromedp.Click(chromedp.CSS(css)))
}

// follow presses the link that has this text.
func (b *browser) follow(text string) {
	b.t.Helper()
	b.whole()
	b.do("follow "+text, chromedp.Click(chromedp.Search(fmt.Sprintf("//main//a[normalize-space()=%q]", text))))
}

func (b *browser) where() string {
	at, err := within(b, glance, chromedp.Location())
	if err != nil {
		return err.Error()
	}
	return strings.TrimPrefix(at, b.base)
}

// eventually looks five times a second: a browser asked all the time does nothing else.
func (b *browser) eventually(what string, holds func() bool) {
	b.t.Helper()
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !holds(); <-tick.C {
		require.True(b.t, time.Now().Before(deadline), "not within %s: %s, but is at %s\n%s", patience, what, b.where(), b.text())
	}
}

// at waits until the browser has come to a path.
func (b *browser) at(pattern string) {
	b.t.Helper()
	path := regexp.MustCompile("^" + pattern + "$")
	b.eventually("come to "+pattern, func() bool { return path.MatchString(b.where()) })
}

func (b *browser) text() string {
	text, err := within(b, glance, chromedp.Evaluate[string]("document.body ? document.body.innerText : ''"))
	if err != nil {
		return err.Error()
	}
	return text
}

// sees waits until the page shows a text.
func (b *browser) sees(text string) {
	b.t.Helper()
	b.eventually("see "+text, func() bool { return strings.Contains(b.text(), text) })
}

// look holds the page to what every page promises: nothing for axe to find, nothing in the console, nothing from elsewhere, no wider than
// the screen of a phone.
func (b *browser) look(name string) {
	b.t.Helper()
	b.axe(name)
	for _, width := range []int64{390, 1024, 1440} {
		b.do("resize", chromedp.EmulateViewport(width, 800))
		over := script[int](b, "document.documentElement.scrollWidth - document.documentElement.clientWidth")
		require.LessOrEqual(b.t, over, 0, "%s is wider than %d pixels", name, width)
		b.draw(name, width)
	}
	b.do("resize", chromedp.EmulateViewport(1024, 800))
	b.mu.Lock()
	defer b.mu.Unlock()
	require.Empty(b.t, b.faults, name)
}

func (b *browser) axe(name string) {
	b.t.Helper()
	script[int](b, axe+";0")
	for _, scheme := range []string{"light", "dark"} {
		b.wear(scheme)
		const run = `axe.run(document, {resultTypes: ["violations"]}).then(r => r.violations.map(v => v.id + ": " + v.nodes.slice(0, 3).map(n => n.html).join(" | ")))`
		require.Empty(b.t, script[[]string](b, run, chromedp.EvalAwaitPromise), "axe, %s, %s", name, scheme)
	}
	b.wear("light")
}

func (b *browser) wear(scheme string) {
	b.t.Helper()
	b.do("wear "+scheme, func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return chromedp.Void{}, err
	})
}

func (b *browser) draw(name string, width int64) {
	b.t.Helper()
	if b.shots == "" {
		return
	}
	require.NoError(b.t, os.MkdirAll(b.shots, 0o755))
	for _, scheme := range []string{"dark", "light"} {
		b.wear(scheme)
		png, err := within(b, patience, chromedp.FullScreenshot(100))
		require.NoError(b.t, err)
		require.NoError(b.t, os.WriteFile(filepath.Join(b.shots, fmt.Sprintf("%s-%d-%s.png", name, width, scheme)), png, 0o644))
	}
}
