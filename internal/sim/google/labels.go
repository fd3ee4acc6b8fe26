package google

import (
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
