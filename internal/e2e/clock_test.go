package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/dev/customer"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// at sets the programs' business clock to a moment.
func at(moment time.Time) string { return time.Until(moment).Round(time.Second).String() }

// travel stops the API and the worker and starts them with a business clock that shows moment.
func (r *rig) travel(t *testing.T, moment time.Time) {
	t.Helper()
	r.halt(t, "api", "worker")
	r.Env["CLOCK_OFFSET"] = at(moment)
	require.NoError(t, r.Spawn("api"))
	require.NoError(t, r.Spawn("worker"))
	require.NoError(t, r.Await(t.Context(), "api", "worker"))
}

// halt ends programs in good order.
func (r *rig) halt(t *testing.T, programs ...string) {
	t.Helper()
	for _, name := range programs {
		r.Children[name].Interrupt()
	}
	for _, name := range programs {
		c := r.Children[name]
		c.Wait(30 * time.Second)
		require.Equal(t, 0, c.ExitCode(), "%s: %s", name, c.Tail())
	}
}

// usedIn reads the stored row of a period, which the API no longer shows.
func (u *user) usedIn(p sweep.Period) (used int) {
	u.t.Helper()
	db, err := store.Open(u.ctx(), store.Options{URL: u.r.Env["SCHEDULER_DATABASE_URL"], Process: "e2e", MaxConns: 4})
	require.NoError(u.t, err)
	defer db.Close()
	id, err := sweep.CustomerID.Parse(u.ID)
	require.NoError(u.t, err)
	require.NoError(u.t, db.Tenant(u.ctx(), id, func(tx *store.Tx) (err error) {
		used, err = tx.UsageOf(p.Start)
		return err
	}))
	return used
}

// second connects one more mailbox and gives its id.
func (u *user) second(address string) (id string) {
	u.t.Helper()
	_, err := u.r.Sim.AddGenerated(address, google.Generate{Messages: 300, Seed: 5, Now: time.Now()})
	require.NoError(u.t, err)
	require.NoError(u.t, u.Connect(u.ctx(), address))
	var all struct{ Items []struct{ ID, Email string } }
	u.get("/api/v1/mailboxes", &all)
	require.Len(u.t, all.Items, 2)
	require.Equal(u.t, address, all.Items[1].Email, "oldest first")
	return all.Items[1].ID
}

// TestMonthTurnsAndTrialEndsWhoeverIsUp tells one story: clean shortly before a month ends, wake up in the next one without any
// scheduler, and again after the trial; only then three schedulers start at once, and stay for the next month's turn.
func TestMonthTurnsAndTrialEndsWhoeverIsUp(t *testing.T) {
	t.Parallel()
	month := sweep.PeriodAt(time.Now())
	signUp := month.End.Add(-10 * time.Minute)
	r := start(t, speedy(), map[string]string{"CLOCK_OFFSET": at(signUp), "PLAN_LIMITS": limits(5000)})
	ada, ben := r.join(t, "ada", 300), r.join(t, "ben", 4000)
	s := &story{t: t, r: r, ada: ada, ben: ben, before: month, after: month.Next(), trialEnd: signUp.Add(sweep.TrialLength)}
	s.useQuota()
	r.halt(t, "scheduler")
	s.startLongRun()
	r.travel(t, month.End.Add(30*time.Minute))
	s.turned()
	r.travel(t, s.trialEnd.Add(time.Hour))
	s.trialIsOver()
	s.threeSchedulers()
	s.catchUp()
	r.halt(t, trio...)
	r.Env["CLOCK_OFFSET"] = at(s.after.End.Add(-6 * time.Second))
	s.threeSchedulers()
	s.nextTurn()
}

type story struct {
	t              *testing.T
	r              *rig
	ada, ben       *user
	before, after  sweep.Period
	trialEnd       time.Time
	first, inOther customer.Job // ada's runs, in her first mailbox and in the other one
	other          string       // her second mailbox
	digests        [2]string    // of her mailboxes, before
	cleaned        int          // of ada's messages
	unused         preview
	long           customer.Job // ben's, while the month turns
	longPlan       preview
}

func (s *story) digest(address string) string {
	truth, err := s.r.Sim.Truth(address)
	require.NoError(s.t, err)
	return truth.Digest
}

const otherAddress = "ada.other@mail.example"

func (s *story) useQuota() {
	t, ada := s.t, s.ada
	s.other = ada.second(otherAddress)
	s.digests = [2]string{ada.digest(), s.digest(otherAddress)}
	in := func(mailbox string, action string) preview {
		body := object{"action": action, "criteria": old(), "mailbox_id": mailbox}
		return read[preview](t, ada.run("/api/v1/gmail/cleanup/dry-run", body).Result)
	}
	var all struct{ Items []struct{ ID string } }
	ada.get("/api/v1/mailboxes", &all)
	s.unused = in(all.Items[0].ID, "mark_read")
	p, q := in(all.Items[0].ID, "trash"), in(s.other, "trash")
	s.first, s.inOther = ada.finish(ada.execute(p)), ada.finish(ada.execute(q))
	s.cleaned = p.ToClean + q.ToClean
	require.NotZero(t, p.ToClean*q.ToClean)
	now := ada.usage()
	require.Equal(t, usage{Plan: "pro", Period: s.before.Start.Format("2006-01"), Limit: 5000, Used: s.cleaned, Remaining: 5000 - s.cleaned}, now)
}

// startLongRun leaves ben's run in its middle.
func (s *story) startLongRun() {
	s.longPlan = s.ben.plan("trash", old())
	require.Greater(s.t, s.longPlan.ToClean, 1000)
	s.r.slowly(time.Second)
	s.long = s.ben.execute(s.longPlan)
	until(s.t, patience, "ben's run has begun", func() bool {
		s.ben.get("/api/v1/jobs/"+s.long.ID, &s.long)
		return s.long.Phase == "cleaning" && s.long.State == "running"
	})
}

// turned: a fresh period without anybody having turned it, the old one as it was.
func (s *story) turned() {
	t := s.t
	fresh := usage{Plan: "pro", Period: s.after.Start.Format("2006-01"), Limit: 5000, Remaining: 5000}
	require.Equal(t, fresh, s.ada.usage())
	require.Equal(t, s.cleaned, s.ada.usedIn(s.before))

	done := read[executed](t, s.ben.finish(s.long).Result)
	require.Equal(t, s.longPlan.ToClean, done.Cleaned, "the month's turn stops no reserved work")
	require.Equal(t, fresh, s.ben.usage(), "it counts where it was reserved")
	require.Equal(t, s.longPlan.ToClean, s.ben.usedIn(s.before))
	s.r.Sim.ClearFaults()

	s.ada.run("/api/v1/jobs/"+s.first.ID+"/undo", object{})
	require.Equal(t, s.digests[0], s.ada.digest())
	require.Equal(t, fresh, s.ada.usage(), "quota is given back within the same period only")
	require.Equal(t, s.cleaned, s.ada.usedIn(s.before))
}

// trialIsOver: free's limits from the moment on, nothing deleted, undo as ever.
func (s *story) trialIsOver() {
	t, ada := s.t, s.ada
	require.Equal(t, usage{Plan: "free", Period: sweep.PeriodAt(s.trialEnd).Start.Format("2006-01"), Limit: 500, Remaining: 500}, ada.usage())
	body := fmt.Sprintf(`{"action":"trash","criteria":{"unread":true},"mailbox_id":%q}`, s.other)
	ada.call("POST", "/api/v1/gmail/cleanup/dry-run", body).problem(t, 402, "mailbox_limit")
	ada.run("/api/v1/jobs/"+s.inOther.ID+"/undo", object{})
	require.Equal(t, s.digests[1], s.digest(otherAddress), "undo works in a mailbox over the limit")
	ada.call("POST", "/api/v1/gmail/cleanup/execute", fmt.Sprintf(`{"cleanup_plan_id":%q}`, s.unused.ID)).problem(t, 410, "plan_expired")
	var all struct {
		Items []struct {
			ID        string
			OverLimit bool `json:"over_limit"`
		}
	}
	ada.get("/api/v1/mailboxes", &all)
	require.Len(t, all.Items, 2, "nothing is deleted")
	require.Equal(t, []bool{false, true}, []bool{all.Items[0].OverLimit, all.Items[1].OverLimit})
	p := read[preview](t, ada.run("/api/v1/gmail/cleanup/dry-run", object{"action": "mark_read", "criteria": old(), "mailbox_id": all.Items[0].ID}).Result)
	require.Equal(t, p.ToClean, read[executed](t, ada.finish(ada.execute(p)).Result).Cleaned, "the oldest mailbox goes on")
}

var trio = []string{"scheduler", "scheduler-2", "scheduler-3"}

func (s *story) threeSchedulers() {
	t, r := s.t, s.r
	require.NoError(t, r.Spawn(trio[0]))
	require.NoError(t, r.SpawnAlso("scheduler", trio[1]))
	require.NoError(t, r.SpawnAlso("scheduler", trio[2]))
	require.NoError(t, r.Await(t.Context(), trio...))
}

// told counts the mails of the duties: of a fresh quota, of the trial's end, of its nearing.
func (s *story) told(u *user) [3]int {
	mails := func(kind string) int { return len(s.r.mails(u.Email, kind)) }
	return [3]int{mails("quota_fresh"), mails("trial_ended"), mails("trial_ending")}
}

// closed counts who did the monthly duty of a due time.
func (s *story) closed(due time.Time) (times int) {
	for _, name := range trio {
		times += strings.Count(s.r.logs(s.t, name), fmt.Sprintf(`"duty":"monthly","due":%q`, due.Format(time.RFC3339)))
	}
	return times
}

// catchUp: what was missed is done once, and told once.
func (s *story) catchUp() {
	t := s.t
	once := [3]int{1, 1, 0}
	for _, u := range []*user{s.ada, s.ben} {
		until(t, patience, "the mail of both duties", func() bool { told := s.told(u); return told[0] > 0 && told[1] > 0 })
	}
	until(t, patience, "the monthly duty is done", func() bool { return s.closed(s.before.End) > 0 })
	s.r.signUp(t, "cleo") // her mail goes through the same outbox, after any second copy
	require.Equal(t, [2][3]int{once, once}, [2][3]int{s.told(s.ada), s.told(s.ben)})
	require.Equal(t, 1, s.closed(s.before.End), "one of three did it")
	require.Equal(t, s.cleaned, s.ada.usedIn(s.before))
}

// nextTurn: midnight comes while all three are up.
func (s *story) nextTurn() {
	t := s.t
	require.NotZero(t, s.ada.usedIn(s.after))
	until(t, patience, "the month's turn", func() bool { return s.told(s.ada)[0] > 1 && s.closed(s.after.End) > 0 })
	s.r.signUp(t, "dora")
	require.Equal(t, [3]int{2, 1, 0}, s.told(s.ada))
	require.Equal(t, [3]int{1, 1, 0}, s.told(s.ben), "who used nothing hears nothing")
	require.Equal(t, 1, s.closed(s.after.End))
	for _, name := range trio {
		require.NoError(t, s.r.Children[name].Failed())
	}
}
