// Package probe finds out what Google does not say about Gmail: in a mailbox of an operator's own, with mail that it inserts itself under a
// label of its own, and nothing else is touched.
package probe

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Concurrency is the finding that is no switch of the simulated Gmail but a number of its own.
const Concurrency = "concurrency"

// Finding is the answer to one question. Setting and Value are as the simulated Gmail takes them.
type Finding struct {
	Setting string
	Value   string // "" when the mailbox did not tell
	Saw     string // what it was told by
}

// Options say where to probe. Client adds the access token, and lets only a probe's calls out.
type Options struct {
	Client *http.Client
	Base   string
	Wait   time.Duration // for inserted mail to be found by searches
	Minute time.Duration // of Gmail's quota
	Say    func(string)
}

// Run probes and cleans up: what it inserted goes to Trash, its label is deleted. What it could not find out has no value; an error says that
// probing itself failed, the findings so far are given all the same.
func Run(ctx context.Context, o Options) (list []Finding, err error) {
	p := &probe{Options: o}
	if err := p.begin(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, p.end(context.WithoutCancel(ctx))) }()
	for _, q := range questions() {
		f := Finding{Setting: q.setting}
		if f.Value, f.Saw, err = q.ask(p, ctx); err != nil {
			return list, fmt.Errorf("find out %s: %w", q.setting, err)
		}
		p.Say(fmt.Sprintf("%-20s %-8s %s", f.Setting, f.Value, f.Saw))
		list = append(list, f)
	}
	return list, nil
}

// question is an experiment.
type question struct {
	setting string
	ask     func(*probe, context.Context) (value, saw string, err error)
}

// probe is a run.
type probe struct {
	Options
	label  string // id of the scratch label
	word   string // in every subject, and nowhere else
	ids    []string
	spaced int // messages inserted so far: each has a second of its own
	began  time.Time
	spent  *spending // the minute, once it has been used up
}

func (p *probe) begin(ctx context.Context) error {
	p.began = time.Now().Truncate(time.Second)
	p.word = fmt.Sprintf("probe%x", p.began.Unix())
	var made struct{ ID string }
	if err := p.call(ctx, http.MethodPost, "labels", map[string]string{"name": "mailsweep-" + p.word}, &made); err != nil {
		return fmt.Errorf("make a scratch label: %w", err)
	}
	p.label = made.ID
	return nil
}

// end leaves the mailbox as it was, but for inserted mail in Trash: a right to delete for good is not asked for.
func (p *probe) end(ctx context.Context) error {
	var errs []error
	for ids := p.ids; len(ids) > 0; {
		part := ids[:min(len(ids), 1000)]
		ids = ids[len(part):]
		errs = append(errs, p.modify(ctx, part, []string{"TRASH"}, []string{"INBOX"}))
	}
	return errors.Join(append(errs, p.call(ctx, http.MethodDelete, "labels/"+p.label, nil, nil))...)
}

// mail is one message to insert. Its labels are beside the scratch label.
type mail struct {
	subject, body string
	size          int // the body is filled up to about that many bytes in all
	labels        []string
}

// insert puts a message a minute older than the last into the mailbox, dated to the second, and gives its id and date.
func (p *probe) insert(ctx context.Context, m mail) (id string, at time.Time, err error) {
	p.spaced++
	at = p.began.Add(-time.Duration(p.spaced) * time.Minute)
	text := fmt.Sprintf("From: Probe <probe@mailsweep.example>\r\nTo: probe@mailsweep.example\r\nSubject: %s %s\r\nDate: %s\r\nMessage-ID: <%s.%d@mailsweep.example>\r\n\r\n%s\r\n",
		p.word, m.subject, at.UTC().Format(time.RFC1123Z), p.word, p.spaced, m.body)
	if fill := m.size - len(text); fill > 0 {
		text += strings.Repeat("x", fill)
	}
	var made struct{ ID string }
	body := map[string]any{"raw": base64.URLEncoding.EncodeToString([]byte(text)), "labelIds": append([]string{p.label}, m.labels...)}
	if err := p.call(ctx, http.MethodPost, "messages?internalDateSource=dateHeader", body, &made); err != nil {
		return "", at, fmt.Errorf("insert a message: %w", err)
	}
	p.ids = append(p.ids, made.ID)
	return made.ID, at, nil
}

// found says whether a search within the scratch label finds the message. It gives the search index its time: what is there must be found by
// its label first.
func (p *probe) found(ctx context.Context, q, id string) (bool, error) {
	for end := time.Now().Add(p.Wait); ; {
		all, err := p.list(ctx, url.Values{"labelIds": {p.label}, "q": {p.word}, "includeSpamTrash": {"true"}})
		if err != nil {
			return false, err
		}
		if slices.Contains(all.ids(), id) {
			break
		}
		if time.Now().After(end) {
			return false, fmt.Errorf("an inserted message is not found after %s", p.Wait)
		}
		time.Sleep(min(time.Second, p.Wait/10))
	}
	hits, err := p.list(ctx, url.Values{"labelIds": {p.label}, "q": {q}})
	return slices.Contains(hits.ids(), id), err
}

// page is an answer of messages.list.
type page struct {
	Messages           []struct{ ID string }
	NextPageToken      string
	ResultSizeEstimate int
}

func (p page) ids() (list []string) {
	for _, m := range p.Messages {
		list = append(list, m.ID)
	}
	return list
}

// list is never made without the scratch label.
func (p *probe) list(ctx context.Context, v url.Values) (one page, err error) {
	if !slices.Contains(v["labelIds"], p.label) {
		return one, errors.New("a listing without the scratch label")
	}
	err = p.call(ctx, http.MethodGet, "messages?"+v.Encode(), nil, &one)
	return one, err
}

// modify is never made of what was not inserted here.
func (p *probe) modify(ctx context.Context, ids, add, remove []string) error {
	for _, id := range ids {
		if !slices.Contains(p.ids, id) {
			return errors.New("a change of mail that is not the probe's")
		}
	}
	return p.call(ctx, http.MethodPost, "messages/batchModify", map[string]any{"ids": ids, "addLabelIds": add, "removeLabelIds": remove}, nil)
}

func (p *probe) labels(ctx context.Context, id string) (labels []string, size int64, err error) {
	var m struct {
		LabelIDs     []string
		SizeEstimate int64
	}
	err = p.call(ctx, http.MethodGet, "messages/"+id+"?format=minimal", nil, &m)
	return m.LabelIDs, m.SizeEstimate, err
}

// refusal is an answer that is no success.
type refusal struct {
	status int
	header http.Header
	body   []byte
}

func (r *refusal) Error() string { return fmt.Sprintf("Gmail answered %d: %.300s", r.status, r.body) }

// call makes one call; out takes the answer.
func (p *probe) call(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return fmt.Errorf("encode the request: %w", err)
		}
		body = bytes.NewReader(raw)
	}
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(p.Base, "/")+"/gmail/v1/users/me/"+path, body)
	if err != nil {
		return fmt.Errorf("make the request: %w", err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := p.Client.Do(req)
	if err != nil {
		return fmt.Errorf("call Gmail: %w", err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return fmt.Errorf("read Gmail's answer: %w", err)
	}
	if resp.StatusCode >= 300 {
		return &refusal{resp.StatusCode, resp.Header, raw}
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("read Gmail's answer: %w", err)
	}
	return nil
}
