package google

import (
	"strconv"
	"strings"

	"mailsweep/internal/sim/google/box"
)

type label struct {
	ID                    string `json:"id"`
	Name                  string `json:"name"`
	MessageListVisibility string `json:"messageListVisibility,omitempty"`
	LabelListVisibility   string `json:"labelListVisibility,omitempty"`
	Type                  string `json:"type"`
	MessagesTotal         *int   `json:"messagesTotal,omitempty"`
	MessagesUnread        *int   `json:"messagesUnread,omitempty"`
	ThreadsTotal          *int   `json:"threadsTotal,omitempty"`
	ThreadsUnread         *int   `json:"threadsUnread,omitempty"`
}

type labelList struct {
	Labels []label `json:"labels,omitempty"`
}

func showLabel(l box.Label) label {
	out := label{ID: l.ID, Name: l.Name, Type: "user", MessageListVisibility: l.MessageVisibility, LabelListVisibility: l.ListVisibility}
	if l.System {
		out.Type = "system"
	}
	return out
}

func listLabels(c *call) (any, error) {
	var out labelList
	for _, l := range c.box.box.Labels() {
		out.Labels = append(out.Labels, showLabel(l))
	}
	return out, nil
}

// getLabel is the only method that tells counts.
func getLabel(c *call) (any, error) {
	l, n, err := c.box.box.Label(c.req.PathValue("id"))
	if err != nil {
		return nil, err
	}
	out := showLabel(l)
	out.MessagesTotal, out.MessagesUnread = &n.Messages, &n.Unread
	out.ThreadsTotal, out.ThreadsUnread = &n.Threads, &n.ThreadsUnread
	return out, nil
}

func (c *call) labelBody() (box.Label, error) {
	var in label
	err := c.decode(&in)
	return box.Label{Name: in.Name, ListVisibility: in.LabelListVisibility, MessageVisibility: in.MessageListVisibility}, err
}

func createLabel(c *call) (any, error) {
	in, err := c.labelBody()
	if err != nil {
		return nil, err
	}
	l, err := c.box.box.CreateLabel(in)
	return showLabel(l), err
}

func updateLabel(c *call) (any, error) {
	in, err := c.labelBody()
	if err != nil {
		return nil, err
	}
	l, err := c.box.box.UpdateLabel(c.req.PathValue("id"), in)
	return showLabel(l), err
}

func deleteLabel(c *call) (any, error) { return nil, c.box.box.DeleteLabel(c.req.PathValue("id")) }

type historyList struct {
	History       []historyRecord `json:"history,omitempty"`
	NextPageToken string          `json:"nextPageToken,omitempty"`
	HistoryID     string          `json:"historyId"`
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
	out := historyList{HistoryID: formatHistory(page.Last)}
	for _, r := range page.Records {
		out.History = append(out.History, showRecord(r))
	}
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
