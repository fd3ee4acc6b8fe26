package google

import (
	"mailsweep/internal/sim/google/box"
)

// maxIDs is how many ids batchModify and batchDelete take.
const maxIDs = 1000

// relabel applies labels to messages that must all exist.
func (c *call) relabel(ids, add, remove []string) error {
	for _, id := range ids {
		if _, _, err := c.box.box.Message(id); err != nil {
			return err
		}
	}
	_, err := c.box.box.Modify(ids, add, remove, true)
	return err
}

// short is how modify shows a message: ids and labels.
func (c *call) short(id string) (any, error) {
	m, _, err := c.box.box.Message(id)
	return &message{ID: m.ID, ThreadID: m.Thread, LabelIDs: m.Labels}, err
}

func (c *call) changeOne(add, remove []string) (any, error) {
	id := c.req.PathValue("id")
	if err := c.relabel([]string{id}, add, remove); err != nil {
		return nil, err
	}
	return c.short(id)
}

func modifyMessage(c *call) (any, error) {
	body, err := c.labelChange()
	if err != nil {
		return nil, err
	}
	if len(body.Add) > 100 || len(body.Remove) > 100 {
		return nil, invalid("Number of labels cannot exceed 100")
	}
	return c.changeOne(body.Add, body.Remove)
}

func trashMessage(c *call) (any, error) {
	return c.changeOne([]string{"TRASH"}, []string{"INBOX"})
}

func untrashMessage(c *call) (any, error) { return c.changeOne(nil, []string{"TRASH"}) }

// batchModify ignores ids that do not exist, silently; an unknown label fails the whole call.
func batchModify(c *call) (any, error) {
	body, err := c.labelChange()
	if err != nil {
		return nil, err
	}
	if err := checkIDs(body.IDs); err != nil {
		return nil, err
	}
	ids, broken := c.part(body.IDs)
	if _, err := c.box.box.Modify(ids, body.Add, body.Remove, true); err != nil {
		return nil, err
	}
	return nil, broken
}

func batchDelete(c *call) (any, error) {
	body, err := c.labelChange()
	if err != nil {
		return nil, err
	}
	if err := checkIDs(body.IDs); err != nil {
		return nil, err
	}
	ids, broken := c.part(body.IDs)
	c.box.box.Delete(ids)
	return nil, broken
}

func checkIDs(ids []string) error {
	if len(ids) == 0 {
		return invalid("No message ids specified")
	}
	if len(ids) > maxIDs {
		return invalid("Number of ids cannot exceed 1000")
	}
	return nil
}

func deleteMessage(c *call) (any, error) {
	if c.box.box.Delete([]string{c.req.PathValue("id")}) == 0 {
		return nil, notFound()
	}
	return nil, nil
}

func deleteThread(c *call) (any, error) {
	ids, err := c.box.box.ThreadMessages(c.req.PathValue("id"))
	if err != nil {
		return nil, err
	}
	c.box.box.Delete(ids)
	return nil, nil
}

type threadList struct {
	Threads            []threadRef `json:"threads,omitempty"`
	NextPageToken      string      `json:"nextPageToken,omitempty"`
	ResultSizeEstimate int         `json:"resultSizeEstimate"`
}

type threadRef struct {
	ID        string `json:"id"`
	Snippet   string `json:"snippet,omitempty"`
	HistoryID string `json:"historyId"`
}

type thread struct {
	ID        string     `json:"id"`
	HistoryID string     `json:"historyId,omitempty"`
	Messages  []*message `json:"messages,omitempty"`
}

func listThreads(c *call) (any, error) {
	page, next, err := c.list(true)
	if err != nil {
		return nil, err
	}
	out := threadList{NextPageToken: next, ResultSizeEstimate: c.estimate(page, next != "")}
	for _, i := range page.Items {
		snippet, history := c.box.box.ThreadState(i.Thread)
		out.Threads = append(out.Threads, threadRef{ID: box.FormatID(i.Thread), Snippet: snippet, HistoryID: history})
	}
	return out, nil
}

func getThread(c *call) (any, error) {
	id := c.req.PathValue("id")
	ids, err := c.box.box.ThreadMessages(id)
	if err != nil {
		return nil, err
	}
	out := &thread{ID: id}
	n, _ := box.ParseID(id) // ThreadMessages has read it
	_, out.HistoryID = c.box.box.ThreadState(n)
	for _, m := range ids {
		one, err := c.message(m)
		if err != nil {
			return nil, err
		}
		out.Messages = append(out.Messages, one)
	}
	return out, nil
}

func (c *call) changeThread(add, remove []string) (any, error) {
	id := c.req.PathValue("id")
	ids, err := c.box.box.ThreadMessages(id)
	if err != nil {
		return nil, err
	}
	if _, err := c.box.box.Modify(ids, add, remove, true); err != nil {
		return nil, err
	}
	out := &thread{ID: id}
	for _, m := range ids {
		short, err := c.short(m)
		if err != nil {
			return nil, err
		}
		out.Messages = append(out.Messages, short.(*message))
	}
	return out, nil
}

func modifyThread(c *call) (any, error) {
	body, err := c.labelChange()
	if err != nil {
		return nil, err
	}
	return c.changeThread(body.Add, body.Remove)
}

func trashThread(c *call) (any, error) {
	return c.changeThread([]string{"TRASH"}, []string{"INBOX"})
}

func untrashThread(c *call) (any, error) { return c.changeThread(nil, []string{"TRASH"}) }

type profile struct {
	EmailAddress  string `json:"emailAddress"`
	MessagesTotal int    `json:"messagesTotal"`
	ThreadsTotal  int    `json:"threadsTotal"`
	HistoryID     string `json:"historyId"`
}

func getProfile(c *call) (any, error) {
	messages, threads := c.box.box.Totals()
	return profile{c.box.Email, messages, threads, formatHistory(c.box.box.HistoryID())}, nil
}
