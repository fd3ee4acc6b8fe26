package google

import (
	"net/mail"

	"mailsweep/internal/sim/google/box"
	"mailsweep/internal/sim/google/mbox"
)

// sendMessage keeps a mail as sent, and lets it arrive in those of its recipients' mailboxes that are here.
func sendMessage(c *call) (any, error) {
	in, raw, err := c.uploaded()
	if err != nil {
		return nil, err
	}
	if len(raw) == 0 {
		return nil, noMail()
	}
	return c.dispatch(raw, in.ThreadID)
}

func (c *call) dispatch(raw []byte, thread string) (any, error) {
	to := recipients(raw)
	if len(to) == 0 {
		return nil, invalid("Recipient address required")
	}
	id, err := c.box.box.Insert(box.Insertion{Raw: raw, Labels: []string{"SENT"}, Thread: thread})
	if err != nil {
		return nil, err
	}
	for _, address := range to {
		m, err := c.sim.Mailbox(address)
		if err != nil {
			continue // somewhere else
		}
		if _, err := m.box.Insert(box.Insertion{Raw: raw, Labels: []string{"INBOX", "UNREAD"}, Categorize: !m.cfg.Quirks.PlainImport}); err != nil {
			return nil, err
		}
	}
	return c.short(id)
}

// recipients are the addresses of a mail's To, Cc and Bcc.
func recipients(raw []byte) (list []string) {
	m := mbox.Parse(raw)
	for _, name := range []string{"To", "Cc", "Bcc"} {
		all, err := mail.ParseAddressList(m.Get(name))
		if err != nil {
			continue
		}
		for _, a := range all {
			list = append(list, a.Address)
		}
	}
	return list
}

// sendDraft sends a draft: it goes, and a message under another id is sent in its place, with the content that the call brings, if it brings any.
func sendDraft(c *call) (any, error) {
	var in struct {
		ID      string  `json:"id"`
		Message newMail `json:"message"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	id, err := c.draftMessage(in.ID)
	if err != nil {
		return nil, err
	}
	if in.Message.Raw == "" {
		id, err = c.box.box.Send(id)
		if err != nil {
			return nil, err
		}
		return c.short(id)
	}
	raw, err := in.Message.content()
	if err != nil {
		return nil, err
	}
	out, err := c.dispatch(raw, in.Message.ThreadID)
	if err == nil {
		c.box.box.Delete([]string{id})
	}
	return out, err
}
