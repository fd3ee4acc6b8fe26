package queue

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/hibiken/asynq"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/telemetry"
)

// The lines of tasks in Redis. Fairness between customers is made in PostgreSQL; lines only keep what somebody waits for apart from
// what takes long.
const (
	interactiveLine = "interactive"
	bulkLine        = "bulk"
	mailLine        = "mail"
	errandLine      = "errand"
	dutyLine        = "duty"
)

func lines() []string { return []string{interactiveLine, bulkLine, mailLine, errandLine, dutyLine} }

const (
	jobType   = "job:"
	dutyType  = "duty:"
	mailType  = "mail:send"
	requestID = "request_id"
	traceID   = "traceparent"
)

// How long a handler may take. A job's own lease in PostgreSQL is what guards it; asynq's default of 30 minutes would end a big one.
const (
	jobTimeout    = 12 * time.Hour
	mailTimeout   = 90 * time.Second
	errandTimeout = store.ErrandClaim - time.Minute
	dutyTimeout   = 10 * time.Minute
)

// manyTimes is never zero: asynq archives a task without retries left unrun when its worker dies, and an archived id is taken for ever.
const manyTimes = 1000

// Task says which job is to be worked on. Of several dispatches of one job only the newest epoch can be claimed.
type Task struct {
	Customer sweep.ID
	Job      sweep.ID
	Epoch    int
	Kind     sweep.JobKind
}

// Post says which post is to be sent. Of several dispatches of one post only the newest epoch can be claimed.
type Post struct {
	Customer sweep.ID
	ID       sweep.ID
	Epoch    int
}

// payload is all that Redis ever holds of a customer: ids.
type payload struct {
	Customer string `json:"customer_id"`
	Job      string `json:"job_id,omitempty"`
	Post     string `json:"post_id,omitempty"`
	Epoch    int    `json:"epoch"`
}

func lineOf(k sweep.JobKind) string {
	if k.Writes() {
		return bulkLine
	}
	return interactiveLine
}

func taskID(job sweep.ID, epoch int) string { return fmt.Sprintf("job:%s:%d", job, epoch) }

type client struct {
	asynq *asynq.Client
	trace *telemetry.Tracer
}

func (c client) job(ctx context.Context, d store.Dispatched) error {
	p := payload{Customer: d.Customer.String(), Job: d.Job.String(), Epoch: d.Epoch}
	typ := jobType + string(d.Kind)
	ctx, span := c.trace.Begin(ctx, d.Traceparent, telemetry.Producer, "dispatch", typ)
	headers := map[string]string{requestID: d.RequestID, traceID: cmp.Or(telemetry.Traceparent(ctx), d.Traceparent)}
	err := c.send(ctx, typ, p, headers, asynq.TaskID(taskID(d.Job, d.Epoch)), asynq.Queue(lineOf(d.Kind)), asynq.Timeout(jobTimeout))
	span.End(err != nil)
	return err
}

func (c client) post(ctx context.Context, d store.DuePost) error {
	p := payload{Customer: d.Customer.String(), Post: d.Post.String(), Epoch: d.Epoch}
	id := fmt.Sprintf("post:%s:%d", d.Post, d.Epoch)
	line, timeout := mailLine, mailTimeout
	if store.Errand(d.Kind) {
		line, timeout = errandLine, errandTimeout
	}
	return c.send(ctx, mailType, p, map[string]string{requestID: d.RequestID}, asynq.TaskID(id), asynq.Queue(line), asynq.Timeout(timeout))
}

// send puts a task into Redis. A task of the same id that is there already is this one: an earlier attempt whose answer was lost.
func (c client) send(ctx context.Context, typ string, p payload, headers map[string]string, opts ...asynq.Option) error {
	body, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode task: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	opts = append(opts, asynq.MaxRetry(manyTimes), asynq.Retention(0))
	if _, err := c.asynq.EnqueueContext(ctx, asynq.NewTaskWithHeaders(typ, body, headers), opts...); err != nil && !errors.Is(err, asynq.ErrTaskIDConflict) {
		return fmt.Errorf("enqueue %s: %w", typ, err)
	}
	return nil
}

func readTask(t *asynq.Task) (Task, error) {
	p, customer, err := readPayload(t)
	if err != nil {
		return Task{}, err
	}
	job, err := sweep.ParseUUID(p.Job)
	return Task{Customer: customer, Job: job, Epoch: p.Epoch, Kind: sweep.JobKind(strings.TrimPrefix(t.Type(), jobType))}, err
}

func readPost(t *asynq.Task) (Post, error) {
	p, customer, err := readPayload(t)
	if err != nil {
		return Post{}, err
	}
	id, err := sweep.ParseUUID(p.Post)
	return Post{Customer: customer, ID: id, Epoch: p.Epoch}, err
}

func readPayload(t *asynq.Task) (p payload, customer sweep.ID, err error) {
	if err := json.Unmarshal(t.Payload(), &p); err != nil {
		return p, customer, fmt.Errorf("decode task: %w", err)
	}
	customer, err = sweep.ParseUUID(p.Customer)
	return p, customer, err
}

// follow lets the log lines of a task carry the ids of the request that caused it.
func follow(ctx context.Context, t *asynq.Task) context.Context {
	if id := t.Headers()[requestID]; id != "" {
		ctx = telemetry.WithRequestID(ctx, id)
	}
	if trace := t.Headers()[traceID]; trace != "" {
		ctx = telemetry.WithTraceparent(ctx, trace)
	}
	return ctx
}
