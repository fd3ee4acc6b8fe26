package emulate

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"

	"mailsweep/internal/sim/google"
)

// question is one call made to both. Its answer is put down to a line of text; what both cannot share (sizes, tokens) is left out of it.
type question struct {
	what   string
	method string
	path   string
	body   string
	read   func(status int, body []byte) string
}

// verdict says of a question that the two answer differently who is right about Gmail, and why.
type verdict struct{ right, why string }

const (
	users   = "/gmail/v1/users/me/"
	ours    = "ours"
	theirs  = "the emulator"
	unknown = "not documented"
)

func search(q string) question {
	return question{what: "messages matching `" + q + "`", path: users + "messages?maxResults=500&fields=messages/id&q=" + url.QueryEscape(q), read: ids}
}

func labeled(extra string, labels ...string) question {
	v := url.Values{"labelIds": labels, "maxResults": {"500"}}
	return question{what: strings.TrimSpace("messages labeled `" + strings.Join(labels, " ") + "` " + extra), path: users + "messages?" + v.Encode() + extra, read: ids}
}

// questions about a mailbox that both have.
func questions(mail []google.Message) []question {
	sender, at := mail[0].From, mail[len(mail)/2]
	for _, m := range mail {
		if strings.Contains(m.From, "@") && slices.Contains(m.Labels, "CATEGORY_PROMOTIONS") {
			sender = m.From
			break
		}
	}
	_, domain, _ := strings.Cut(sender, "@")
	second := at.Date.Unix()
	list := []question{
		{what: "getProfile", path: users + "profile", read: status},
		{what: "messages.list, a page of 100", path: users + "messages?maxResults=100", read: func(_ int, b []byte) string { return fmt.Sprint(strings.Count(string(b), `"threadId"`), " messages") }},
		{what: "messages.list of nothing", path: users + "messages?q=" + url.QueryEscape("subject:nobodywritesthis"), read: func(_ int, b []byte) string {
			return fmt.Sprintf("messages key: %v", bytes.Contains(b, []byte(`"messages"`)))
		}},
		{what: "messages.list, fields=messages/id", path: users + "messages?maxResults=1&fields=messages/id", read: func(_ int, b []byte) string {
			return fmt.Sprintf("only ids: %v", !bytes.Contains(b, []byte("threadId")))
		}},
		{what: "messages.get of what is not there", path: users + "messages/18f0000000000000", read: reason},
		{what: "labels.get of a user label that is not there", path: users + "labels/Label_999", read: reason},
		{what: "labels.get INBOX", path: users + "labels/INBOX", read: func(_ int, b []byte) string {
			var l struct{ MessagesTotal, MessagesUnread *int }
			if json.Unmarshal(b, &l) != nil || l.MessagesTotal == nil || l.MessagesUnread == nil {
				return "no counts"
			}
			return fmt.Sprintf("%d, %d unread", *l.MessagesTotal, *l.MessagesUnread)
		}},
		{what: "history.list of ages ago", path: users + "history?startHistoryId=1", read: reason},
		{what: "history.list from what is no number", path: users + "history?startHistoryId=x", read: reason},
		labeled("", "INBOX"), labeled("", "UNREAD"), labeled("", "INBOX", "UNREAD"), labeled("", "CATEGORY_PROMOTIONS"), labeled("", "TRASH"), labeled("&includeSpamTrash=true", "TRASH"),
	}
	for _, q := range []string{"is:unread", "is:read", "is:starred", "is:important", "in:inbox", "-in:inbox", "in:sent", "in:trash", "in:anywhere", "category:promotions", "category:primary",
		"from:" + sender, `from:"` + sender + `"`, "from:" + domain, "from:" + sender[:3], "to:" + address, "has:userlabels", "has:nouserlabels",
		fmt.Sprintf("after:%d", second), fmt.Sprintf("before:%d", second), fmt.Sprintf("after:%d before:%d", second, second+1), "older_than:1y", "newer_than:1y",
		"larger:1", "smaller:100M", "is:unread OR is:starred", "{is:unread is:starred}", "-is:unread", "-category:promotions"} {
		list = append(list, search(q))
	}
	return append(list, []question{ // what may change the mailbox comes last
		{what: "batchModify of 1,001 ids", method: http.MethodPost, path: users + "messages/batchModify", body: many(1001), read: reason},
		{what: "batchModify of ids that are not there", method: http.MethodPost, path: users + "messages/batchModify", body: many(2), read: status},
		{what: "batchModify with a label that is not there", method: http.MethodPost, path: users + "messages/batchModify", body: `{"ids":["` + at.ID + `"],"addLabelIds":["Label_999"]}`, read: reason},
		{what: "batchModify that adds SENT", method: http.MethodPost, path: users + "messages/batchModify", body: `{"ids":["` + at.ID + `"],"addLabelIds":["SENT"]}`, read: status},
	}...)
}

func many(n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf("18f%013x", i)
	}
	raw, _ := json.Marshal(map[string]any{"ids": list, "addLabelIds": []string{"STARRED"}}) //nolint:errchkjson // strings
	return string(raw)
}

func status(code int, _ []byte) string { return fmt.Sprint(code) }

func reason(code int, body []byte) string {
	var e struct {
		Error struct{ Errors []struct{ Reason string } }
	}
	if json.Unmarshal(body, &e) == nil && len(e.Error.Errors) > 0 {
		return fmt.Sprintf("%d %s", code, e.Error.Errors[0].Reason)
	}
	return fmt.Sprint(code)
}

func ids(code int, body []byte) string {
	var l struct{ Messages []struct{ ID string } }
	if code != http.StatusOK || json.Unmarshal(body, &l) != nil {
		return reason(code, body)
	}
	var all []string
	for _, m := range l.Messages {
		all = append(all, m.ID)
	}
	slices.Sort(all)
	return fmt.Sprintf("%d messages, %08x", len(all), crc32.ChecksumIEEE([]byte(strings.Join(all, " "))))
}

// difference is a question with two answers.
type difference struct{ what, ours, theirs string }

// compare asks both and writes down where they differ.
func compare(ctx context.Context, report string, sim *google.Sim, p *proxy, mail []google.Message) error {
	t, err := sim.Grant(address, modify)
	if err != nil {
		return fmt.Errorf("grant access: %w", err)
	}
	own := httptest.NewServer(sim)
	defer own.Close()
	var found []difference
	list := questions(mail)
	for _, q := range list {
		a, err := q.ask(ctx, own.URL, t.Access)
		if err != nil {
			return err
		}
		b, err := q.ask(ctx, p.theirs.String(), theirToken) // not through the proxy: what that mends is a difference too
		if err != nil {
			return err
		}
		if a != b {
			found = append(found, difference{q.what, a, b})
		}
	}
	fmt.Printf("compared: %d questions, %d answered the same\n", len(list), len(list)-len(found))
	text, err := render(found, len(list))
	if report != "" {
		err = errors.Join(err, os.WriteFile(report, []byte(text), 0o644))
	}
	return err
}

func (q question) ask(ctx context.Context, base, token string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, cmp.Or(q.method, http.MethodGet), base+q.path, strings.NewReader(q.body))
	if err != nil {
		return "", fmt.Errorf("%s: %w", q.what, err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	if q.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("%s: %w", q.what, err)
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", fmt.Errorf("%s: %w", q.what, err)
	}
	return q.read(resp.StatusCode, raw), nil
}

// render writes the differences with their explanations. One without, or an explanation that nothing needs, is an error.
func render(found []difference, of int) (string, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "# Our simulator and @inbox-zero/emulate %s\n\nWritten by `make emulate`: both hold the same %d messages and are asked the same %d questions. Where they differ:\n\n", Release, messages, of)
	b.WriteString("| question | ours | the emulator | who is right | why |\n|---|---|---|---|---|\n")
	var wrong []error
	met := map[string]bool{}
	for _, d := range found {
		v, ok := verdicts[d.what]
		met[d.what] = true
		if !ok {
			wrong = append(wrong, fmt.Errorf("not explained: %s: ours %q, the emulator %q", d.what, d.ours, d.theirs))
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", d.what, d.ours, d.theirs, v.right, v.why)
	}
	for what := range verdicts {
		if !met[what] {
			wrong = append(wrong, fmt.Errorf("explained, but answered the same: %s", what))
		}
	}
	b.WriteString(mended)
	return b.String(), errors.Join(wrong...)
}
