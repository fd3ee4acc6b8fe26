package secret

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mailsweep/internal/sweep"
)

// PWD-8: people who came at once are told one after the other to come back, so that they do not come back at once.
func TestACrowdIsNotTurnedAwayAtOneMoment(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &Passwords{Slots: 1, Patience: 2 * time.Second}
		slot, err := p.Enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer slot.Leave()
		var mu sync.Mutex
		var crowd sync.WaitGroup
		told := map[time.Duration]int{} // people by tenths of a second
		began := time.Now()
		for range 50 {
			crowd.Go(func() {
				_, err := p.Enter(t.Context())
				waited := time.Since(began)
				if sweep.CodeOf(err) != sweep.Unavailable || waited < time.Second || waited > 2*time.Second {
					t.Errorf("%v after %v", err, waited)
				}
				mu.Lock()
				defer mu.Unlock()
				told[waited.Truncate(100*time.Millisecond)]++
			})
		}
		crowd.Wait()
		for at, people := range told {
			if people > 20 {
				t.Errorf("%d of 50 are told at %v", people, at)
			}
		}
	})
}
