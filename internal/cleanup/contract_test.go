package cleanup_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/cleanup"
	"mailsweep/internal/mailindex"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
)

// likeness is one way in which Gmail may be: a value for each switch that is not at its default.
type likeness map[string]string

func (l likeness) String() string {
	var list []string
	for _, q := range google.AllQuirks() {
		if v, ok := l[q.Name]; ok {
			list = append(list, q.Name+"="+v)
		}
	}
	return strings.Join(list, ",")
}

// alone is every value of every switch that is not its default, one at a time.
func alone() (all []likeness) {
	for _, q := range google.AllQuirks() {
		for _, v := range q.Values[1:] {
			all = append(all, likeness{q.Name: v})
		}
	}
	return all
}

// pairs is few likenesses in which any two values of any two switches meet.
func pairs() (all []likeness) {
	quirks := google.AllQuirks()
	open := map[[4]int]bool{} // switch and value, twice
	for a := range quirks {
		for b := a + 1; b < len(quirks); b++ {
			for x := range quirks[a].Values {
				for y := range quirks[b].Values {
					open[[4]int{a, x, b, y}] = true
				}
			}
		}
	}
	chance := rand.New(rand.NewPCG(1, 1))
	for len(open) > 0 {
		l := likeness{}
		for _, pair := range covering(quirks, open, chance) {
			l[quirks[pair[0]].Name] = quirks[pair[0]].Values[pair[1]]
		}
		all = append(all, l)
	}
	return all
}

// covering chooses a value for each switch, in a random order, so that many open pairs are met, and closes those.
func covering(quirks []google.Quirk, open map[[4]int]bool, chance *rand.Rand) (row [][2]int) {
	key := func(p, q [2]int) [4]int {
		if p[0] > q[0] {
			p, q = q, p
		}
		return [4]int{p[0], p[1], q[0], q[1]}
	}
	for _, s := range chance.Perm(len(quirks)) {
		best, most := 0, -1
		for _, v := range chance.Perm(len(quirks[s].Values)) {
			met := 0
			for _, other := range row {
				if open[key(other, [2]int{s, v})] {
					met++
				}
			}
			if met > most {
				best, most = v, met
			}
		}
		row = append(row, [2]int{s, best})
	}
	for i := range row {
		for j := range i {
			delete(open, key(row[j], row[i]))
		}
	}
	return row
}

// drawn is n of a list by a printed seed, or all of it with FULL=1, and says which.
func drawn[T fmt.Stringer](t *testing.T, all []T, n int) []T {
	t.Helper()
	if os.Getenv("FULL") != "" {
		return all
	}
	some := slices.Clone(all)
	testkit.Seed(t).Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
	some = some[:min(n, len(some))]
	t.Logf("%d of %d are drawn, FULL=1 tries all: %v", len(some), len(all), some)
	return some
}

// What nobody knows about Gmail may be one way or the other, and its quota may be spent: neither shows in what we tell and in what we do.
func TestTheContractHoldsWhateverGmailIsLike(t *testing.T) {
	t.Parallel()
	all := alone()
	for _, l := range append(drawn(t, all, 4), drawn(t, pairs(), 2)...) {
		name := l.String()
		if len(l) > 1 {
			name = fmt.Sprintf("pairs %d", slices.IndexFunc(pairs(), func(p likeness) bool { return p.String() == name })+1)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			t.Log(l)
			r := newRigAt(t, func(c *google.Config) {
				c.Tariff, c.Concurrency = google.TariffNew(), 10
				c.Tariff.PerUserMinute = 700
				require.NoError(t, c.SetQuirks(l.String()))
			})
			t.Run("a mailbox that is read whole", func(t *testing.T) { r.small(t).contract(t, l, true) })
			if l["plain_import"] != "" {
				t.Run("an imported mailbox", func(t *testing.T) { r.imported(t).contract(t, l, true) })
			}
			t.Run("a mailbox of many pages", func(t *testing.T) { r.large(t).contract(t, l, false) })
		})
	}
}

// small is a mailbox that is read whole.
func (r *rig) small(t *testing.T) *customer {
	t.Helper()
	c := r.customer(t, "small@gmail.example", google.Generate{Messages: 260, Seed: 301, Senders: 60})
	c.onEdges(t)
	return c
}

// onEdges adds mail on the edges of sizes and seconds.
func (c *customer) onEdges(t *testing.T) {
	t.Helper()
	var mail []google.Incoming
	for _, step := range mailindex.Ladder()[:2] {
		for d := range int64(3) {
			mail = append(mail, google.Incoming{From: "edge@size.example", Size: int(step - 1 + d), Date: time.Now().AddDate(0, -2, 0)})
		}
	}
	for d := range 3 {
		mail = append(mail, google.Incoming{From: "edge@time.example", Date: aBound().Add(time.Duration(d-1) * time.Second)})
	}
	_, err := c.google.Deliver(c.email, mail...)
	require.NoError(t, err)
}

// aBound is where one year's listing ends and the next begins.
func aBound() time.Time { return time.Date(time.Now().Year()-3, 1, 1, 0, 0, 0, 0, time.UTC) }

// large is a mailbox whose listings have several pages, between which mail arrives.
func (r *rig) large(t *testing.T) *customer {
	t.Helper()
	c := r.customer(t, "large@gmail.example", google.Generate{Messages: 1700, Seed: 302, Years: 1})
	c.onEdges(t)
	c.google.Inject(google.Fault{User: c.email, Method: "messages.list", Paged: true, Arrive: 1, Times: 3})
	return c
}

// imported is a mailbox from a file, where a label of a category is on some of the mail only.
func (r *rig) imported(t *testing.T) *customer {
	t.Helper()
	var mail strings.Builder
	for i := range 90 {
		at := time.Now().AddDate(0, 0, -20*i-1)
		fmt.Fprintf(&mail, "From - %s\nFrom: Sender %d <sender.%d@list%d.example>\nDate: %s\nMessage-ID: <%d@list.example>\nSubject: issue %d weekly\n", at.Format(time.ANSIC), i%25, i%25, i%7, at.Format(time.RFC1123Z), i, i)
		switch i % 5 {
		case 0:
			fmt.Fprintf(&mail, "X-Gmail-Labels: Inbox,Unread,Category Promotions\n")
		case 1:
			fmt.Fprintf(&mail, "X-Gmail-Labels: Archived,Opened,Category Updates%s\n", []string{"", ",Receipts"}[i%2])
		case 2:
			fmt.Fprintf(&mail, "List-Unsubscribe: <mailto:u%d@list.example>\n", i)
		}
		fmt.Fprintf(&mail, "\n%s\n\n", strings.Repeat("text ", 50*i+1))
	}
	path := filepath.Join(t.TempDir(), "mail.mbox")
	require.NoError(t, os.WriteFile(path, []byte(mail.String()), 0o600))
	_, err := r.google.AddMbox("imported@gmail.example", path)
	require.NoError(t, err)
	c := r.customer(t, "imported@gmail.example", google.Generate{})
	_, err = r.google.Deliver(c.email, google.Incoming{From: "edge@size.example", Size: 70_000, Date: aBound()}, google.Incoming{From: "edge@size.example", Date: time.Now().AddDate(0, -2, 0)})
	require.NoError(t, err)
	return c
}

// contract is what holds whatever Gmail is like. whole says that the budget covers every message.
func (c *customer) contract(t *testing.T, l likeness, whole bool) {
	t.Helper()
	rough := l["rough_sizes"] == "true"
	c.budget(60_000)
	if !whole {
		c.budget(3_000)
		c.exactIsExact(t, c.analyzed(t), rough)
		c.google.ClearFaults()
		c.runner.DB = open(t, c.url("mailsweep_worker"), 2*time.Second) // mail of the second in which a listing begins is the next one's
	}
	a := c.analyzed(t)
	require.True(t, a.Exact["messages"] && a.Exact["unread"] && a.Exact["by_age"] && a.Exact["by_size"], "%v", a.Exact)
	require.False(t, whole && !a.Exact["senders"], "%v", a.Exact)
	c.exactIsExact(t, a, rough)
	for _, text := range c.leaves(t, whole, rough) {
		c.plansAsNaively(t, wanted(t, sweep.Trash, text))
	}
	for _, action := range []sweep.Action{sweep.Trash, sweep.Archive, sweep.MarkRead, sweep.AddLabel} {
		c.changesThePlanAndUndoes(t, action)
	}
	c.exactIsExact(t, c.analyzed(t), rough)
	spent, err := c.google.Ledger(c.email)
	require.NoError(t, err)
	t.Logf("%d calls were refused for quota", spent.Refused) // how many depends on how fast the machine is
}

// exactIsExact compares what an analysis calls exact, and each sender, with the mailbox. Where Gmail's sizes are rough no sum of them can be
// nearer than they are.
func (c *customer) exactIsExact(t *testing.T, a sweep.Analysis, rough bool) {
	t.Helper()
	f, err := c.google.Facts(c.email)
	require.NoError(t, err)
	require.Equal(t, []int{f.Messages, f.Threads, f.Unread}, []int{a.Messages, a.Threads, a.Unread}, "messages, threads, unread")
	require.True(t, !a.Exact["by_age"] || reflect.DeepEqual(countsOf(c.byAge(t, a.AsOf)), countsOf(a.ByAge)), "%v", a.ByAge)
	require.True(t, rough || !a.Exact["by_size"] || reflect.DeepEqual(c.bySize(t, a.BySize), a.BySize), "%v", a.BySize)
	for _, k := range sweep.Categories()[1:] {
		of := f.Categories[k.CategoryLabel()]
		require.Equal(t, [2]int{of.Messages, of.Unread}, [2]int{a.ByCategory[k].Messages, a.ByCategory[k].Unread}, k)
	}
	slack := map[bool]int64{true: 3}[rough]
	require.LessOrEqual(t, a.Bytes.Low*(100-slack), f.Bytes*100)
	require.GreaterOrEqual(t, a.Bytes.High*(100+slack), f.Bytes*100)
	for _, s := range c.allSenders(t) {
		is, told := f.Senders[s.Address], google.Block{Messages: s.Messages, Unread: s.Unread, Bytes: s.Bytes}
		if rough {
			is.Bytes = told.Bytes
		}
		require.True(t, !s.Exact || is == told, "%+v, not %+v", s, is)
		require.LessOrEqual(t, s.Messages, is.Messages, "%+v", s)
	}
	require.True(t, !a.Exact["senders"] || len(f.Senders) == a.SendersTotal)
}

// leaves are criteria of every kind whose answer the index knows for certain; those that are answered by a message's header or its size only
// where all were read.
func (c *customer) leaves(t *testing.T, whole, rough bool) []string {
	t.Helper()
	at := func(d time.Duration) string { return aBound().Add(d).Format(time.RFC3339) }
	all := []string{
		`{"any":[{"newer_than_days":45},{"unread":false}]}`,
		`{"all":[{"in":"inbox"},{"not":{"replied":true}}]}`,
		`{"all":[{"in":"archive"},{"has_attachment":true}]}`,
		`{"label":"Receipts"}`,
		`{"all":[{"subject":"` + words(c.messages(t)[40].Subject)[0] + `"},{"unread":true}]}`,
		`{"any":[{"before":"` + at(0) + `"},{"after":"` + at(time.Second) + `"}]}`,
	}
	if c.hasCategories(t) {
		all = append(all, `{"category":"primary"}`, `{"all":[{"category":"promotions"},{"older_than_days":90}]}`)
	}
	if whole {
		_, domain, _ := strings.Cut(c.allSenders(t)[20].Address, "@")
		all = append(all, `{"from":"edge@size.example"}`, `{"all":[{"from":"@`+domain+`"},{"not":{"unread":true}}]}`)
	}
	if step := mailindex.Ladder()[0]; whole && !rough {
		all = append(all, fmt.Sprintf(`{"larger_than":%d}`, step), fmt.Sprintf(`{"smaller_than":%d}`, step))
	}
	return all
}

func (c *customer) hasCategories(t *testing.T) bool {
	t.Helper()
	return slices.ContainsFunc(c.messages(t), func(m google.Message) bool { return labelled(m, sweep.Promotions.CategoryLabel()) })
}

func (c *customer) plansAsNaively(t *testing.T, r cleanup.DryRunRequest) {
	t.Helper()
	p := c.preview(t, r)
	require.Zero(t, p.Undetermined)
	plan, naive := c.members(t, p.CleanupPlanID), c.naively(t, r.Spec, c.planned(t, p).MadeAt)
	for _, id := range plan {
		require.True(t, slices.Contains(naive, id), "%s is too much", id)
	}
	for _, id := range naive {
		// Gmail may count the second of a bound to its other side: what is said a second tighter may miss what lies on it
		require.True(t, slices.Contains(plan, id) || c.message(t, id).From == "edge@time.example", "%s is missing", id)
	}
}

// changesThePlanAndUndoes executes a plan, part of which was protected meanwhile, and undoes it; a batch and a page of history fail on the way.
func (c *customer) changesThePlanAndUndoes(t *testing.T, action sweep.Action) {
	t.Helper()
	p := c.preview(t, protected(t, action, `{"any":[{"older_than_days":60},{"in":"inbox"}]}`))
	plan := c.members(t, p.CleanupPlanID)
	require.Greater(t, len(plan), 10)
	kept := c.lone(t, plan, 2)
	c.relabel(t, kept[0], sweep.LabelStarred)
	c.relabel(t, kept[1], sweep.LabelImportant)
	before, touched := c.digest(t), c.changes(t)
	trouble := func() {
		c.google.Inject(google.Fault{User: c.email, Method: "messages.batchModify", Status: 503, Times: 1})
		c.google.Inject(google.Fault{User: c.email, Method: "history.list", Status: 500, Times: 1})
	}
	trouble()
	job, res := c.executed(t, p.CleanupPlanID)
	var changed []string
	for id, n := range c.changes(t) {
		if n -= touched[id]; n > 0 {
			require.Equal(t, 1, n, "a message is changed once")
			changed = append(changed, id)
		}
	}
	expected := slices.DeleteFunc(slices.Clone(plan), func(id string) bool { return slices.Contains(kept, id) })
	require.Equal(t, sorted(expected), sorted(changed))
	require.Equal(t, len(expected), res.Cleaned, "%+v", res)
	c.addsUp(t, res)
	trouble()
	undo := c.undone(t, job)
	require.Equal(t, len(expected), undo.Restored, "%+v", undo)
	require.Equal(t, before, c.digest(t))
	require.Zero(t, c.usage(t).Used)
}
