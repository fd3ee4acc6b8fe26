package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"mailsweep/internal/dev/customer"
)

// run posts a job, follows it and keeps its figures under name.
func (w *walk) run(ctx context.Context, name, path string, in any) (json.RawMessage, string, error) {
	began := time.Now()
	b := newBar(name)
	j, err := w.api.Run(ctx, path, in, b.show)
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", name, err)
	}
	b.end(j)
	w.got.Seconds[name], w.got.Units[name] = time.Since(began).Seconds(), j.UnitsSpent
	return j.Result, j.ID, nil
}

func (w *walk) analyze(ctx context.Context) (err error) {
	w.got.Analysis, _, err = w.run(ctx, "analyze", "/api/v1/gmail/analyze", struct{}{})
	return err
}

// dryRun previews CRITERIA and ACTION, or the analysis's best suggestion.
func (w *walk) dryRun(ctx context.Context) (err error) {
	request, title, err := w.choice()
	if err != nil {
		return err
	}
	say("previewing: %s", title)
	w.got.DryRun, _, err = w.run(ctx, "dry_run", "/api/v1/gmail/cleanup/dry-run", request)
	return err
}

// request is the body of a dry run.
type request struct {
	Action     string          `json:"action"`
	Criteria   json.RawMessage `json:"criteria"`
	ConfirmAll bool            `json:"confirm_all,omitempty"`
}

func (w *walk) choice() (r request, title string, err error) {
	if w.Criteria != "" {
		return request{Action: or(w.Action, "trash"), Criteria: json.RawMessage(w.Criteria), ConfirmAll: true}, "the criteria given: " + w.Criteria, nil
	}
	var a struct {
		Suggestions []struct {
			Title    string          `json:"title"`
			Criteria json.RawMessage `json:"criteria"`
			Action   string          `json:"action"`
			Messages int             `json:"messages"`
		} `json:"suggestions"`
	}
	if err := json.Unmarshal(w.got.Analysis, &a); err != nil {
		return r, "", fmt.Errorf("read the analysis: %w", err)
	}
	for _, s := range a.Suggestions {
		if s.Messages > 0 {
			return request{Action: or(w.Action, s.Action), Criteria: s.Criteria}, fmt.Sprintf("the best suggestion, %q (%d messages)", s.Title, s.Messages), nil
		}
	}
	fallback := `{"all":[{"in":"inbox"},{"older_than_days":365}]}`
	return request{Action: or(w.Action, "archive"), Criteria: json.RawMessage(fallback)}, "inbox mail older than a year (the analysis suggests nothing)", nil
}

func (w *walk) execute(ctx context.Context) (err error) {
	var plan struct {
		ID string `json:"cleanup_plan_id"`
	}
	if err := json.Unmarshal(w.got.DryRun, &plan); err != nil {
		return fmt.Errorf("read the preview: %w", err)
	}
	var id string
	body := map[string]any{"cleanup_plan_id": plan.ID}
	w.got.Execute, id, err = w.run(ctx, "execute", "/api/v1/gmail/cleanup/execute", body)
	var p *customer.Problem
	if errors.As(err, &p) && p.Quota != nil {
		say("the plan does not fit into the quota that remains (%d): executing a part", p.Quota.Remaining)
		body["partial"] = true
		w.got.Execute, id, err = w.run(ctx, "execute", "/api/v1/gmail/cleanup/execute", body)
	}
	if err != nil {
		return err
	}
	w.executed = id
	if err := w.truth("after_execute"); err != nil {
		return err
	}
	return w.api.Do(ctx, http.MethodGet, "/api/v1/gmail/usage", nil, &w.got.UsageAfter)
}

func (w *walk) undo(ctx context.Context) (err error) {
	if w.got.Undo, _, err = w.run(ctx, "undo", "/api/v1/jobs/"+w.executed+"/undo", struct{}{}); err != nil {
		return err
	}
	if err := w.truth("after_undo"); err != nil {
		return err
	}
	return w.api.Do(ctx, http.MethodGet, "/api/v1/gmail/usage", nil, &w.got.UsageAfterUndo)
}
