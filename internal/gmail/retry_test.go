package gmail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"
	"google.golang.org/api/googleapi"

	"mailsweep/internal/sweep"
)

func quota(status int) answer {
	return refused(status, "rateLimitExceeded", "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per user'")
}

func TestEachRefusalOfGoogleHasItsAnswer(t *testing.T) {
	t.Parallel()
	scope := answer{status: 403, body: `{"error":{"code":403,"message":"m","details":[{"@type":"x","reason":"ACCESS_TOKEN_SCOPE_INSUFFICIENT"}]}}`}
	disabled := answer{status: 403, body: `{"error":{"code":403,"message":"m","details":[{"@type":"x","reason":"SERVICE_DISABLED"}]}}`}
	detailed := answer{status: 403, body: `{"error":{"code":403,"message":"m","status":"PERMISSION_DENIED","details":[{"@type":"x","reason":"RATE_LIMIT_EXCEEDED","domain":"googleapis.com"}]}}`}
	const wait = sweep.Code("wait")
	for name, c := range map[string]struct {
		answer answer
		calls  int
		code   sweep.Code
		is     error
	}{
		"precondition":     {refused(400, "failedPrecondition", "Mail service not enabled"), 1, sweep.Forbidden, nil},
		"malformed":        {refused(400, "invalidArgument", "Invalid id value"), 1, sweep.Internal, nil},
		"page gone":        {refused(400, "invalidArgument", "Invalid pageToken"), 1, sweep.Unavailable, ErrPageGone},
		"invalid label":    {refused(400, "invalidArgument", "Invalid label: Label_9"), 1, sweep.Internal, ErrLabelGone},
		"token refused":    {refused(401, "authError", "Invalid Credentials"), 2, sweep.MailboxNeedsReconnect, nil},
		"scope by reason":  {refused(403, "insufficientPermissions", "Insufficient Permission"), 1, sweep.MailboxNeedsReconnect, nil},
		"scope by detail":  {scope, 1, sweep.MailboxNeedsReconnect, nil},
		"administrator":    {refused(403, "domainPolicy", "x"), 1, sweep.Forbidden, nil},
		"other 403":        {refused(403, "forbidden", "Delegation denied"), 1, sweep.Forbidden, nil},
		"daily limit":      {refused(403, "dailyLimitExceeded", "x"), 1, sweep.Unavailable, ErrProjectStopped},
		"quota exceeded":   {refused(403, "quotaExceeded", "x"), 1, sweep.Unavailable, ErrProjectStopped},
		"API off":          {refused(403, "accessNotConfigured", "x"), 1, sweep.Unavailable, ErrProjectStopped},
		"API off, details": {disabled, 1, sweep.Unavailable, ErrProjectStopped},
		"minute quota":     {quota(403), 4, wait, nil},
		"quota by detail":  {detailed, 4, wait, nil},
		"minute quota 429": {quota(429), 4, wait, nil},
		"user rate":        {refused(403, "userRateLimitExceeded", "x"), 4, wait, nil},
		"crowded":          {refused(429, "rateLimitExceeded", "Too many concurrent requests for user."), 4, wait, nil},
		"server error":     {refused(500, "backendError", "x"), 5, sweep.Unavailable, nil},
		"HTML 503":         {answer{status: 503, body: "<html>Error</html>"}, 5, sweep.Unavailable, nil},
		"truncated":        {answer{status: 200, body: `{"emailAddr`}, 5, sweep.Unavailable, nil},
		"cut connection":   {answer{}, 5, sweep.Unavailable, nil},
		"404":              {refused(404, "notFound", "Requested entity was not found."), 1, sweep.Internal, nil},
	} {
		f := newFake(t, c.answer)
		m := f.open(&openPacer{})
		m.client.TimeScale = 200 // of 150 ms of patience a busy machine does not take much
		_, err := m.Profile(t.Context())
		code := sweep.CodeOf(err)
		var w *Wait
		if errors.As(err, &w) {
			code = wait
		}
		// net/http repeats a GET by itself when a reused connection is cut; how many pauses fit into our patience is a matter of chance.
		if few := f.calls() < c.calls; few || f.calls() > c.calls && c.answer.status != 0 && c.code != wait || code != c.code || c.is != nil && !errors.Is(err, c.is) {
			t.Errorf("%s: %d calls, %v; want %d calls, %s %v", name, f.calls(), err, c.calls, c.code, c.is)
		}
	}
}

func TestATransientFailureIsRepeatedUntilItPasses(t *testing.T) {
	t.Parallel()
	f := newFake(t, refused(503, "backendError", "x"), quota(403), refused(429, "rateLimitExceeded", "Too many concurrent requests for user."),
		answer{status: 200, body: "{"}, profileAnswer)
	m := f.open(&openPacer{})
	p, err := m.Profile(t.Context())
	if err != nil || p != (Profile{Email: "a@example.org", Messages: 3, Threads: 2, HistoryID: 77}) || m.Units() != 5 {
		t.Errorf("%+v, %v after %d units", p, err, m.Units())
	}
}

func TestBeingToldToSlowDownIsNoFailedTry(t *testing.T) {
	t.Parallel()
	m := newFake(t, profileAnswer).open(&openPacer{})
	a := attempts{mailbox: m, method: GetProfile, patience: &patience{whole: time.Minute}, pauses: &backoff.ExponentialBackOff{InitialInterval: time.Microsecond, MaxInterval: time.Microsecond, Multiplier: 1}}
	full, down := &googleapi.Error{Code: 429, Message: "Quota exceeded"}, &googleapi.Error{Code: 503}
	for i := range 3 * maxTries {
		if err := a.failed(t.Context(), time.Now(), full); err != nil {
			t.Fatalf("refusal %d: %v", i, err)
		}
	}
	for range maxTries - 1 {
		if err := a.failed(t.Context(), time.Now(), down); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.failed(t.Context(), time.Now(), down); sweep.CodeOf(err) != sweep.Unavailable {
		t.Errorf("after %d failures: %v", maxTries, err)
	}
}

func TestARefusedAccessTokenIsRenewedOnce(t *testing.T) {
	t.Parallel()
	f := newFake(t, refused(401, "authError", "Invalid Credentials"), profileAnswer)
	m := f.open(&openPacer{})
	for range 2 {
		if _, err := m.Profile(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	tokens := []string{}
	for _, r := range f.seen {
		tokens = append(tokens, r.Header.Get("Authorization"))
	}
	if got := strings.Join(tokens, ","); got != "Bearer a1,Bearer a2,Bearer a2" || f.tokens != 2 {
		t.Errorf("calls with %s, %d renewals", got, f.tokens)
	}
}

func TestTheTokenEndpointsRefusalsHaveTheirCodes(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]sweep.Code{
		`{"error":"invalid_grant","error_description":"Token has been expired or revoked."}`: sweep.MailboxNeedsReconnect,
		`{"error":"admin_policy_enforced"}`:                                                  sweep.Forbidden,
		`{"error":"invalid_client"}`:                                                         sweep.Unavailable,
	} {
		f := newFake(t, profileAnswer)
		f.token = answer{status: 400, body: body}
		_, err := f.open(&openPacer{}).Profile(t.Context())
		if sweep.CodeOf(err) != want || f.calls() != 0 || f.tokens != 1 || errors.Is(err, ErrProjectStopped) != (want == sweep.Unavailable) {
			t.Errorf("%s: %v, %d calls, %d token calls", body, err, f.calls(), f.tokens)
		}
	}
	f := newFake(t, profileAnswer)
	f.token = answer{status: 503, body: "<html>"}
	m := f.open(&openPacer{})
	m.client.TimeScale = 200 // of 150 ms of patience a busy machine does not take much
	if _, err := m.Profile(t.Context()); sweep.CodeOf(err) != sweep.Unavailable || f.tokens != 5 {
		t.Errorf("%v after %d token calls", err, f.tokens)
	}
}

func TestAToldTimeFarAwayClosesTheBucketAndIsGivenToTheCaller(t *testing.T) {
	t.Parallel()
	told := time.Now().Add(15 * time.Minute).UTC().Truncate(time.Millisecond)
	text := "User-rate limit exceeded.  Retry after " + told.Format("2006-01-02T15:04:05.000Z")
	for name, a := range map[string]answer{
		"text":           refused(429, "rateLimitExceeded", text),
		"text, sending":  refused(429, "rateLimitExceeded", text+" (Mail sending)"),
		"text in a 403":  refused(403, "userRateLimitExceeded", text),
		"header seconds": {status: 429, body: "{}", header: map[string]string{"Retry-After": "900"}},
		"header date":    {status: 429, body: "{}", header: map[string]string{"Retry-After": told.Format("Mon, 02 Jan 2006 15:04:05 GMT")}},
	} {
		f, p := newFake(t, a), &openPacer{}
		_, err := f.open(p).Profile(t.Context())
		var w *Wait
		if !errors.As(err, &w) || w.Until.Sub(told).Abs() > 3*time.Second || !p.closed.Equal(w.Until) || f.calls() != 1 {
			t.Errorf("%s: %v, closed until %v, told %v, %d calls", name, err, p.closed, told, f.calls())
		}
	}
}

func TestAToldTimeNearbyIsSleptOver(t *testing.T) {
	t.Parallel()
	told := time.Now().Add(250 * time.Millisecond)
	f := newFake(t, refused(429, "rateLimitExceeded", "User-rate limit exceeded.  Retry after "+told.UTC().Format(time.RFC3339Nano)), profileAnswer)
	p := &openPacer{}
	m := f.open(p)
	m.client.TimeScale = 20 // patience 1.5 s
	if _, err := m.Profile(t.Context()); err != nil || time.Now().Before(told) || p.closed.Before(told) {
		t.Errorf("%v at %v, told %v, closed until %v", err, time.Now(), told, p.closed)
	}
}

func TestAToldTimeOfYearsIsNotBelieved(t *testing.T) {
	t.Parallel()
	f := newFake(t, refused(429, "rateLimitExceeded", "Retry after 2999-01-01T00:00:00Z"))
	_, err := f.open(&openPacer{}).Profile(t.Context())
	var w *Wait
	if !errors.As(err, &w) || time.Until(w.Until) > 25*time.Hour {
		t.Errorf("%v", err)
	}
}

func TestARateRefusalThatOutlastsOurPatienceWaitsForAFreshMinute(t *testing.T) {
	t.Parallel()
	m := newFake(t, profileAnswer).open(&openPacer{})
	for step, want := range map[step]time.Duration{throttled: 60 * time.Millisecond, crowded: 60 * time.Millisecond, tryAgain: 0} {
		a, began := attempts{mailbox: m, pauses: m.client.pauses(), patience: &patience{}}, time.Now()
		if until := a.until(verdict{step: step}); until.Before(began.Add(want)) || until.After(time.Now().Add(want+2*time.Millisecond)) {
			t.Errorf("step %d: %v, want %v", step, until.Sub(began), want)
		}
	}
}

func TestErrorsTellNothingOfMailOrSecrets(t *testing.T) {
	t.Parallel()
	const private = "victim@private.example"
	answers := []answer{{}, {status: -1, body: "no HTTP " + private + "\r\n\r\n"}, {status: 200, body: `{"messages":"` + private + `"}`}, {status: 200, body: `{"messages":[{"id":"` + private + `"}]}`}, {status: 418, body: private}}
	for _, status := range []int{400, 401, 403, 404, 409, 429, 500} {
		answers = append(answers, refused(status, private, "Delegation denied for "+private), refused(status, "rateLimitExceeded", private))
	}
	for i, a := range answers {
		f := newFake(t, a)
		_, _, err := f.open(&openPacer{}).ListPage(t.Context(), Search{Q: "from:" + private}, "")
		checkSilent(t, fmt.Sprint(i), err, "victim", secretRefresh, "client-secret", "a1")
		f.token = answer{status: 400, body: `{"error":"x","error_description":"` + private + secretRefresh + `"}`}
		_, err = f.open(&openPacer{}).Profile(t.Context())
		checkSilent(t, fmt.Sprint(i, " token"), err, "victim", secretRefresh, "client-secret")
	}
}

func checkSilent(t *testing.T, name string, err error, secrets ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", name)
		return
	}
	for _, secret := range secrets {
		if strings.Contains(fmt.Sprintf("%+v", err), secret) {
			t.Errorf("%s: %q tells %q", name, err, secret)
		}
	}
}

func TestACallSleepsNoLongerThanItsPatienceInSum(t *testing.T) {
	t.Parallel()
	m := newFake(t, profileAnswer).open(&openPacer{})
	for name, cause := range map[string]error{"transient": io.EOF, "rate": &googleapi.Error{Code: 429}} {
		a := attempts{mailbox: m, method: GetProfile, pauses: m.client.pauses(), patience: &patience{}}
		if err := a.failed(t.Context(), time.Now(), cause); err == nil || errors.As(err, new(*Wait)) != (name == "rate") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestThePausesBetweenTriesAreCounted(t *testing.T) {
	t.Parallel()
	m := newFake(t, profileAnswer).open(&openPacer{})
	a := attempts{mailbox: m, method: GetProfile, patience: &patience{whole: 100 * time.Millisecond},
		pauses: &backoff.ExponentialBackOff{InitialInterval: 40 * time.Millisecond, MaxInterval: 40 * time.Millisecond, Multiplier: 1}}
	slept := 0
	for a.failed(t.Context(), time.Now(), &googleapi.Error{Code: 503}) == nil {
		slept++
	}
	if slept > 2 {
		t.Errorf("%d pauses of 40 ms in a patience of 100 ms", slept)
	}
}

// The bucket makes each try of a call wait two thirds of what the call may wait for altogether.
func TestAllThatACallWaitsForIsOnePatience(t *testing.T) {
	t.Parallel()
	f := newFake(t, refused(503, "backendError", "x"), profileAnswer)
	m := f.open(&openPacer{takes: 200 * time.Millisecond})
	m.client.TimeScale = 100 // 300 ms of patience
	_, err := m.Profile(t.Context())
	if !errors.As(err, new(*Wait)) || f.calls() != 1 {
		t.Errorf("%v after %d calls", err, f.calls())
	}
	gone := newFake(t, refused(404, "notFound", "Requested entity was not found."))
	m = gone.open(&openPacer{takes: 200 * time.Millisecond})
	m.client.TimeScale = 100
	_, err = m.Read(t.Context(), sweep.MessageID(uint64(time.Now().UnixMilli())<<20), false) // so young that it is asked for again
	if !errors.As(err, new(*Wait)) || gone.calls() != 1 {
		t.Errorf("%v after %d calls for young mail", err, gone.calls())
	}
}

func TestALimitThatIsNotTheTariffsIsTold(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]int{"6000": 0, "15000": 15_000, "x": 0} {
		told := 0
		m := newFake(t, answer{status: 429, body: `{"error":{"code":429,"message":"limit 'Queries per minute per user'","details":[{"@type":"x","reason":"RATE_LIMIT_EXCEEDED","metadata":{"quota_limit_value":"` + value + `"}}]}}`},
			profileAnswer).open(&openPacer{})
		m.client.OffTariff = func(_ context.Context, limit int) { told = limit }
		if _, err := m.Profile(t.Context()); err != nil || told != want {
			t.Errorf("%s: told %d, want %d, %v", value, told, want, err)
		}
	}
}

func TestARefusalClosesWhomItSpeaksOf(t *testing.T) {
	t.Parallel()
	whole := "Quota exceeded for quota metric 'Queries' and limit 'Queries per minute' of service 'gmail.googleapis.com'"
	told := time.Now().Add(time.Hour)
	text := " Retry after " + told.UTC().Format(time.RFC3339Nano)
	for name, c := range map[string]struct {
		answer           answer
		account, project bool
		slowed, crowded  int
	}{
		"a user's minute":          {quota(403), true, false, 1, 0},
		"a user's minute, told":    {refused(429, "rateLimitExceeded", "User-rate limit exceeded."+text), true, false, 0, 0},
		"the project's minute":     {refused(429, "rateLimitExceeded", whole), false, true, 0, 0},
		"the project's, 403":       {refused(403, "rateLimitExceeded", whole), false, true, 0, 0},
		"the project's, told":      {refused(429, "rateLimitExceeded", whole+text), false, true, 0, 0},
		"the project's day":        {refused(403, "dailyLimitExceeded", "Daily Limit Exceeded"), false, true, 0, 0},
		"the project's day, told":  {refused(403, "dailyLimitExceeded", "Daily Limit Exceeded"+text), false, true, 0, 0},
		"nobody answers, told":     {answer{status: 503, header: map[string]string{"Retry-After": "3600"}}, true, false, 0, 0},
		"nobody answers":           {answer{status: 503}, false, false, 0, 0},
		"no such thing":            {answer{status: 404}, false, false, 0, 0},
		"too many calls in flight": {refused(429, "rateLimitExceeded", "Too many concurrent requests for user."), false, false, 0, 1},
	} {
		p := &openPacer{}
		_, _ = newFake(t, c.answer, profileAnswer).open(p).Profile(t.Context())
		if p.closed.IsZero() == c.account || p.project.IsZero() == c.project || p.slowed != c.slowed || p.crowded != c.crowded {
			t.Errorf("%s: account closed until %v, project until %v, slowed %d times, %d crowds", name, p.closed, p.project, p.slowed, p.crowded)
		}
		if until := p.closed; strings.Contains(name, "told") && later(until, p.project).Sub(told).Abs() > 3*time.Second {
			t.Errorf("%s: closed until %v, told %v", name, later(until, p.project), told)
		}
	}
}

// held is a fake whose calls wait until the test lets them go on; served tells of each that was answered.
func held(t *testing.T, a answer) (f *fake, reached, over, served chan struct{}) {
	t.Helper()
	f, reached, over, served = newFake(t, a), make(chan struct{}, 10), make(chan struct{}), make(chan struct{}, 10)
	t.Cleanup(func() { close(over) })
	f.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/token" {
			reached <- struct{}{}
			<-over
			defer func() { served <- struct{}{} }()
		}
		f.ServeHTTP(w, r)
	})
	return f, reached, over, served
}

func TestAChangeThatHasLeftIsAwaitedAndNoneLeavesTooLate(t *testing.T) {
	t.Parallel()
	f, reached, over, _ := held(t, answer{status: 204})
	p := &openPacer{}
	m := f.open(p)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	modify := func() error { return m.Modify(ctx, []sweep.MessageID{1}, []string{"TRASH"}, nil) }
	go func() { ended <- modify() }()
	<-reached
	stop()
	select {
	case err := <-ended:
		t.Fatalf("it was not awaited: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	over <- struct{}{}
	if err := <-ended; err != nil || f.calls() != 1 {
		t.Errorf("%v after %d calls: it was answered", err, f.calls())
	}
	ctx, stop = context.WithCancel(t.Context())
	p.placed = stop
	if err := modify(); !errors.Is(err, context.Canceled) || len(reached) != 0 || p.flight != 0 {
		t.Errorf("%v, %d calls have left, %d places are taken", err, len(reached), p.flight)
	}
}

func TestACallThatSleepsBetweenTwoTriesEndsWithItsContext(t *testing.T) {
	t.Parallel()
	f, reached, over, served := held(t, refused(503, "backendError", "x"))
	m := f.open(&openPacer{})
	m.client.TimeScale = 0.05 // a first pause of 10 s at least
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- m.Modify(ctx, []sweep.MessageID{1}, []string{"TRASH"}, nil) }()
	<-reached
	over <- struct{}{}
	select {
	case <-served:
	case <-time.After(10 * time.Second):
		t.Fatal("the call was not answered")
	}
	began := time.Now()
	stop()
	if err := <-ended; !errors.Is(err, context.Canceled) || time.Since(began) > 5*time.Second || f.calls() != 1 {
		t.Errorf("%v after %s, %d calls", err, time.Since(began), f.calls())
	}
}
