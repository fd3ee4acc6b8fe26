package bench

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"mailsweep/internal/secret"
)

const (
	signingIn  = 50
	signInTime = 20 * time.Second
	passPhrase = "quilted otters at dawn"
	lightPolls = 4
	heavyTimes = 20 // of what the plan allows
)

// logins measures what 50 people who sign in without a pause leave of the health check: hashes are made behind a gate, so that they take
// no more of the machine than it lets them.
func logins(ctx context.Context, b *bench) ([]line, error) {
	r, err := b.start(ctx, "api")
	if err != nil {
		return nil, err
	}
	defer r.stop()
	people, err := r.people(ctx, signingIn)
	if err != nil {
		return nil, err
	}
	if err := r.givePassword(ctx); err != nil {
		return nil, err
	}
	health := request("GET", "/health", "", "")
	var idle, busy []time.Duration
	statuses := map[int]int{}
	for range rounds {
		l, err := paced(ctx, addr(r.API), 1, signInTime/4, 5*time.Millisecond, func(int) []byte { return health })
		if err != nil {
			return nil, err
		}
		idle = append(idle, l.at(0.99))
		beside, stop := context.WithCancel(ctx)
		crowd := make(chan error, 1)
		go func() {
			all, err := press(beside, addr(r.API), signingIn, time.Hour, func(conn, _ int) []byte { return signIn(people[conn], conn) })
			for status, n := range all.statuses {
				statuses[status] += n
			}
			crowd <- err
		}()
		l, err = paced(ctx, addr(r.API), 1, signInTime, 5*time.Millisecond, func(int) []byte { return health })
		stop()
		if err := errors.Join(err, <-crowd); err != nil {
			return nil, err
		}
		busy = append(busy, l.at(0.99))
	}
	if statuses[200] == 0 || statuses[200]+statuses[503] != sum(statuses) {
		return nil, fmt.Errorf("signing in was answered with %v", statuses)
	}
	got := float64(middle(busy)) / float64(middle(idle))
	return []line{goal(line{what: fmt.Sprintf("%d people signing in at once: the health check, p99", signingIn), ours: fmt.Sprintf("%s (%d signed in, %d told to come back)", ms(middle(busy)), statuses[200], statuses[503]),
		limit: "with nobody " + ms(middle(idle)), ratio: times(got), goal: "≤ 3x"}, got <= 3)}, nil
}

func sum(counts map[int]int) (n int) {
	for _, c := range counts {
		n += c
	}
	return n
}

// signIn is a person's, from an address of their own.
func signIn(p person, n int) []byte {
	return request("POST", "/api/v1/auth/login", "", fmt.Sprintf(`{"email":%q,"password":%q}`, p.email, passPhrase), "X-Forwarded-For", fmt.Sprintf("198.51.%d.7", n))
}

// givePassword gives everybody the same password, hashed once as the API does.
func (r *rig) givePassword(ctx context.Context) error {
	id, encoded, _ := strings.Cut(r.Env["PASSWORD_PEPPERS"], ":")
	pepper, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return fmt.Errorf("read PASSWORD_PEPPERS: %w", err)
	}
	hash, err := (&secret.Passwords{Peppers: map[string][]byte{id: pepper}, Current: id}).Hash(ctx, passPhrase)
	if err != nil {
		return err
	}
	return r.named(ctx, "UPDATE users SET password = @hash", map[string]any{"hash": hash})
}

// paced asks once every so often over conns connections, whether or not the answers come that fast, and measures what was asked.
func paced(ctx context.Context, addr string, conns int, d, every time.Duration, next func(conn int) []byte) (load, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	parts, errs := make([]load, conns), make([]error, conns)
	var all sync.WaitGroup
	for n := range conns {
		all.Go(func() { parts[n], errs[n] = pacedOne(ctx, addr, every, func() []byte { return next(n) }) })
	}
	all.Wait()
	whole := load{statuses: map[int]int{}}
	for _, p := range parts {
		whole.took = append(whole.took, p.took...)
		for status, n := range p.statuses {
			whole.statuses[status] += n
		}
	}
	slices.Sort(whole.took)
	return whole, errors.Join(errs...)
}

func pacedOne(ctx context.Context, addr string, every time.Duration, next func() []byte) (load, error) {
	l := load{statuses: map[int]int{}}
	w, err := dial(addr)
	if err != nil {
		return l, err
	}
	defer w.Close()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return l, nil
		case <-tick.C:
		}
		began := time.Now()
		a, err := w.ask(next())
		if err != nil {
			return l, err
		}
		l.took, l.statuses[a.status] = append(l.took, time.Since(began)), l.statuses[a.status]+1
	}
}

// neighbour measures what a customer who asks for 20 times what the plan allows costs the others, beside a quiet run in the same process.
func neighbour(ctx context.Context, b *bench) ([]line, error) {
	r, err := b.start(ctx, "api")
	if err != nil {
		return nil, err
	}
	defer r.stop()
	polls, _, err := r.polls(ctx, lightPolls)
	if err != nil {
		return nil, err
	}
	heavy, err := r.people(ctx, 1)
	if err != nil {
		return nil, err
	}
	if err := r.named(ctx, "UPDATE customers SET plan = 'pro', plan_version = plan_version + 1 WHERE id = @id", map[string]any{"id": heavy[0].customer.String()}); err != nil {
		return nil, err
	}
	const perMinute = 600 // pro's
	every := time.Minute / (perMinute * heavyTimes) * lightPolls
	ask := request("GET", "/api/v1/jobs", heavy[0].token, "")
	light := func() (load, error) {
		l, err := paced(ctx, addr(r.API), lightPolls, roundTime, 10*time.Millisecond, func(conn int) []byte { return polls[conn] })
		if err == nil {
			err = l.only(http.StatusOK)
		}
		return l, err
	}
	var quiet, busy []time.Duration
	statuses := map[int]int{}
	for range rounds {
		l, err := light()
		if err != nil {
			return nil, err
		}
		quiet = append(quiet, l.at(0.95))
		beside, stop := context.WithCancel(ctx)
		flooding := make(chan error, 1)
		go func() {
			all, err := paced(beside, addr(r.API), lightPolls, time.Hour, every, func(int) []byte { return ask })
			for status, n := range all.statuses {
				statuses[status] += n
			}
			flooding <- err
		}()
		l, err = light()
		stop()
		if err := errors.Join(err, <-flooding); err != nil {
			return nil, err
		}
		busy = append(busy, l.at(0.95))
	}
	if statuses[http.StatusTooManyRequests] == 0 {
		return nil, fmt.Errorf("nobody was stopped: %v", statuses)
	}
	got := float64(middle(busy)) / float64(middle(quiet))
	return []line{goal(line{what: fmt.Sprintf("one customer at %d times its limit: the others' poll, p95", heavyTimes), ours: fmt.Sprintf("%s (%d answered, %d refused)", ms(middle(busy)), statuses[200], statuses[429]),
		limit: "without it " + ms(middle(quiet)), ratio: times(got), goal: "≤ 1.20x"}, got <= 1.2)}, nil
}
