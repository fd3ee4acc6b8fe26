package queue

import (
	"time"

	"github.com/hibiken/asynq"
)

const slotsEvery = 5 * time.Second // as often as workers show themselves

// slots are what all live workers run at once, by line, as they last said in Redis. One that has fallen silent is forgotten there.
type slots struct {
	inspector *asynq.Inspector
	asked     time.Time
	lines     map[string]int
}

// count asks again after a while. What cannot be asked stays as it was.
func (s *slots) count() {
	if time.Since(s.asked) < slotsEvery {
		return
	}
	s.asked = time.Now()
	servers, err := s.inspector.Servers()
	if err != nil {
		return
	}
	s.lines = map[string]int{}
	for _, server := range servers {
		for line := range server.Queues {
			s.lines[line] += server.Concurrency
		}
	}
}

// window is twice what a line's workers run at once, so that none has to wait for the next look; at least least.
func (s *slots) window(line string, least int) int { return max(least, 2*s.lines[line]) }
