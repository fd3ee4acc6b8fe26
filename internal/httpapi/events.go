package httpapi

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/labstack/echo/v4"

	"mailsweep/internal/sweep"
)

const (
	heartbeat  = 15 * time.Second // silence after which a comment is sent, so that proxies keep the connection
	answerTime = 10 * time.Second // to write an answer, or one event
	maxStreams = 50               // waits and streams of one customer in one process
)

type followInput struct {
	JobPath
	LastEventID string `header:"Last-Event-ID" maxLength:"40" doc:"The id of the last event received: the stream goes on after it"`
}

// follow streams the job at each change. What can be refused is refused before the stream begins.
func (s *server) follow(ctx context.Context, in *followInput) (*huma.StreamResponse, error) {
	id, err := sweep.JobID.Parse(in.ID)
	if err != nil {
		return nil, err
	}
	view, version, err := s.Cleanup.Job(ctx, actorOf(ctx).Customer, id)
	if err != nil {
		return nil, err
	}
	release, err := s.streams.open(actorOf(ctx).Customer)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer release()
		defer s.streaming()()
		hc.SetHeader("Content-Type", "text/event-stream")
		hc.SetHeader("X-Accel-Buffering", "no")
		hc.SetStatus(http.StatusOK)
		out := stream{ctx: hc.Context(), w: hc.BodyWriter()}
		if in.LastEventID != fmt.Sprint(version) || view.State.Done() {
			out.job(view, version)
		} else {
			out.write(": nothing new\n\n") // the reader sees at once that the stream has begun
		}
		s.stream(hc.Context(), id, version, view.State.Done(), &out)
	}}, nil
}

// stream sends changes until the job is over, the reader leaves, the token ends or the process drains. Only the first sends end:
// after the others a reader comes back.
func (s *server) stream(ctx context.Context, id sweep.ID, version int64, done bool, out *stream) {
	ctx, cancel := s.untilDrain(ctx)
	defer cancel()
	for !done && out.err == nil {
		view, next, err := s.Cleanup.WaitJob(ctx, actorOf(ctx).Customer, id, version, heartbeat)
		if err != nil {
			return
		}
		if err := s.again(ctx); err != nil { // however busy the job is: what ends a session ends its streams
			return
		}
		if next == version {
			out.write(": still here\n\n")
			continue
		}
		out.job(view, next)
		version, done = next, view.State.Done()
	}
	if done {
		out.write("event: end\ndata: {}\n\n")
	}
}

// stream writes server-sent events and remembers the first failure.
type stream struct {
	ctx    context.Context
	w      interface{ Write([]byte) (int, error) }
	render func(sweep.JobView) ([]byte, error) // nil: JSON
	err    error
}

func (o *stream) job(view sweep.JobView, version int64) {
	render := o.render
	if render == nil {
		render = func(view sweep.JobView) ([]byte, error) { return encode(view) }
	}
	data, err := render(view)
	if err != nil {
		o.err = err
		return
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "id: %d\nevent: job\ndata: %s\n\n", version, lines(data))
	o.write(b.String())
}

func (o *stream) write(text string) {
	if o.err != nil {
		return
	}
	extend(o.ctx, answerTime)
	if _, o.err = o.w.Write([]byte(text)); o.err == nil {
		o.err = controller(o.ctx).Flush()
	}
}

// streaming counts a stream until its end.
func (s *server) streaming() (end func()) {
	if s.Streams == nil {
		return func() {}
	}
	s.Streams(+1)
	return func() { s.Streams(-1) }
}

// streams bounds the connections that one customer can hold.
type streams struct {
	mu   sync.Mutex
	held map[sweep.ID]int
}

// open counts one more wait or stream of the customer.
func (t *streams) open(customer sweep.ID) (release func(), err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.held[customer] >= maxStreams {
		return nil, sweep.Errorf(sweep.RateLimited, "at most %d open waits and streams", maxStreams).With("retry_after", 5)
	}
	if t.held == nil {
		t.held = map[sweep.ID]int{}
	}
	t.held[customer]++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if t.held[customer]--; t.held[customer] <= 0 {
			delete(t.held, customer)
		}
	}, nil
}

// keepWriter puts the connection's controller into the context, for answers that outlast the server's deadlines.
func (s *server) keepWriter(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		ctx := context.WithValue(c.Request().Context(), writerKey, http.NewResponseController(c.Response()))
		c.SetRequest(c.Request().WithContext(ctx))
		return next(c)
	}
}

func controller(ctx context.Context) *http.ResponseController {
	c, _ := ctx.Value(writerKey).(*http.ResponseController)
	return c
}

// extend lets the answer be written until then, whatever the server's own deadline is.
func extend(ctx context.Context, by time.Duration) {
	_ = controller(ctx).SetWriteDeadline(time.Now().Add(by)) // a connection that knows no deadlines needs none moved
}

// untilDrain is ctx until the process begins to stop.
func (s *server) untilDrain(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(ctx)
	if s.Draining == nil {
		return ctx, cancel
	}
	stop := context.AfterFunc(s.Draining, cancel)
	return ctx, func() {
		stop()
		cancel()
	}
}
