package mail

import (
	"bytes"
	"embed"
	"fmt"
	htmltemplate "html/template"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/template"
	"time"
	"unicode"
)

// Kind names a mail.
type Kind string

// The kinds of mail.
const (
	VerifyEmail       Kind = "verify_email"       // to the address of a new sign-up
	AlreadyRegistered Kind = "already_registered" // to the owner of an address that somebody signs up again
	PasswordReset     Kind = "password_reset"
	EmailChange       Kind = "email_change"    // to the address that a person asks to have
	EmailChanged      Kind = "email_changed"   // to the address that they had
	NeedsReconnect    Kind = "needs_reconnect" // Google says the consent is gone
	TrialEnding       Kind = "trial_ending"    // 3 days and 1 day before
	TrialEnded        Kind = "trial_ended"
	PaymentFailed     Kind = "payment_failed" // once for each invoice that is open
	QuotaWarning      Kind = "quota_warning"  // once per period, at 80 %
	QuotaFresh        Kind = "quota_fresh"    // a new period, for those who ran out in the last one
	CleanupDone       Kind = "cleanup_done"
	SecurityNotice    Kind = "security_notice" // what happened to the ways into an account
	Invitation        Kind = "invitation"      // to who is asked to work in a customer's account
	AccountDeleted    Kind = "account_deleted" // to the owner who deleted it
	ExportReady       Kind = "export_ready"    // to the owner who asked for it
)

// Event is what a SecurityNotice tells.
type Event string

// The events, each a few lines of the template.
const (
	PasswordChanged Event = "password_changed"
	FactorOn        Event = "factor_on"
	FactorOff       Event = "factor_off"
	CodesMade       Event = "codes_made"
	CodeUsed        Event = "code_used"
	NewDevice       Event = "new_device"
	Locked          Event = "locked"
	CodesLocked     Event = "codes_locked"
	KeyCreated      Event = "key_created"
	GoogleLinked    Event = "google_linked"
	GoogleUnlinked  Event = "google_unlinked"
)

// Data is what the kinds speak of; each needs only some of it. It fits an outbox row as JSON. Token is a secret: the row
// that holds it is sealed.
type Data struct {
	To        string    `json:"to,omitempty"` // the reader's address, where it is not that of the post's person
	Name      string    `json:"name,omitempty"`
	By        string    `json:"by,omitempty"`   // the address of who asked for it
	Role      string    `json:"role,omitempty"` // owner, operator or viewer
	Token     string    `json:"token,omitempty"`
	Mailbox   string    `json:"mailbox,omitempty"`
	Plan      string    `json:"plan,omitempty"`
	Action    string    `json:"action,omitempty"` // trash, archive, mark_read or label
	State     string    `json:"state,omitempty"`  // how a run ended: succeeded, failed or canceled
	JobID     string    `json:"job_id,omitempty"`
	DaysLeft  int       `json:"days_left,omitempty"`
	Used      int       `json:"used,omitempty"`
	Limit     int       `json:"limit,omitempty"`
	Cleaned   int       `json:"cleaned,omitempty"`
	Skipped   int       `json:"skipped,omitempty"`
	Event     Event     `json:"event,omitempty"`
	Device    string    `json:"device,omitempty"` // as a browser or program calls itself
	At        time.Time `json:"at,omitzero"`
	EndsAt    time.Time `json:"ends_at,omitzero"`
	ResetsAt  time.Time `json:"resets_at,omitzero"`
	UndoUntil time.Time `json:"undo_until,omitzero"`
}

// Format keeps tokens and addresses out of logs.
func (Data) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[redacted]")) }

// Letter is a composed mail.
type Letter struct{ Subject, Text, HTML string }

//go:embed templates
var templates embed.FS

// spec says what a kind needs and where its link leads.
type spec struct {
	needs []string
	link  func(Data) string
}

func specs() map[Kind]spec {
	to := func(path string) func(Data) string { return func(Data) string { return path } }
	withToken := func(path string) func(Data) string {
		return func(d Data) string { return path + "?token=" + url.QueryEscape(d.Token) }
	}
	return map[Kind]spec{
		VerifyEmail:       {[]string{"token"}, withToken("/verify-email")},
		AlreadyRegistered: {nil, to("/login")},
		PasswordReset:     {[]string{"token"}, withToken("/reset-password")},
		EmailChange:       {[]string{"to", "token"}, withToken("/confirm-email")},
		EmailChanged:      {[]string{"to", "token", "at", "ends_at"}, withToken("/undo-email")},
		NeedsReconnect:    {[]string{"mailbox"}, to("/mailboxes")},
		TrialEnding:       {[]string{"days_left", "ends_at"}, to("/billing")},
		TrialEnded:        {nil, to("/billing")},
		PaymentFailed:     {[]string{"plan", "ends_at"}, to("/billing")},
		QuotaWarning:      {[]string{"limit", "resets_at"}, to("/billing")},
		QuotaFresh:        {[]string{"limit"}, to("/mailboxes")},
		CleanupDone:       {[]string{"mailbox", "action", "state", "job_id", "undo_until"}, func(d Data) string { return "/history/" + url.PathEscape(d.JobID) }},
		SecurityNotice:    {[]string{"event", "at"}, to("/settings/security")},
		Invitation:        {[]string{"to", "by", "role", "token", "ends_at"}, withToken("/accept-invitation")},
		AccountDeleted:    {[]string{"at", "ends_at"}, to("/support")},
		ExportReady:       {[]string{"at", "ends_at"}, to("/settings/export")},
	}
}

// Render composes a mail without sending it.
func (s *Sender) Render(m Message) (Letter, error) {
	spec, known := specs()[m.Kind]
	if !known {
		return Letter{}, fmt.Errorf("no mail is called %q: %w", m.Kind, errPermanent)
	}
	if missing := missing(m.Data, spec.needs); len(missing) > 0 {
		return Letter{}, fmt.Errorf("%s needs %s: %w", m.Kind, strings.Join(missing, ", "), errPermanent)
	}
	data := m.Data
	data.Name, data.Mailbox, data.Plan, data.Device = oneLine(data.Name), oneLine(data.Mailbox), oneLine(data.Plan), oneLine(data.Device)
	data.By = oneLine(data.By)
	base := strings.TrimRight(s.BaseURL, "/")
	choose := ""
	if m.Kind.Optional() {
		choose = base + choicePath
	}
	return compose(m.Kind, data, base+spec.link(data), choose)
}

// choicePath is the page on which people choose what mails they get.
const choicePath = "/settings/notifications"

func missing(d Data, needs []string) []string {
	given := map[string]bool{
		"token": d.Token != "", "to": d.To != "", "by": d.By != "", "role": d.Role != "", "mailbox": d.Mailbox != "", "job_id": d.JobID != "", "plan": d.Plan != "",
		"action": d.Action != "", "state": d.State != "", "event": d.Event != "", "at": !d.At.IsZero(),
		"days_left": d.DaysLeft > 0, "limit": d.Limit > 0,
		"ends_at": !d.EndsAt.IsZero(), "resets_at": !d.ResetsAt.IsZero(), "undo_until": !d.UndoUntil.IsZero(),
	}
	return slices.DeleteFunc(slices.Clone(needs), func(name string) bool { return given[name] })
}

// oneLine keeps what strangers chose from breaking out of its line or growing without bound.
func oneLine(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) {
			return ' '
		}
		return r
	}, s)
	if runes := []rune(s); len(runes) > 200 {
		s = string(runes[:200]) + "…"
	}
	return strings.Join(strings.Fields(s), " ")
}

// body is one kind's template split into its parts, from which both forms are made.
type body struct {
	Subject string
	Before  []string // paragraphs
	Label   string   // of the link
	Link    string
	After   []string
	Choose  string // where to turn mails like this one off; "": nobody can
}

func compose(kind Kind, data Data, link, choose string) (Letter, error) {
	t, err := template.New("").Funcs(template.FuncMap{"count": count, "day": day, "instant": instant, "plural": plural}).
		ParseFS(templates, "templates/"+string(kind)+".tmpl")
	if err != nil {
		return Letter{}, fmt.Errorf("read template: %w", err)
	}
	part := func(name string) string {
		var b strings.Builder
		if e := t.ExecuteTemplate(&b, name, data); e != nil && err == nil {
			err = e
		}
		return strings.TrimSpace(b.String())
	}
	b := body{Subject: oneLine(part("subject")), Before: paragraphs(part("before")), Label: oneLine(part("label")), Link: link, After: paragraphs(part("after")), Choose: choose}
	if err != nil {
		return Letter{}, fmt.Errorf("fill template: %w", err)
	}
	return b.letter()
}

func (b body) letter() (Letter, error) {
	plain := slices.Concat(b.Before, []string{b.Label + ":\n" + b.Link}, b.After)
	if b.Choose != "" {
		plain = append(plain, "You can turn mails like this one off:\n"+b.Choose)
	}
	plain = append(plain, "-- \nMailsweep")
	layout, err := htmltemplate.ParseFS(templates, "templates/layout.html")
	if err != nil {
		return Letter{}, fmt.Errorf("read layout: %w", err)
	}
	var html bytes.Buffer
	if err := layout.Execute(&html, b); err != nil {
		return Letter{}, fmt.Errorf("fill layout: %w", err)
	}
	return Letter{Subject: b.Subject, Text: strings.Join(plain, "\n\n") + "\n", HTML: html.String()}, nil
}

// paragraphs are separated by blank lines; line breaks inside one are only layout of the template.
func paragraphs(s string) []string {
	var all []string
	for p := range strings.SplitSeq(s, "\n\n") {
		if p = strings.Join(strings.Fields(p), " "); p != "" {
			all = append(all, p)
		}
	}
	return all
}

func count(n int) string {
	s := strconv.Itoa(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return count(n) + " " + many
}

func instant(t time.Time) string { return t.UTC().Format("2 January 2006, 15:04 UTC") }

func day(t time.Time) string { return t.UTC().Format("2 January 2006") }
