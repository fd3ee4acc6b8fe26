package google

import (
	"html"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"mailsweep/internal/sim/google/box"
)

type messageRef struct {
	ID       hexID    `json:"id"`
	ThreadID hexID    `json:"threadId"`
	LabelIDs []string `json:"labelIds,omitempty"`
}

// listedMessage is all that a listing tells of a message. Its labels are never told, but may be asked for.
type listedMessage struct {
	LabelIDs [0]string `json:"labelIds,omitempty"`
	ID       hexID     `json:"id"`
	ThreadID hexID     `json:"threadId"`
}

type messageList struct {
	Messages           []listedMessage `json:"messages,omitempty"`
	NextPageToken      string          `json:"nextPageToken,omitempty"`
	ResultSizeEstimate int             `json:"resultSizeEstimate"`
}

type message struct {
	ID           string   `json:"id"`
	ThreadID     string   `json:"threadId"`
	LabelIDs     []string `json:"labelIds,omitempty"`
	Snippet      string   `json:"snippet,omitempty"`
	Payload      *part    `json:"payload,omitempty"`
	SizeEstimate int      `json:"sizeEstimate,omitempty"`
	HistoryID    string   `json:"historyId,omitempty"`
	InternalDate string   `json:"internalDate,omitempty"`
}

type part struct {
	PartID   *string   `json:"partId,omitempty"`
	MimeType string    `json:"mimeType,omitempty"`
	Filename *string   `json:"filename,omitempty"`
	Headers  []header  `json:"headers,omitempty"`
	Body     *partBody `json:"body,omitempty"`
	Parts    []*part   `json:"parts,omitempty"`
}

type header struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type partBody struct {
	AttachmentID string `json:"attachmentId,omitempty"`
	Size         int    `json:"size"`
	Data         string `json:"data,omitempty"`
}

// labelChange is the body of modify and batchModify.
type labelChange struct {
	IDs    []string `json:"ids"`
	Add    []string `json:"addLabelIds"`
	Remove []string `json:"removeLabelIds"`
}

func listMessages(c *call) (any, error) {
	page, next, err := c.list(false)
	if err != nil {
		return nil, err
	}
	out := messageList{NextPageToken: next, ResultSizeEstimate: c.estimate(page, next != "")}
	out.Messages = make([]listedMessage, len(page.Items))
	for n, i := range page.Items {
		out.Messages[n] = listedMessage{ID: hexID(i.ID), ThreadID: hexID(i.Thread)}
	}
	return out, nil
}

// list runs the listing of messages.list, threads.list and drafts.list.
func (c *call) list(threads bool) (page box.Page, next string, err error) {
	search := box.Search{Query: strings.TrimSpace(c.form.Get("q")), Labels: c.form["labelIds"], Threads: threads,
		SpamTrash: c.form.Get("includeSpamTrash") == "true", Swallow: c.box.cfg.Quirks.SwallowWords}
	if search.Query != "" && !slices.ContainsFunc(c.scopes, func(s string) bool { return s != ScopeMetadata && slices.Contains(forReading, s) }) {
		return page, "", &refusal{code: http.StatusForbidden, reason: "forbidden", message: "Metadata scope does not support 'q' parameter"}
	}
	limit, err := c.limit()
	if err != nil {
		return page, "", err
	}
	hash := search.Hash(c.box.Email) ^ uint32(c.sim.cfg.Seed)
	if c.box.cfg.Quirks.PageTokens == "expire" {
		hash ^= uint32(c.box.box.HistoryID())
	}
	from, err := c.place(hash)
	if err != nil {
		return page, "", err
	}
	if page, err = c.box.box.List(search, from, limit); err != nil || !page.More || len(page.Items) == 0 {
		return page, "", err
	}
	at := page.Items[len(page.Items)-1].Row + 1
	if c.box.cfg.Quirks.PageTokens == "offset" {
		at = uint32(from.Skip + len(page.Items))
	}
	return page, writeToken(at, hash), nil
}

// place reads where the call's page begins.
func (c *call) place(hash uint32) (box.Place, error) {
	at, err := readToken(c.form.Get("pageToken"), hash)
	if err != nil || at == 0 {
		return box.Place{After: box.Top}, err
	}
	back := c.struck.most(func(f Fault) int { return f.Repeat })
	if c.box.cfg.Quirks.PageTokens == "offset" {
		return box.Place{After: box.Top, Skip: int(at), Back: back}, nil
	}
	return box.Place{After: at - 1, Back: back}, nil
}

// estimate is no count, as Gmail's is not, unless the listing ends on its only page.
func (c *call) estimate(page box.Page, more bool) int {
	switch {
	case c.box.cfg.Quirks.Estimate == "exact" || !more && c.form.Get("pageToken") == "":
		return page.Total
	case c.box.cfg.Quirks.Estimate == "noisy":
		return page.Total + page.Total*int(page.Total%7-3)/20
	}
	return 201
}

// Page tokens are decimal numbers that mean nothing to the reader: place and listing, scrambled.
const (
	tokenFactor  uint64 = 0x9E3779B97F4A7C15
	tokenSecret  uint64 = 0x5bd1e9955bd1e995
	tokenInverse uint64 = 0xF1DE83E19937733D
)

func scramble(v uint64) string { return strconv.FormatUint((v^tokenSecret)*tokenFactor, 10) }

func unscramble(s string) (uint64, error) {
	n, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, invalid("Invalid pageToken")
	}
	return n*tokenInverse ^ tokenSecret, nil
}

func writeToken(place, hash uint32) string { return scramble(uint64(place)<<32 | uint64(hash)) }

func readToken(s string, hash uint32) (place uint32, err error) {
	if s == "" {
		return 0, nil
	}
	v, err := unscramble(s)
	if err != nil {
		return 0, err
	}
	if uint32(v) != hash || v>>32 == 0 {
		return 0, invalid("Invalid pageToken")
	}
	return uint32(v >> 32), nil
}

func getMessage(c *call) (any, error) {
	id := c.req.PathValue("id")
	if _, err := box.ParseID(id); err != nil {
		return nil, invalid("Invalid id value")
	}
	return c.message(id)
}

// message shows one message in the wanted format.
func (c *call) message(id string) (*message, error) {
	m, headers, err := c.box.box.Message(id)
	if err != nil {
		return nil, err
	}
	out := &message{ID: m.ID, ThreadID: m.Thread, LabelIDs: m.Labels, Snippet: html.EscapeString(m.Snippet), SizeEstimate: c.roughly(m.Size, uint64(m.Date.UnixMilli())),
		HistoryID: strconv.FormatUint(m.History, 10), InternalDate: strconv.FormatInt(m.Date.UnixMilli(), 10)}
	switch c.form.Get("format") {
	case "minimal", "MINIMAL":
	case "metadata", "METADATA":
		out.Payload = &part{MimeType: mimeType(headers), Headers: pickHeaders(headers, c.form["metadataHeaders"])}
	case "", "full", "FULL":
		if !slices.ContainsFunc(c.scopes, func(s string) bool { return s != ScopeMetadata && slices.Contains(forReading, s) }) {
			return nil, &refusal{code: http.StatusForbidden, reason: "forbidden", message: "Metadata scope doesn't allow format FULL"}
		}
		out.Payload = &part{PartID: new(string), Filename: new(string), MimeType: mimeType(headers), Headers: pickHeaders(headers, nil), Body: &partBody{Size: m.Size}}
		c.attach(out.Payload, id)
	default:
		return nil, invalid("Invalid value at 'format', \"" + c.form.Get("format") + "\"")
	}
	return out, nil
}

// attach shows the files of a message as parts of its payload.
func (c *call) attach(to *part, id string) {
	m, files, err := c.box.box.Files(id)
	if err != nil { // gone meanwhile
		return
	}
	for n, name := range files {
		number := strconv.Itoa(n + 1)
		to.Parts = append(to.Parts, &part{PartID: &number, Filename: &name, MimeType: "application/octet-stream",
			Body: &partBody{AttachmentID: attachmentID(id, n), Size: fileSize(m.Size, len(files))}})
	}
}

// roughly is a size as Gmail estimates it.
func (c *call) roughly(size int, salt uint64) int {
	if c.box.cfg.Quirks.RoughSizes {
		size += size * (int(salt%7) - 3) / 100
	}
	return size
}

// pickHeaders keeps the wanted fields in the order of the mail; no names means all.
func pickHeaders(all []box.Header, names []string) []header {
	var out []header
	for _, h := range all {
		if len(names) == 0 || slices.ContainsFunc(names, func(n string) bool { return strings.EqualFold(n, h.Name) }) {
			out = append(out, header(h))
		}
	}
	return out
}

func mimeType(all []box.Header) string {
	for _, h := range all {
		if strings.EqualFold(h.Name, "Content-Type") {
			kind, _, _ := strings.Cut(h.Value, ";")
			return strings.ToLower(strings.TrimSpace(kind))
		}
	}
	return "text/plain"
}
