package gmail_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"mailsweep/internal/gmail"
	"mailsweep/internal/mailindex"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

// listings counts what leaves: pages, and among them the first of a listing.
type listings struct {
	next         http.RoundTripper
	lists        http.RoundTripper // answers listings instead; nil: next does
	mu           sync.Mutex
	pages, first int
}

// turn lets another answer listings.
func (l *listings) turn(next http.RoundTripper) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lists = next
}

// RoundTrip implements http.RoundTripper.
func (l *listings) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasSuffix(r.URL.Path, "/messages") {
		return l.next.RoundTrip(r)
	}
	l.mu.Lock()
	l.pages++
	if r.URL.Query().Get("pageToken") == "" {
		l.first++
	}
	next := l.next
	if l.lists != nil {
		next = l.lists
	}
	l.mu.Unlock()
	return next.RoundTrip(r)
}

// swept lists parts side by side, and gives the ids of each.
func (w *world) swept(ctx context.Context, parts []gmail.Part, width int, oldest time.Time) ([]map[sweep.MessageID]bool, error) {
	var mu sync.Mutex
	found, whole := make([]map[sweep.MessageID]bool, len(parts)), make([]int, len(parts))
	for i := range found {
		found[i] = map[sweep.MessageID]bool{}
	}
	s := &gmail.Sweep{Mailbox: w.open, Parts: parts, Oldest: oldest,
		Page: func(part int, refs []mailindex.Ref) error {
			mu.Lock()
			defer mu.Unlock()
			for _, r := range refs {
				found[part][r.ID] = true
			}
			if whole[part] > 0 {
				whole[part] = 100 // a page after the end
			}
			return nil
		},
		Whole: func(part int) error {
			mu.Lock()
			defer mu.Unlock()
			whole[part]++
			return nil
		}}
	g, ctx := errgroup.WithContext(ctx)
	for range width {
		g.Go(func() error { return s.Work(ctx) })
	}
	err := g.Wait()
	for i, n := range whole {
		if err == nil && n != 1 {
			found[i] = nil
		}
	}
	return found, err
}

// Generated mailboxes hold mail that was imported, whose ids tell another time than its date, some of it dated in the future.
func TestASweepFindsWhatOneListingAfterTheOtherFinds(t *testing.T) {
	t.Parallel()
	cuts := 0
	rapid.Check(t, func(d *rapid.T) {
		tariff := google.TariffNew()
		tariff.PerUserMinute, tariff.PerProjectMinute = 1e9, 1e9
		config := google.Config{Seed: 7, TimeScale: 1000, ClientID: "id", ClientSecret: "secret", Tariff: tariff, Concurrency: 100, Latency: rapid.Bool().Draw(d, "latency"),
			Quirks: google.Quirks{PageTokens: rapid.SampledFrom([]string{"cursor", "offset"}).Draw(d, "tokens")}}
		w := newWorldOf(t, google.Generate{Messages: rapid.IntRange(0, 9_000).Draw(d, "messages"), Years: rapid.IntRange(1, 12).Draw(d, "years"), Seed: rapid.Uint64().Draw(d, "seed")}, config)
		parts := drawParts(d)
		want := make([]map[sweep.MessageID]bool, len(parts))
		for i, p := range parts {
			want[i] = w.list(t, p.And(gmail.During(p.From, p.To)))
		}
		serial := w.wire.pages
		w.wire.pages, w.wire.first = 0, 0
		got, err := w.swept(t.Context(), parts, rapid.IntRange(1, 12).Draw(d, "width"), time.Now().AddDate(-rapid.IntRange(0, 15).Draw(d, "oldest"), 0, 0))
		if err != nil {
			d.Fatal(err)
		}
		for i := range parts {
			if !maps.Equal(got[i], want[i]) {
				d.Errorf("part %d of %d: %d ids, want %d", i, len(parts), len(got[i]), len(want[i]))
			}
		}
		cut := w.wire.first - len(parts)
		if cuts += cut; w.wire.pages > serial+2*cut {
			d.Errorf("%d pages for %d with %d cuts", w.wire.pages, serial, cut)
		}
	})
	if cuts == 0 {
		t.Error("nothing was cut")
	}
}

// dated is a mailbox whose ids need not tell when its mail is dated. It answers listings as Gmail does, each a little later or earlier.
type dated struct {
	ids  []sweep.MessageID // newest date first
	when []int64           // their dates, in seconds
}

// RoundTrip implements http.RoundTripper.
func (b dated) RoundTrip(r *http.Request) (*http.Response, error) {
	rec := httptest.NewRecorder()
	rec.Header().Set("Content-Type", "application/json")
	for range rand.IntN(8) {
		runtime.Gosched()
	}
	after, before := int64(math.MinInt64), int64(math.MaxInt64)
	for _, word := range strings.Fields(r.URL.Query().Get("q")) {
		_, _ = fmt.Sscanf(word, "after:%d", &after)
		_, _ = fmt.Sscanf(word, "before:%d", &before)
	}
	skip, _ := strconv.Atoi(r.URL.Query().Get("pageToken"))
	var items []string
	n, next := 0, ""
	for i, id := range b.ids {
		if b.when[i] < after || b.when[i] >= before {
			continue
		}
		if n++; n > skip+gmail.PageSize {
			next = fmt.Sprintf(`,"nextPageToken":"%d"`, skip+gmail.PageSize)
			break
		}
		if n > skip {
			items = append(items, fmt.Sprintf(`{"id":"%x","threadId":"%x"}`, uint64(id), uint64(id)))
		}
	}
	fmt.Fprintf(rec, `{"messages":[%s]%s}`, strings.Join(items, ","), next)
	return rec.Result(), nil
}

// drawDated draws a mailbox of ten years in which so much of the mail has an id of any time.
func drawDated(d *rapid.T) (b dated) {
	chance := rand.New(rand.NewPCG(rapid.Uint64().Draw(d, "seed"), 1))
	strange := rapid.Float64Range(0, 1).Draw(d, "strange")
	now := time.Now().Unix()
	for n := rapid.IntRange(0, 12_000).Draw(d, "messages"); len(b.when) < n; {
		b.when = append(b.when, now-chance.Int64N(10*365*86400))
	}
	slices.SortFunc(b.when, func(x, y int64) int { return int(y - x) })
	for i, at := range b.when {
		if chance.Float64() < strange {
			at = now - chance.Int64N(10*365*86400)
		}
		b.ids = append(b.ids, sweep.MessageID(at*1000)<<20|sweep.MessageID(i))
	}
	return b
}

func TestAWrongGuessOfASweepCostsPagesAndNoMessage(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 1)
	rapid.Check(t, func(d *rapid.T) {
		b := drawDated(d)
		w.wire.turn(b)
		parts := []gmail.Part{{}, {From: time.Now().AddDate(-3, 0, 0).Truncate(time.Second)}}
		got, err := w.swept(t.Context(), parts, rapid.IntRange(1, 12).Draw(d, "width"), time.Now().AddDate(-rapid.IntRange(0, 15).Draw(d, "oldest"), 0, 0))
		if err != nil {
			d.Fatal(err)
		}
		recent := 0
		for i, id := range b.ids {
			if !got[0][id] {
				d.Fatalf("message %d of %d is missing", i, len(b.ids))
			}
			if at := b.when[i]; at >= parts[1].From.Unix() {
				recent++
				if !got[1][id] {
					d.Fatalf("message %d of %d is missing in its range", i, len(b.ids))
				}
			}
		}
		if len(got[0]) != len(b.ids) || len(got[1]) > recent+2 {
			d.Errorf("%d and %d found of %d and %d", len(got[0]), len(got[1]), len(b.ids), recent)
		}
	})
}

// drawParts are neighbouring ranges of time, and searches of all time.
func drawParts(d *rapid.T) (parts []gmail.Part) {
	var bounds []time.Time
	for range rapid.IntRange(0, 4).Draw(d, "bounds") {
		bounds = append(bounds, time.Now().Add(-time.Duration(rapid.IntRange(1, 4_000).Draw(d, "hours"))*20*time.Hour).Truncate(time.Second))
	}
	slices.SortFunc(bounds, time.Time.Compare)
	bounds = append(append([]time.Time{{}}, bounds...), time.Time{})
	for i := range len(bounds) - 1 {
		parts = append(parts, gmail.Part{From: bounds[i], To: bounds[i+1]})
	}
	for _, label := range rapid.SliceOfDistinct(rapid.SampledFrom([]string{"INBOX", "UNREAD", "CATEGORY_PROMOTIONS", "SENT"}), rapid.ID[string]).Draw(d, "labels") {
		parts = append(parts, gmail.Part{Search: gmail.WithLabel(label)})
	}
	return parts
}
