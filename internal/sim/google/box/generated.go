package box

import (
	"fmt"
	"mime"
	"strings"
	"time"
)

// newSender makes the sender of a rank up. The busiest are mostly bulk, and share domains in groups.
func (g *generator) newSender(rank int) Sender {
	k := g.kindOf(rank)
	group := rank / 4
	brand := brands[group%len(brands)]
	trade := trades[k][group%len(trades[k])]
	domain := fmt.Sprintf("%s-%s%d.example", brand, trade, group/len(brands))
	if k == kindPerson {
		return g.person(rank, domain)
	}
	if last := g.senders[len(g.senders)-1]; rank > 0 && last.Addr != "" && g.chance(1.0/150) {
		// a search for the last sender's address finds this one's mail too
		return g.bulk(Sender{From: "re." + last.Addr + ".test"}, k)
	}
	local := localParts[k][rank%len(localParts[k])]
	s := Sender{From: fmt.Sprintf("%s %s <%s.%d@%s>", capital(brand), capital(trade), local, rank, domain)}
	if k == kindForum || g.chance(0.3) {
		s.ListID = fmt.Sprintf("%s.%d.%s", local, rank, domain)
	}
	return g.bulk(s, k)
}

func (g *generator) bulk(s Sender, k kind) Sender {
	out := ParseSender(s.From)
	out.kind, out.ListID = k, s.ListID
	out.sinceFull = g.chance(0.6)
	switch p := g.rng.Float64(); {
	case p < 0.70:
		out.unsub = unsubOneClick
	case p < 0.82:
		out.unsub = unsubLink
	case p < 0.95:
		out.unsub = unsubMailto
	}
	return out
}

func (g *generator) kindOf(rank int) kind {
	if rank == g.spec.Senders/3 {
		return kindPerson
	}
	shares := []float64{0.62, 0.14, 0.03, 0.15, 0.06} // by kind, for the many that write seldom
	if rank < max(10, g.spec.Senders/5) {
		shares = []float64{0.12, 0.42, 0.12, 0.22, 0.12}
	}
	p := g.rng.Float64()
	for k, s := range shares {
		if p -= s; p < 0 {
			return kind(k)
		}
	}
	return kindUpdate
}

// person writes under a name, often not ASCII; a few send mail without From.
func (g *generator) person(rank int, domain string) Sender {
	if rank == g.spec.Senders/3 || g.chance(1.0/400) {
		return Sender{tokens: " ", kind: kindPerson}
	}
	if g.chance(0.6) {
		domain = pick(g.rng, trades[kindPerson]) + ".example"
	}
	i := g.rng.IntN(len(firstNames))
	name := firstNames[i] + " " + pick(g.rng, lastNames)
	shown := name
	if g.chance(0.7) {
		shown = mime.QEncoding.Encode("utf-8", name)
	}
	return ParseSender(fmt.Sprintf("%s <%s.%d@%s>", shown, asciiNames[i], rank, domain))
}

func capital(s string) string { return strings.ToUpper(s[:1]) + s[1:] }

// Header is one header field as the API shows it: unfolded, valid UTF-8, encoded words as they are.
type Header struct{ Name, Value string }

// contact is whom a sent message went to: somebody of its thread, else somebody by the message's id.
func (b *Box) contact(r uint32) string {
	for o := b.threads[b.thread[r]].head; o != none; o = b.next[o] {
		if b.sender[o] != b.sender[r] {
			return b.senders[b.sender[o]].From
		}
	}
	return fmt.Sprintf("%s@friends.example", asciiNames[b.id[r]%uint64(len(asciiNames))])
}

// messageID is the Message-ID without brackets.
func (b *Box) messageID(r uint32) string {
	if m, ok := b.side[r]; ok {
		return m.messageID
	}
	domain := b.senders[b.sender[r]].Domain()
	if domain == "" {
		domain = "unknown.example"
	}
	return FormatID(b.id[r]) + "@" + domain
}

// files are the names of a message's attachments.
func (b *Box) files(r uint32) []string {
	if m, ok := b.side[r]; ok {
		return m.files
	}
	if b.flags[r]&flagAttachment == 0 {
		return nil
	}
	return []string{fileNames[b.id[r]%uint64(len(fileNames))]}
}

// generatedHeaders writes the header of a made-up message from its columns.
func (b *Box) generatedHeaders(r uint32) []Header {
	s := &b.senders[b.sender[r]]
	at := time.UnixMilli(b.date[r]).UTC()
	to := b.Email
	if b.labels.has(b.set[r], sent) || b.labels.has(b.set[r], draft) {
		to = b.contact(r)
	}
	h := []Header{{"Delivered-To", b.Email}, {"Date", at.Format(time.RFC1123Z)}}
	if s.From != "" {
		h = append(h, Header{"From", s.From})
	}
	subject := b.subjects[b.subject[r]].text
	if b.id[r]%2 == 0 {
		subject = mime.QEncoding.Encode("utf-8", subject)
	}
	h = append(h, Header{"To", to}, Header{"Subject", subject}, Header{"Message-ID", "<" + b.messageID(r) + ">"})
	h = append(h, s.listHeaders(at)...)
	content := "text/html; charset=utf-8"
	if b.flags[r]&flagAttachment != 0 {
		content = `multipart/mixed; boundary="b` + FormatID(b.id[r]) + `"`
	}
	return append(h, Header{"MIME-Version", "1.0"}, Header{"Content-Type", content})
}

// bulkRules is when Gmail began to ask bulk senders for one-click unsubscribe.
var bulkRules = time.Date(2024, 2, 1, 0, 0, 0, 0, time.UTC)

func (s *Sender) listHeaders(at time.Time) []Header {
	var h []Header
	if s.ListID != "" {
		h = append(h, Header{"List-Id", "<" + s.ListID + ">"})
	}
	if s.unsub == unsubNone || at.Before(bulkRules) && !s.sinceFull {
		return h
	}
	link, box := "<https://"+s.Domain()+"/unsubscribe?u=1>", "<mailto:unsubscribe@"+s.Domain()+">"
	switch {
	case s.unsub == unsubMailto:
		h = append(h, Header{"List-Unsubscribe", box})
	case s.unsub == unsubLink || at.Before(bulkRules):
		h = append(h, Header{"List-Unsubscribe", link})
	default:
		h = append(h, Header{"List-Unsubscribe", box + ", " + link}, Header{"List-Unsubscribe-Post", "List-Unsubscribe=One-Click"})
	}
	return h
}
