package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"mailsweep/internal/cleanup"
	"mailsweep/internal/sweep"
)

type analyzeInput struct {
	Body *struct {
		MailboxID string `json:"mailbox_id,omitempty" doc:"Not needed with exactly one mailbox"`
	} `nameHint:"Analyze"`
}

// CleanupOptions is what a preview and an execute without one take beside criteria and action.
type CleanupOptions struct {
	MailboxID           string       `json:"mailbox_id,omitempty" doc:"Not needed with exactly one mailbox"`
	Label               string       `json:"label,omitempty" maxLength:"225" doc:"Name of the label, with action label"`
	Protect             *protectBody `json:"protect,omitempty"`
	KeepNewestPerSender int          `json:"keep_newest_per_sender,omitempty" minimum:"0" maximum:"100000"`
	ConfirmAll          bool         `json:"confirm_all,omitempty" doc:"Needed when the criteria match every message"`
}

type dryRunInput struct {
	Body struct {
		Action   string      `json:"action" enum:"trash,archive,mark_read,label"`
		Criteria rawCriteria `json:"criteria"`
		CleanupOptions
	} `nameHint:"DryRun"`
}

type executeInput struct {
	Body struct {
		CleanupPlanID string      `json:"cleanup_plan_id,omitempty" doc:"pln_… of a preview; or else the preview's own fields, with max_messages"`
		Partial       bool        `json:"partial,omitempty" doc:"If not everything fits into the quota, clean what fits, oldest first"`
		MaxMessages   int         `json:"max_messages,omitempty" minimum:"1" maximum:"10000000" doc:"Without cleanup_plan_id: refuse to change more than this"`
		Action        string      `json:"action,omitempty" enum:"trash,archive,mark_read,label"`
		Criteria      rawCriteria `json:"criteria,omitempty"`
		CleanupOptions
	} `nameHint:"Execute"`
}

type countInput struct {
	Body struct {
		MailboxID string      `json:"mailbox_id,omitempty" doc:"Not needed with exactly one mailbox"`
		Criteria  rawCriteria `json:"criteria"`
	} `nameHint:"Count"`
}

type countOutput struct{ Body cleanup.CountResult }

type acceptedOutput struct {
	Location string `header:"Location" doc:"Of the job"`
	Body     sweep.JobView
}

// finish says where the job can be followed.
func (o *acceptedOutput) finish(*server) { o.Location = "/api/v1/jobs/" + o.Body.ID }

// admitted answers with the job, or with the first answer to its key.
func admitted(ctx context.Context, job sweep.JobView, err error) (*acceptedOutput, error) {
	if err == nil && job.Replayed {
		askedOf(ctx).again()
	}
	return &acceptedOutput{Body: job}, err
}

func (s *server) cleanupRoutes(api huma.API) {
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/gmail/analyze", name: "analyze", admits: true, role: sweep.Operator, scope: sweep.ScopeAnalyze, tag: "cleanup", status: 202, errors: []int{402, 404, 409},
		summary: "Analyze a mailbox; free. While one is open, that job is answered"}, s.analyze)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/gmail/cleanup/dry-run", name: "dry-run", admits: true, role: sweep.Operator, scope: sweep.ScopeAnalyze, tag: "cleanup", status: 202, errors: []int{402, 404, 409},
		summary: "Preview a cleanup: freezes the set of messages; free, changes nothing"}, s.dryRun)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/gmail/cleanup/execute", name: "execute", admits: true, role: sweep.Operator, scope: sweep.ScopeExecute, tag: "cleanup", status: 202, errors: []int{402, 404, 409, 410},
		summary: "Execute a cleanup plan: those messages or fewer, never one more"}, s.execute)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/gmail/cleanup/count", name: "count", reads: true, role: sweep.Operator, scope: sweep.ScopeAnalyze, tag: "cleanup", errors: []int{404},
		summary: "Count matches from the index, live; costs no Gmail units"}, s.count)
}

func (s *server) analyze(ctx context.Context, in *analyzeInput) (*acceptedOutput, error) {
	var target cleanup.Target
	if in.Body != nil {
		var err error
		if target, err = targetOf(in.Body.MailboxID); err != nil {
			return nil, err
		}
	}
	job, err := s.Cleanup.SubmitAnalyze(ctx, actorOf(ctx), target, admission(ctx, "analyze", ""))
	return admitted(ctx, job, err)
}

func (s *server) dryRun(ctx context.Context, in *dryRunInput) (*acceptedOutput, error) {
	request, err := in.Body.request(in.Body.Action, in.Body.Criteria)
	if err != nil {
		return nil, err
	}
	job, err := s.Cleanup.SubmitDryRun(ctx, actorOf(ctx), request, admission(ctx, "dry-run", ""))
	return admitted(ctx, job, err)
}

func (s *server) execute(ctx context.Context, in *executeInput) (*acceptedOutput, error) {
	request, err := in.request()
	if err != nil {
		return nil, err
	}
	job, err := s.Cleanup.SubmitExecute(ctx, actorOf(ctx), request, admission(ctx, "execute", ""))
	return admitted(ctx, job, err)
}

func (in *executeInput) request() (r cleanup.ExecuteRequest, err error) {
	b := in.Body
	r.Partial, r.MaxMessages = b.Partial, b.MaxMessages
	if b.CleanupPlanID == "" {
		direct, err := b.request(b.Action, b.Criteria)
		r.Direct = &direct
		return r, err
	}
	if b.Action != "" || len(b.Criteria) > 0 || b.MaxMessages > 0 || b.CleanupOptions != (CleanupOptions{}) {
		return r, sweep.Errorf(sweep.Invalid, "a cleanup plan says it all: only partial goes with it").At("body.cleanup_plan_id", "goes with partial only")
	}
	r.Plan, err = sweep.PlanID.Parse(b.CleanupPlanID)
	return r, err
}

func (s *server) count(ctx context.Context, in *countInput) (*countOutput, error) {
	criteria, err := in.Body.Criteria.parse()
	if err != nil {
		return nil, err
	}
	target, err := targetOf(in.Body.MailboxID)
	if err != nil {
		return nil, err
	}
	n, err := s.Cleanup.Count(ctx, actorOf(ctx).Customer, target, criteria)
	return &countOutput{Body: n}, err
}

// request checks what can be checked without the mailbox. An absent action is found by the use case, with the rest of its rules.
func (o CleanupOptions) request(action string, criteria rawCriteria) (r cleanup.DryRunRequest, err error) {
	if r.Spec.Criteria, err = criteria.parse(); err != nil {
		return r, err
	}
	if r.Target, err = targetOf(o.MailboxID); err != nil {
		return r, err
	}
	r.Spec.Action, r.Spec.Label, r.Spec.Protect = sweep.Action(action), o.Label, o.Protect.protect()
	r.Spec.KeepNewestPerSender, r.ConfirmAll = o.KeepNewestPerSender, o.ConfirmAll
	return r, nil
}

// targetOf names a mailbox; none means the only one.
func targetOf(id string) (t cleanup.Target, err error) {
	if id != "" {
		t.Mailbox, err = sweep.MailboxID.Parse(id)
	}
	return t, err
}
