package google

import (
	"encoding/base64"
	"slices"
	"strconv"
	"strings"

	"mailsweep/internal/sim/google/box"
)

type draft struct {
	ID      string   `json:"id"`
	Message *message `json:"message,omitempty"`
}

type draftList struct {
	Drafts             []draft `json:"drafts,omitempty"`
	NextPageToken      string  `json:"nextPageToken,omitempty"`
	ResultSizeEstimate int     `json:"resultSizeEstimate"`
}

// draftID is how the draft of a message is called.
func draftID(id uint64) string { return "r" + strconv.FormatUint(id, 10) }

func listDrafts(c *call) (any, error) {
	c.form["labelIds"] = []string{"DRAFT"}
	page, next, err := c.list(false)
	if err != nil {
		return nil, err
	}
	out := draftList{NextPageToken: next, ResultSizeEstimate: c.estimate(page, next != "")}
	for _, i := range page.Items {
		out.Drafts = append(out.Drafts, draft{ID: draftID(i.ID), Message: &message{ID: box.FormatID(i.ID), ThreadID: box.FormatID(i.Thread)}})
	}
	return out, nil
}

func getDraft(c *call) (any, error) {
	id := c.req.PathValue("draft")
	message, err := c.draftMessage(id)
	if err != nil {
		return nil, err
	}
	m, err := c.message(message)
	return draft{ID: id, Message: m}, err
}

// draftMessage is the id of a draft's message.
func (c *call) draftMessage(draft string) (string, error) {
	n, err := strconv.ParseUint(strings.TrimPrefix(draft, "r"), 10, 64)
	if err != nil {
		return "", notFound()
	}
	m, _, err := c.box.box.Message(box.FormatID(n))
	if err != nil || !slices.Contains(m.Labels, "DRAFT") {
		return "", notFound()
	}
	return m.ID, nil
}

// attachmentID is how the n-th file of a message is called.
func attachmentID(message string, n int) string {
	return "ANGjdJ" + base64.RawURLEncoding.EncodeToString([]byte(message+"."+strconv.Itoa(n)))
}

// getAttachment gives made-up bytes: the Sim keeps no files. Their number is what the message says.
func getAttachment(c *call) (any, error) {
	id := c.req.PathValue("message")
	m, files, err := c.box.box.Files(id)
	if err != nil {
		return nil, err
	}
	for n := range files {
		if attachmentID(id, n) == c.req.PathValue("attachment") {
			size := fileSize(m.Size, len(files))
			return partBody{Size: size, Data: base64.URLEncoding.EncodeToString(make([]byte, size))}, nil
		}
	}
	return nil, invalid("Invalid attachment token")
}

// fileSize is how many bytes each of the files of a message has: base64 in the mail takes a third more.
func fileSize(message, files int) int { return message / files * 3 / 4 }
