package emulate

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"

	"mailsweep/internal/dev/customer"
	"mailsweep/internal/dev/local"
	"mailsweep/internal/dev/stack"
	"mailsweep/internal/sim/google"
)

// journey is the main job with the emulator in Google's place: connect, analyze, preview, execute, undo. What the emulator then holds decides.
func journey(ctx context.Context, o Options, p *proxy, mail []google.Message) error {
	dir := filepath.Join(o.Dir, "emulate")
	st, err := stack.Start(ctx, stack.Options{Dir: dir, Root: o.Root, Seed: 1, TimeScale: 60, Services: local.Options{Dir: dir, Private: true, Fresh: true},
		Say: func(format string, args ...any) { fmt.Printf(format+"\n", args...) },
		Env: map[string]string{"GOOGLE_AUTH_URL": p.url + "/o/oauth2/v2/auth", "GOOGLE_TOKEN_URL": p.url + "/token", "GOOGLE_REVOKE_URL": p.url + "/revoke",
			"GOOGLE_CERTS_URL": p.url + "/oauth2/v3/certs", "GMAIL_BASE_URL": p.url}})
	defer st.Stop()
	if err != nil {
		return err
	}
	c := &customer.Client{Base: st.API, Email: address}
	if err := c.SignUp(ctx, st.Sink, "quilted otters at dawn"); err != nil {
		return err
	}
	if err := c.Connect(ctx, address); err != nil {
		return err
	}
	before, err := p.state(ctx, mail)
	if err != nil {
		return err
	}
	if err := analyzed(ctx, c, mail); err != nil {
		return err
	}
	return p.thereAndBack(ctx, c, before, mail)
}

// analyzed compares the analysis with the mail that was put there.
func analyzed(ctx context.Context, c *customer.Client, mail []google.Message) error {
	var a struct {
		Messages, Unread int
		ByCategory       map[string]struct{ Messages int } `json:"by_category"`
	}
	if err := result(ctx, c, "/api/v1/gmail/analyze", struct{}{}, &a); err != nil {
		return err
	}
	var all, unread, promotions int
	for _, m := range mail {
		if gone(m.Labels) {
			continue
		}
		all++
		unread += count(m.Labels, "UNREAD")
		promotions += count(m.Labels, "CATEGORY_PROMOTIONS")
	}
	fmt.Printf("analyzed: %d of %d messages, %d of %d unread, %d of %d promotions\n", a.Messages, all, a.Unread, unread, a.ByCategory["promotions"].Messages, promotions)
	if a.Messages != all || a.Unread != unread || a.ByCategory["promotions"].Messages != promotions {
		return fmt.Errorf("the analysis is wrong: %+v", a)
	}
	return nil
}

func (p *proxy) thereAndBack(ctx context.Context, c *customer.Client, before map[string]string, mail []google.Message) error {
	var plan struct {
		ID      string `json:"cleanup_plan_id"`
		ToClean int    `json:"to_clean"`
	}
	if err := result(ctx, c, "/api/v1/gmail/cleanup/dry-run", json.RawMessage(`{"action":"trash","criteria":{"category":"promotions"}}`), &plan); err != nil {
		return err
	}
	var did struct{ Cleaned int }
	run, err := c.Run(ctx, "/api/v1/gmail/cleanup/execute", map[string]string{"cleanup_plan_id": plan.ID}, func(customer.Job) {})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(run.Result, &did); err != nil {
		return fmt.Errorf("read the result: %w", err)
	}
	after, err := p.state(ctx, mail)
	if err != nil {
		return err
	}
	changed := 0
	for id, labels := range after {
		if labels != before[id] {
			changed++
		}
	}
	fmt.Printf("executed: %d planned, %d cleaned, %d changed at the emulator\n", plan.ToClean, did.Cleaned, changed)
	if plan.ToClean == 0 || did.Cleaned != plan.ToClean || changed != plan.ToClean {
		return fmt.Errorf("the execute did not do what was previewed")
	}
	if err := result(ctx, c, "/api/v1/jobs/"+run.ID+"/undo", struct{}{}, &struct{}{}); err != nil {
		return err
	}
	if after, err = p.state(ctx, mail); err != nil {
		return err
	}
	for id, labels := range after {
		if labels != before[id] {
			return fmt.Errorf("message %s has the labels %s, before the run it had %s", id, labels, before[id])
		}
	}
	fmt.Printf("undone: all %d messages have the labels that they had before\n", len(after))
	return nil
}

func result(ctx context.Context, c *customer.Client, path string, in, out any) error {
	j, err := c.Run(ctx, path, in, func(customer.Job) {})
	if err != nil {
		return err
	}
	if err := json.Unmarshal(j.Result, out); err != nil {
		return fmt.Errorf("read the result: %w", err)
	}
	return nil
}

// state is what labels the emulator has for each message.
func (p *proxy) state(ctx context.Context, mail []google.Message) (map[string]string, error) {
	all := map[string]string{}
	for _, m := range mail {
		var one struct{ LabelIDs []string }
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, p.theirs.String()+users+"messages/"+url.PathEscape(m.ID)+"?format=minimal", nil)
		if err != nil {
			return nil, fmt.Errorf("read a message: %w", err)
		}
		req.Header.Set("Authorization", "Bearer "+theirToken)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return nil, fmt.Errorf("read a message: %w", err)
		}
		err = json.NewDecoder(resp.Body).Decode(&one)
		resp.Body.Close()
		if err != nil {
			return nil, fmt.Errorf("read a message: %w", err)
		}
		slices.Sort(one.LabelIDs)
		all[m.ID] = strings.Join(one.LabelIDs, " ")
	}
	return all, nil
}

func gone(labels []string) bool { return count(labels, "TRASH")+count(labels, "SPAM") > 0 }

func count(labels []string, one string) int {
	if slices.Contains(labels, one) {
		return 1
	}
	return 0
}
