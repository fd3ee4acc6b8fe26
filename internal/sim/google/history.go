package google

import (
	"bytes"
	"math"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"mailsweep/internal/sim/google/box"
)

type historyList struct {
	History       []box.Record `json:"history,omitempty"` // each shown as a historyRecord
	NextPageToken string       `json:"nextPageToken,omitempty"`
	HistoryID     string       `json:"historyId"`
}

type historyRecord struct {
	ID              string          `json:"id"`
	Messages        []messageRef    `json:"messages,omitempty"`
	MessagesAdded   []historyChange `json:"messagesAdded,omitempty"`
	MessagesDeleted []historyChange `json:"messagesDeleted,omitempty"`
	LabelsAdded     []historyChange `json:"labelsAdded,omitempty"`
	LabelsRemoved   []historyChange `json:"labelsRemoved,omitempty"`
}

type historyChange struct {
	Message  messageRef `json:"message"`
	LabelIDs []string   `json:"labelIds,omitempty"`
}

func formatHistory(id uint64) string { return strconv.FormatUint(id, 10) }

func listHistory(c *call) (any, error) {
	q, err := c.historyQuery()
	if err != nil {
		return nil, err
	}
	page, ok := c.box.box.History(q)
	if !ok {
		return nil, notFound()
	}
	out := historyList{History: page.Records, HistoryID: formatHistory(page.Last)}
	if page.More {
		out.NextPageToken = scramble(page.Records[len(page.Records)-1].ID)
	}
	return out, nil
}

func (c *call) historyQuery() (q box.HistoryQuery, err error) {
	if q.Start, err = strconv.ParseUint(c.form.Get("startHistoryId"), 10, 64); err != nil {
		return q, invalid("Missing or invalid startHistoryId")
	}
	if q.Limit, err = c.limit(); err != nil {
		return q, err
	}
	if token := c.form.Get("pageToken"); token != "" {
		if q.After, err = unscramble(token); err != nil || q.After > c.box.box.HistoryID() {
			return q, invalid("Invalid pageToken")
		}
	}
	q.Label = c.form.Get("labelId")
	q.Kinds = map[string]bool{}
	for _, k := range c.form["historyTypes"] {
		if !strings.Contains(" messageAdded messageDeleted labelAdded labelRemoved ", " "+k+" ") {
			return q, invalid("Invalid value at 'history_types', \"" + k + "\"")
		}
		q.Kinds[k] = true
	}
	return q, nil
}

func showRecord(r box.Record) historyRecord {
	ref := messageRef{ID: hexID(r.Message), ThreadID: hexID(r.Thread)}
	out := historyRecord{ID: formatHistory(r.ID), Messages: []messageRef{ref}}
	ref.LabelIDs = r.Labels
	one := func(labels []string) []historyChange { return []historyChange{{Message: ref, LabelIDs: labels}} }
	switch {
	case r.Added:
		out.MessagesAdded = one(nil)
	case r.Deleted:
		out.MessagesDeleted = one(nil)
	}
	if len(r.LabelsAdded) > 0 {
		out.LabelsAdded = one(r.LabelsAdded)
	}
	if len(r.LabelsRemoved) > 0 {
		out.LabelsRemoved = one(r.LabelsRemoved)
	}
	return out
}

// form is how records to whose messages the same happened are written: the text between what they differ in.
type form []formPart

// formPart is some text and what follows it: 'r' a record's id, 'm' its message's, 't' its thread's, 0 nothing.
type formPart struct {
	text string
	then byte
}

// Ids that no record has stand for those that a form leaves open.
const (
	openRecord  = math.MaxUint64 - 58
	openMessage = math.MaxUint64 - 59
	openThread  = math.MaxUint64 - 60
)

// holes are how those are written, and what belongs there.
var holes = []struct {
	text []byte
	then byte
}{{[]byte(formatHistory(openRecord)), 'r'}, {[]byte(box.FormatID(openMessage)), 'm'}, {[]byte(box.FormatID(openThread)), 't'}}

// formOf makes the form of a change from how one record of it is encoded.
func formOf(of encoder, c *box.Change) (f form) {
	text := of(nil, reflect.ValueOf(showRecord(box.Record{ID: openRecord, Message: openMessage, Thread: openThread, Change: c})))
	for {
		next := formPart{text: string(text)}
		rest := text[len(text):]
		for _, h := range holes {
			if at := bytes.Index(text, h.text); at >= 0 && at < len(next.text) {
				next, rest = formPart{string(text[:at]), h.then}, text[at+len(h.text):]
			}
		}
		f = append(f, next)
		if next.then == 0 {
			return f
		}
		text = rest
	}
}

func (f form) append(b []byte, r box.Record) []byte {
	for _, p := range f {
		b = append(b, p.text...)
		switch p.then {
		case 'r':
			b = strconv.AppendUint(b, r.ID, 10)
		case 'm':
			b = appendHex(b, r.Message)
		case 't':
			b = appendHex(b, r.Thread)
		}
	}
	return b
}

// compileRecords is for pages of history: of what is shown of their many records little differs.
func compileRecords(m mask) encoder {
	of := compile(reflect.TypeFor[historyRecord](), m)
	var forms sync.Map // by *box.Change
	var kept atomic.Int32
	return func(b []byte, v reflect.Value) []byte {
		b = append(b, '[')
		for i, r := range v.Interface().([]box.Record) {
			f, known := forms.Load(r.Change)
			if !known {
				f = formOf(of, r.Change)
				if kept.Add(1) <= maxForms {
					forms.Store(r.Change, f)
				}
			}
			if i > 0 {
				b = append(b, ',')
			}
			b = f.(form).append(b, r)
		}
		return append(b, ']')
	}
}

// maxForms bounds what is kept for a mask: mailboxes come and go.
const maxForms = 20_000
