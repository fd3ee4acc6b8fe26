package box

import (
	"errors"
	"slices"
	"strings"

	"mailsweep/internal/sim/google/mbox"
)

// Imported is what is kept of a mail that came from a file.
type Imported struct {
	Headers    []Header
	messageID  string
	recipients map[string]string // token lines by operator
	list       string
	textTokens string
	files      []string
	snippet    string
}

// importer collects a file's mails and joins them to threads before rows are made.
type importer struct {
	*Box
	plain bool
	mails []*importedMail
	byRef map[string]int // Message-ID or thread key → index of a mail
	up    []int          // union-find over mails
}

type importedMail struct {
	newMessage
	side *Imported
}

// Import reads an mbox file (see package mbox). Labels come from X-Gmail-Labels; without it a mail is in
// INBOX, and UNREAD unless Status says R. Unless plain is set, mail without X-Gmail-Labels gets a category
// by a rule of ours: CATEGORY_FORUMS with a List-Id or List-Post, else CATEGORY_PROMOTIONS with List-Unsubscribe.
// Threads follow X-GM-THRID, References and In-Reply-To. The id carries the mail's date.
func (b *Box) Import(path string, plain bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	imp := &importer{Box: b, plain: plain, byRef: map[string]int{}}
	if err := mbox.ReadFile(path, imp.take); err != nil {
		return err
	}
	if len(imp.mails) == 0 {
		return errors.New("import mbox: no mail")
	}
	imp.store()
	b.sortAll()
	return nil
}

func (imp *importer) take(m *mbox.Message) error {
	content := m.Content()
	at, ok := m.When()
	if !ok {
		at = imp.opt.Now()
	}
	mail := &importedMail{newMessage: newMessage{idTime: at.UnixMilli(), date: at.UnixMilli(), thread: none, size: m.Size}}
	if content.Attachment {
		mail.flags |= flagAttachment
	}
	mail.labels = imp.labelsOf(m)
	mail.sender = imp.senderRow(ParseSender(m.Get("From")))
	mail.subject = imp.subjectRow(DecodeWords(m.Get("Subject")))
	mail.side = newSide(m, content)
	imp.link(len(imp.mails), m, mail.side.messageID)
	imp.mails = append(imp.mails, mail)
	return nil
}

func newSide(m *mbox.Message, c mbox.Content) *Imported {
	side := &Imported{messageID: strings.Trim(m.Get("Message-ID"), "<> "), recipients: map[string]string{}, files: c.Files}
	for _, f := range m.Header {
		side.Headers = append(side.Headers, Header{f.Name, f.Value})
		switch name := strings.ToLower(f.Name); name {
		case "to", "cc", "bcc":
			side.recipients[name] += tokenLine(DecodeWords(f.Value))
		case "delivered-to":
			side.recipients["deliveredto"] += tokenLine(f.Value)
		case "list-id":
			side.list = tokenLine(f.Value)
		}
	}
	side.textTokens = tokenLine(c.Text)
	side.snippet = cut(strings.Join(strings.Fields(c.Text), " "), 120)
	return side
}

// takeout maps the names in X-Gmail-Labels, as Google's export writes them, to label numbers.
var takeout = map[string]uint16{"inbox": inbox, "spam": spam, "trash": trash, "unread": unread, "starred": starred,
	"important": important, "sent": sent, "draft": draft, "drafts": draft, "chat": chat, "chats": chat, "category personal": personal,
	"category social": social, "category promotions": promotions, "category updates": updates, "category forums": forums}

// takeoutStates are names in X-Gmail-Labels that are no labels.
var takeoutStates = []string{"", "opened", "archived", "muted", "snoozed"}

func (imp *importer) labelsOf(m *mbox.Message) []uint16 {
	listed := DecodeWords(m.Get("X-Gmail-Labels"))
	if listed == "" {
		return imp.defaultLabels(m)
	}
	var out []uint16
	for name := range strings.SplitSeq(listed, ",") {
		name = strings.Trim(strings.TrimSpace(name), `"`)
		l, system := takeout[strings.ToLower(name)]
		if slices.Contains(takeoutStates, strings.ToLower(name)) {
			continue
		}
		if !system {
			var known bool
			if l, known = imp.Box.labels.named(name); !known {
				l = imp.Box.labels.addUser(name)
			}
		}
		out = append(out, l)
	}
	return out
}

func (imp *importer) defaultLabels(m *mbox.Message) []uint16 {
	out := []uint16{inbox}
	if !strings.Contains(m.Get("Status"), "R") {
		out = append(out, unread)
	}
	if imp.plain {
		return out
	}
	return append(out, categoryOf(m)...)
}

// categoryOf is our rule for mail that comes without a category.
func categoryOf(m *mbox.Message) []uint16 {
	switch {
	case m.Get("List-Id") != "" || m.Get("List-Post") != "":
		return []uint16{forums}
	case m.Get("List-Unsubscribe") != "":
		return []uint16{promotions}
	}
	return nil
}

// link joins a mail with those it refers to, or that referred to it.
func (imp *importer) link(i int, m *mbox.Message, messageID string) {
	imp.up = append(imp.up, i)
	refs := strings.Fields(strings.NewReplacer("<", " <", ">", "> ", ",", " ").Replace(m.Get("References") + " " + m.Get("In-Reply-To")))
	keys := []string{}
	if messageID != "" {
		keys = append(keys, messageID)
	}
	for _, r := range refs {
		if strings.HasPrefix(r, "<") && strings.HasSuffix(r, ">") && strings.Contains(r, "@") {
			keys = append(keys, strings.Trim(r, "<>"))
		}
	}
	if id := m.Get("X-GM-THRID"); id != "" {
		keys = []string{"thread " + id}
	}
	for _, k := range keys {
		if j, ok := imp.byRef[k]; ok {
			imp.up[imp.root(i)] = imp.root(j)
			continue
		}
		imp.byRef[k] = i
	}
}

func (imp *importer) root(i int) int {
	for imp.up[i] != i {
		imp.up[i] = imp.up[imp.up[i]]
		i = imp.up[i]
	}
	return i
}

// store makes the rows, oldest first, so that a thread bears the id of its oldest mail.
func (imp *importer) store() {
	order := make([]int, len(imp.mails))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(x, y int) int { return int(min(max(imp.mails[x].date-imp.mails[y].date, -1), 1)) })
	threads := map[int]uint32{}
	for _, i := range order {
		m := imp.mails[i]
		root := imp.root(i)
		if t, ok := threads[root]; ok {
			m.thread = t
		}
		r := imp.add(m.newMessage)
		threads[root] = imp.thread[r]
		imp.side[r] = m.side
	}
}

// cut shortens a text to n characters.
func cut(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n])
	}
	return s
}
