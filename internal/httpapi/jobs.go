package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"mailsweep/internal/cleanup"
	"mailsweep/internal/sweep"
)

type jobsInput struct {
	Kind   string `query:"kind" enum:"analyze,dry_run,execute,undo"`
	State  string `query:"state" enum:"queued,running,waiting,succeeded,failed,canceled"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"20"`
	Cursor string `query:"cursor" maxLength:"500"`
}

type jobsOutput struct {
	Body struct {
		Items      []sweep.JobView `json:"items"`
		NextCursor string          `json:"next_cursor,omitempty"`
	} `nameHint:"Jobs"`
}

// JobPath names a job in the path.
type JobPath struct {
	ID string `path:"id" doc:"job_…"`
}

type waitInput struct {
	JobPath
	Wait        int    `query:"wait" minimum:"0" maximum:"30" doc:"Seconds to wait for a change: since If-None-Match, or since the request"`
	IfNoneMatch string `header:"If-None-Match" maxLength:"1000" doc:"The ETag of an earlier answer: 304 while nothing changed"`
}

type jobOutput struct {
	Status int
	ETag   string `header:"ETag"`
	Body   sweep.JobView
}

func (s *server) jobRoutes(api huma.API) {
	add(s, api, operation{method: http.MethodGet, path: "/api/v1/jobs", name: "list-jobs", role: sweep.Viewer, scope: sweep.ScopeRead, tag: "jobs", errors: []int{422}, summary: "Jobs, newest first"}, s.jobs)
	add(s, api, operation{method: http.MethodGet, path: "/api/v1/jobs/{id}", name: "get-job", role: sweep.Viewer, scope: sweep.ScopeRead, tag: "jobs", errors: []int{422},
		summary: "A job; with wait, as soon as it changes"}, s.job)
	add(s, api, operation{method: http.MethodGet, path: "/api/v1/jobs/{id}/events", name: "follow-job", role: sweep.Viewer, scope: sweep.ScopeRead, tag: "jobs",
		summary: "Server-sent events: job at each change, then end"}, s.follow)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/jobs/{id}/cancel", name: "cancel-job", role: sweep.Operator, scope: sweep.ScopeExecute, tag: "jobs", status: 202, errors: []int{409},
		summary: "Stop a job at its next batch's edge; what was done can be undone"}, s.cancel)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/jobs/{id}/pause", name: "pause-job", role: sweep.Operator, scope: sweep.ScopeExecute, tag: "jobs", status: 202, errors: []int{409},
		summary: "Let a job rest at its next batch's edge; it keeps its quota and its mailbox, for a week at most"}, s.pause)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/jobs/{id}/resume", name: "resume-job", role: sweep.Operator, scope: sweep.ScopeExecute, tag: "jobs", status: 202, errors: []int{409},
		summary: "Let a paused job go on where it was"}, s.resume)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/jobs/{id}/undo", name: "undo-job", admits: true, role: sweep.Operator, scope: sweep.ScopeExecute, tag: "jobs", status: 202, errors: []int{409, 410, 422},
		summary: "Restore the labels of every message that an execute changed"}, s.undo)
}

func (s *server) jobs(ctx context.Context, in *jobsInput) (*jobsOutput, error) {
	f := cleanup.JobFilter{Kind: sweep.JobKind(in.Kind), State: sweep.JobState(in.State), Limit: in.Limit, Cursor: in.Cursor}
	items, next, err := s.Cleanup.Jobs(ctx, actorOf(ctx).Customer, f)
	out := &jobsOutput{}
	out.Body.Items, out.Body.NextCursor = listed(items), next
	return out, err
}

// job answers at once, or with wait as soon as the job is another than the caller knows, at the latest when the wait or the process ends.
func (s *server) job(ctx context.Context, in *waitInput) (*jobOutput, error) {
	id, err := sweep.JobID.Parse(in.ID)
	if err != nil {
		return nil, err
	}
	customer := actorOf(ctx).Customer
	if known, ok := s.Cleanup.Changes.Version(customer, id); ok && in.Wait == 0 && matches(in.IfNoneMatch, known) {
		return &jobOutput{Status: http.StatusNotModified, ETag: etag(known)}, nil
	}
	view, version, err := s.Cleanup.Job(ctx, customer, id)
	if err == nil && in.Wait > 0 && !view.State.Done() && (in.IfNoneMatch == "" || matches(in.IfNoneMatch, version)) {
		view, version, err = s.await(ctx, customer, id, version, time.Duration(in.Wait)*time.Second)
	}
	if err != nil {
		return nil, err
	}
	out := &jobOutput{Status: http.StatusOK, ETag: etag(version), Body: view}
	if matches(in.IfNoneMatch, version) {
		out.Status = http.StatusNotModified
	}
	return out, nil
}

// await is a wait that the end of the process cuts short: the answer is then the job as it stands.
func (s *server) await(ctx context.Context, customer, job sweep.ID, since int64, wait time.Duration) (sweep.JobView, int64, error) {
	release, err := s.streams.open(customer)
	if err != nil {
		return sweep.JobView{}, 0, err
	}
	defer release()
	extend(ctx, wait+answerTime)
	waiting, cancel := s.untilDrain(ctx)
	defer cancel()
	view, version, err := s.Cleanup.WaitJob(waiting, customer, job, since, wait)
	if err != nil && waiting.Err() != nil && ctx.Err() == nil {
		return s.Cleanup.Job(ctx, customer, job)
	}
	return view, version, err
}

func (s *server) cancel(ctx context.Context, in *JobPath) (*acceptedOutput, error) {
	return order(ctx, in, s.Cleanup.Cancel)
}

func (s *server) pause(ctx context.Context, in *JobPath) (*acceptedOutput, error) {
	return order(ctx, in, s.Cleanup.Pause)
}

func (s *server) resume(ctx context.Context, in *JobPath) (*acceptedOutput, error) {
	return order(ctx, in, s.Cleanup.Resume)
}

func order(ctx context.Context, in *JobPath, do func(context.Context, sweep.Actor, sweep.ID) (sweep.JobView, error)) (*acceptedOutput, error) {
	id, err := sweep.JobID.Parse(in.ID)
	if err != nil {
		return nil, err
	}
	job, err := do(ctx, actorOf(ctx), id)
	return &acceptedOutput{Body: job}, err
}

func (s *server) undo(ctx context.Context, in *JobPath) (*acceptedOutput, error) {
	id, err := sweep.JobID.Parse(in.ID)
	if err != nil {
		return nil, err
	}
	job, err := s.Cleanup.SubmitUndo(ctx, actorOf(ctx), id, admission(ctx, "undo", in.ID))
	return admitted(ctx, job, err)
}

// etag names a version of a job: it grows with each change that a caller can see.
func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// matches compares weakly, as If-None-Match wants it (RFC 9110, 13.1.2).
func matches(header string, version int64) bool {
	for _, tag := range strings.Split(header, ",") {
		if tag = strings.TrimPrefix(strings.TrimSpace(tag), "W/"); tag == etag(version) || tag == "*" {
			return true
		}
	}
	return false
}
