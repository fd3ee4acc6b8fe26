package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"slices"
	"sync"
	"time"
)

// questions in the order that costs least: each inserts its own mail.
func questions() []question {
	return []question{
		{"trash_drops_inbox", trashDropsInbox}, {"trash_label_hidden", trashLabelHidden}, {"labels_skip_hidden", labelsSkipHidden},
		{"profile_skips_hidden", profileSkipsHidden}, {"after_excludes", afterExcludes}, {"before_includes", beforeIncludes}, {"rough_sizes", roughSizes},
		{"larger_includes", largerIncludes}, {"smaller_includes", smallerIncludes}, {"decimal_sizes", decimalSizes}, {"unknown_finds_none", unknownFindsNone},
		{"swallow_words", swallowWords}, {"page_tokens", pageTokens}, {"estimate", estimate}, {"encoding", encoding}, {"no_categories", noCategories},
		{Concurrency, concurrency}, {"refusals", refusals}, {"retry_header", retryHeader}, {"fixed_window", fixedWindow}, {"charge_refused", chargeRefused},
	}
}

func told(yes bool, saw string) (string, string, error) { return fmt.Sprint(yes), saw, nil }

func trashDropsInbox(p *probe, ctx context.Context) (string, string, error) {
	id, _, err := p.insert(ctx, mail{subject: "trash", labels: []string{"INBOX"}})
	if err != nil {
		return "", "", err
	}
	if err := p.modify(ctx, []string{id}, []string{"TRASH"}, nil); err != nil {
		return "", "", err
	}
	labels, _, err := p.labels(ctx, id)
	if err != nil {
		return "", "", err
	}
	return told(!slices.Contains(labels, "INBOX"), fmt.Sprintf("after TRASH was added the labels are %v", labels))
}

// trashed inserts a message and puts it into Trash.
func (p *probe) trashed(ctx context.Context) (string, error) {
	id, _, err := p.insert(ctx, mail{subject: "trashed"})
	if err != nil {
		return "", err
	}
	return id, p.modify(ctx, []string{id}, []string{"TRASH"}, nil)
}

func trashLabelHidden(p *probe, ctx context.Context) (string, string, error) {
	id, err := p.trashed(ctx)
	if err != nil {
		return "", "", err
	}
	if _, err := p.found(ctx, p.word, id); err != nil { // waits until searches know of it
		return "", "", err
	}
	list, err := p.list(ctx, url.Values{"labelIds": {p.label, "TRASH"}})
	if err != nil {
		return "", "", err
	}
	return told(!slices.Contains(list.ids(), id), fmt.Sprintf("labelIds=TRASH without includeSpamTrash lists %d messages", len(list.Messages)))
}

func labelsSkipHidden(p *probe, ctx context.Context) (string, string, error) {
	total := func() (n int, err error) {
		var l struct{ MessagesTotal int }
		err = p.call(ctx, http.MethodGet, "labels/"+p.label, nil, &l)
		return l.MessagesTotal, err
	}
	before, err := total()
	if err != nil {
		return "", "", err
	}
	if _, err := p.trashed(ctx); err != nil {
		return "", "", err
	}
	after, err := total()
	if err != nil {
		return "", "", err
	}
	return told(after == before, fmt.Sprintf("a message inserted and trashed took the label's count from %d to %d", before, after))
}

func profileSkipsHidden(p *probe, ctx context.Context) (string, string, error) {
	total := func() (n int, err error) {
		var l struct{ MessagesTotal int }
		err = p.call(ctx, http.MethodGet, "profile", nil, &l)
		return l.MessagesTotal, err
	}
	before, err := total()
	if err != nil {
		return "", "", err
	}
	const n = 5 // mail that arrives meanwhile does not hide them
	for range n {
		if _, err := p.trashed(ctx); err != nil {
			return "", "", err
		}
	}
	after, err := total()
	if err != nil {
		return "", "", err
	}
	return told(after-before < n, fmt.Sprintf("%d messages inserted and trashed took the profile's count from %d to %d", n, before, after))
}

func afterExcludes(p *probe, ctx context.Context) (string, string, error) {
	return p.edge(ctx, "after", true)
}

func beforeIncludes(p *probe, ctx context.Context) (string, string, error) {
	return p.edge(ctx, "before", false)
}

// edge asks whether a date operator finds a message of its own second.
func (p *probe) edge(ctx context.Context, operator string, without bool) (string, string, error) {
	id, at, err := p.insert(ctx, mail{subject: operator})
	if err != nil {
		return "", "", err
	}
	q := fmt.Sprintf("%s:%d", operator, at.Unix())
	found, err := p.found(ctx, q, id)
	if err != nil {
		return "", "", err
	}
	return told(found != without, fmt.Sprintf("%s finds a message of that second: %v", q, found))
}

func largerIncludes(p *probe, ctx context.Context) (string, string, error) {
	return p.sizeEdge(ctx, "larger")
}

func smallerIncludes(p *probe, ctx context.Context) (string, string, error) {
	return p.sizeEdge(ctx, "smaller")
}

// around inserts a message and asks a size operator at the size that Gmail tells of it, and one byte to either side.
func (p *probe) around(ctx context.Context, operator string) (found [3]bool, saw string, err error) {
	id, _, err := p.insert(ctx, mail{subject: operator, size: 3000})
	if err != nil {
		return found, "", err
	}
	_, size, err := p.labels(ctx, id)
	if err != nil {
		return found, "", err
	}
	for i := range found {
		if found[i], err = p.found(ctx, fmt.Sprintf("%s:%d", operator, size-1+int64(i)), id); err != nil {
			return found, "", err
		}
	}
	return found, fmt.Sprintf("%s finds a message of %d bytes at %d, %d, %d: %v", operator, size, size-1, size, size+1, found), nil
}

// sizeEdge asks whether a size operator finds a message of its own size. It cannot tell where searches know another size.
func (p *probe) sizeEdge(ctx context.Context, operator string) (string, string, error) {
	found, saw, err := p.around(ctx, operator)
	if err != nil || found[0] == found[2] {
		return "", saw, err
	}
	return told(found[1], saw)
}

// roughSizes asks more than once: an estimate may be right by chance.
func roughSizes(p *probe, ctx context.Context) (string, string, error) {
	for range 3 {
		found, saw, err := p.around(ctx, "larger")
		if err != nil || found[0] == found[2] {
			return fmt.Sprint(err == nil), saw, err
		}
	}
	return told(false, "the size that Gmail tells is the one that larger: compares")
}

func decimalSizes(p *probe, ctx context.Context) (string, string, error) {
	id, _, err := p.insert(ctx, mail{subject: "kilo", size: 10_120})
	if err != nil {
		return "", "", err
	}
	found, err := p.found(ctx, "larger:10K", id)
	if err != nil {
		return "", "", err
	}
	return told(found, fmt.Sprintf("larger:10K finds a message of about 10,120 bytes: %v", found))
}

func unknownFindsNone(p *probe, ctx context.Context) (string, string, error) {
	id, _, err := p.insert(ctx, mail{subject: "nosuchoperator value"})
	if err != nil {
		return "", "", err
	}
	found, err := p.found(ctx, "nosuchoperator:value", id)
	if err != nil {
		return "", "", err
	}
	return told(!found, fmt.Sprintf("nosuchoperator:value finds a message with both words: %v", found))
}

func swallowWords(p *probe, ctx context.Context) (string, string, error) {
	id, _, err := p.insert(ctx, mail{subject: "quinces", body: "medlars"})
	if err != nil {
		return "", "", err
	}
	plain, err := p.found(ctx, "medlars", id)
	if err != nil {
		return "", "", err
	}
	found, err := p.found(ctx, "subject:quinces medlars", id)
	if err != nil {
		return "", "", err
	}
	if !plain {
		return "", "the body is not searched", nil
	}
	return told(!found, fmt.Sprintf("subject:quinces medlars finds a message with the second word in its body: %v", found))
}

// pageTokens takes messages of the first page out of the result before it asks for the second.
func pageTokens(p *probe, ctx context.Context) (string, string, error) {
	const n, size, gone = 12, "4", 2
	var last string
	for range n {
		id, _, err := p.insert(ctx, mail{subject: "paging"})
		if err != nil {
			return "", "", err
		}
		last = id
	}
	v := url.Values{"labelIds": {p.label}, "q": {"subject:paging"}, "maxResults": {size}}
	if _, err := p.found(ctx, "subject:paging", last); err != nil {
		return "", "", err
	}
	first, err := p.list(ctx, v)
	if err != nil {
		return "", "", err
	}
	whole, err := p.list(ctx, url.Values{"labelIds": {p.label}, "q": {"subject:paging"}})
	if err != nil || len(whole.Messages) != n || len(first.Messages) != 4 {
		return "", fmt.Sprintf("%d of %d messages are listed", len(whole.Messages), n), err
	}
	if err := p.modify(ctx, first.ids()[:gone], nil, []string{p.label}); err != nil {
		return "", "", err
	}
	v.Set("pageToken", first.NextPageToken)
	second, err := p.list(ctx, v)
	var refused *refusal
	switch {
	case errors.As(err, &refused) && refused.status == http.StatusBadRequest:
		return "expire", "a page token is refused after a change of the result", nil
	case err != nil:
		return "", "", err
	case len(second.Messages) == 0:
		return "", "the second page is empty", nil
	}
	expected := whole.ids()[4:]
	if second.ids()[0] == expected[0] {
		return "cursor", "the second page goes on where the first ended, though two messages of the first are gone", nil
	}
	if second.ids()[0] == expected[gone] {
		return "offset", "the second page leaves out as many messages as have gone from the first", nil
	}
	return "", "the second page begins elsewhere", nil
}

// estimate asks of more than one result: a rough estimate may be right by chance.
func estimate(p *probe, ctx context.Context) (string, string, error) {
	var counted, told []int
	for _, q := range []string{"", "in:anywhere", "-subject:paging", "in:anywhere -subject:paging", "in:anywhere subject:trashed"} {
		v := url.Values{"labelIds": {p.label}, "q": {q}, "maxResults": {"500"}}
		all, err := p.list(ctx, v)
		if err != nil {
			return "", "", err
		}
		v.Set("maxResults", "2")
		first, err := p.list(ctx, v)
		if err != nil {
			return "", "", err
		}
		counted, told = append(counted, len(all.Messages)), append(told, first.ResultSizeEstimate)
	}
	saw := fmt.Sprintf("first pages of %v messages estimate %v", counted, told)
	switch {
	case slices.Equal(told, counted):
		return "exact", saw, nil
	case !slices.ContainsFunc(told, func(n int) bool { return n != 201 }):
		return "201", saw, nil
	}
	return "noisy", saw, nil
}

// concurrency makes more and more calls at the same time until Gmail refuses one. Only calls that did meet prove that so many are taken: on
// a busy machine the first may be over before the last has left.
func concurrency(p *probe, ctx context.Context) (string, string, error) {
	const rounds, tries = 2, 12
	for n := 2; n <= 40; n++ {
		for met, try := 0, 0; met < rounds; try++ {
			if try == tries {
				return "", fmt.Sprintf("%d calls did not meet", n), nil
			}
			refused, together, err := p.together(ctx, n)
			if err != nil {
				return "", "", err
			}
			if refused > 0 {
				return fmt.Sprint(n - 1), fmt.Sprintf("of %d calls at once %d are refused", n, refused), nil
			}
			if together {
				met++
			}
		}
	}
	return "", "40 calls at once are not refused", nil
}

// together makes n calls at once, and says how many were refused and whether the last had left before half of the shortest was over.
func (p *probe) together(ctx context.Context, n int) (refused int, met bool, err error) {
	var mu sync.Mutex
	var all sync.WaitGroup
	var lastLeft, firstBack time.Time
	shortest := time.Hour
	for range n {
		all.Go(func() {
			var left time.Time
			traced := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(httptrace.WroteRequestInfo) { left = time.Now() }})
			_, e := p.list(traced, url.Values{"labelIds": {p.label}, "maxResults": {"500"}})
			back := time.Now()
			mu.Lock()
			defer mu.Unlock()
			if left.After(lastLeft) {
				lastLeft = left
			}
			if firstBack.IsZero() || back.Before(firstBack) {
				firstBack = back
			}
			shortest = min(shortest, back.Sub(left))
			var r *refusal
			if errors.As(e, &r) && (r.status == http.StatusTooManyRequests || r.status == http.StatusForbidden) {
				refused++
			} else if e != nil {
				err = e
			}
		})
	}
	all.Wait()
	return refused, lastLeft.Before(firstBack.Add(-shortest / 2)), err
}

func encoding(p *probe, ctx context.Context) (string, string, error) {
	err := p.call(ctx, http.MethodGet, "messages/1?format=minimal", nil, nil)
	var r *refusal
	if !errors.As(err, &r) {
		return "", "reading what is not there is no error", err
	}
	var e struct {
		Error struct {
			Errors []any
			Status string
		}
	}
	if err := json.Unmarshal(r.body, &e); err != nil {
		return "", "an error's body is no JSON", nil
	}
	saw := fmt.Sprintf("an error has %d errors[] and the status %q", len(e.Error.Errors), e.Error.Status)
	switch {
	case e.Error.Status == "":
		return "v1", saw, nil
	case len(e.Error.Errors) == 0:
		return "v2", saw, nil
	}
	return "both", saw, nil
}

func noCategories(p *probe, ctx context.Context) (string, string, error) {
	sum := 0
	for _, id := range []string{"CATEGORY_PROMOTIONS", "CATEGORY_SOCIAL", "CATEGORY_UPDATES", "CATEGORY_FORUMS"} {
		var l struct{ MessagesTotal int }
		if err := p.call(ctx, http.MethodGet, "labels/"+id, nil, &l); err != nil {
			return "", "", err
		}
		sum += l.MessagesTotal
	}
	return told(sum == 0, fmt.Sprintf("%d messages of this mailbox are in a category", sum))
}
