package store_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

func TestOneKeyMakesOneJob(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db, p := openFour(t, y.d, "mailsweep_app"), y.place("a")
	keyed := func() store.Submission {
		s := y.submission(p, sweep.Execute, 10)
		s.Route, s.Key, s.RequestHash, s.Answer = "execute", "key", []byte("body"), []byte(s.Job.String())
		return s
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	answers := map[string]int{}
	admitted := 0
	for range 50 {
		s := keyed()
		all.Go(func() {
			v, err := db.Submit(t.Context(), s)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if v.Admitted {
				admitted++
				answers[string(s.Answer)]++
			} else {
				answers[string(v.ReplayAnswer)]++
			}
			if v.Mismatch {
				t.Error("the same body does not match")
			}
		})
	}
	all.Wait()
	require.Equal(t, 1, admitted)
	require.Len(t, answers, 1, "the other 49 got the first one's answer")
	_, reserved := y.usage(p)
	require.Equal(t, 10, reserved)

	other := keyed()
	other.RequestHash = []byte("other")
	require.True(t, y.refuse(db, other).Mismatch)
	elsewhere := keyed()
	elsewhere.Route = "undo"
	y.admit(db, elsewhere)
	stranger := keyed()
	q := y.place("a")
	stranger.Customer, stranger.Mailbox = q.customer, q.mailbox
	y.admit(db, stranger)
	late := keyed()
	late.Now, late.RequestHash = late.Now.Add(24*time.Hour+time.Second), []byte("other")
	y.admit(db, late)
	late.Job = newID(t)
	require.Equal(t, late.Answer, y.refuse(db, late).ReplayAnswer, "after a day the key is new, and holds the new answer")
}

func TestARefusalLeavesItsKeyFree(t *testing.T) {
	t.Parallel()
	y := newYard(t)
	db, p := open(t, y.d, "mailsweep_app"), y.place("a")
	s := y.submission(p, sweep.Execute, limit+1)
	s.Route, s.Key, s.RequestHash, s.Answer = "execute", "key", []byte("body"), []byte("a")
	v := y.refuse(db, s)
	require.Nil(t, v.ReplayAnswer)
	s.Reserve = 1
	y.admit(db, s)
}
