package google

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"

	"mailsweep/internal/sim/google/box"
)

// newMail is the body of insert and import; in an upload, Raw stands beside it.
type newMail struct {
	Raw      string   `json:"raw"` // base64url
	ThreadID string   `json:"threadId"`
	LabelIDs []string `json:"labelIds"`
}

// insertMessage puts a mail into the mailbox as it is; its date is that of the call unless internalDateSource says dateHeader.
func insertMessage(c *call) (any, error) {
	return c.insert(c.form.Get("internalDateSource") == "dateHeader", false)
}

// importMessage puts a mail into the mailbox as if it had arrived; its date is that of its header unless internalDateSource says receivedTime.
func importMessage(c *call) (any, error) {
	return c.insert(c.form.Get("internalDateSource") != "receivedTime", true)
}

func (c *call) insert(byHeader, arrives bool) (any, error) {
	in, raw, err := c.uploaded()
	if err != nil {
		return nil, err
	}
	if len(raw) == 0 {
		return nil, noMail()
	}
	wish := box.Insertion{Raw: raw, Labels: in.LabelIDs, Thread: in.ThreadID, ByHeader: byHeader}
	if arrives && len(in.LabelIDs) == 0 {
		wish.Labels, wish.Categorize = []string{"INBOX", "UNREAD"}, !c.box.cfg.Quirks.PlainImport
	}
	id, err := c.box.box.Insert(wish)
	if err != nil {
		return nil, err
	}
	return c.short(id)
}

func noMail() *refusal {
	return invalid("'raw' RFC822 payload message string or uploading message via /upload/* URL required")
}

// uploaded reads the mail and what is said about it: from JSON, from a multipart upload, or from a plain one.
func (c *call) uploaded() (in newMail, raw []byte, err error) {
	if c.media != nil {
		return c.media.mail, c.media.body, nil
	}
	body, err := c.read()
	if err != nil {
		return in, nil, err
	}
	kind, params, _ := mime.ParseMediaType(c.req.Header.Get("Content-Type"))
	switch {
	case !strings.HasPrefix(c.req.URL.Path, "/upload/"):
		if err := c.decode(&in); err != nil {
			return in, nil, err
		}
		raw, err = in.content()
		return in, raw, err
	case strings.HasPrefix(kind, "multipart/"):
		return readUpload(multipart.NewReader(bytes.NewReader(body), params["boundary"]))
	}
	return in, body, nil
}

// content is the mail in Raw.
func (m newMail) content() ([]byte, error) {
	raw, err := base64.URLEncoding.DecodeString(m.Raw + strings.Repeat("=", -len(m.Raw)&3))
	if err != nil {
		return nil, invalid("Invalid value for ByteString: raw")
	}
	return raw, nil
}

// readUpload reads the two parts of a multipart upload.
func readUpload(parts *multipart.Reader) (in newMail, raw []byte, err error) {
	bad := &refusal{code: http.StatusBadRequest, reason: "badContent", message: "Media body is missing or malformed"}
	for _, into := range []func([]byte) error{
		func(b []byte) error { return json.Unmarshal(b, &in) },
		func(b []byte) error { raw = b; return nil },
	} {
		part, err := parts.NextPart()
		if err != nil {
			return in, nil, bad
		}
		b, err := io.ReadAll(part)
		if errors.Join(err, into(b)) != nil {
			return in, nil, bad
		}
	}
	return in, raw, nil
}
