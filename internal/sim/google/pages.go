package google

import (
	"bytes"
	_ "embed"
	"html/template"
	"net/http"
)

//go:embed pages.html
var pagesSource string

var pages = template.Must(template.New("pages").Parse(pagesSource))

func render(w http.ResponseWriter, name string, data any) {
	var buf bytes.Buffer
	if err := pages.ExecuteTemplate(&buf, name, data); err != nil {
		http.Error(w, "render page: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Referrer-Policy", "no-referrer")
	_, _ = w.Write(buf.Bytes())
}

// homeMailbox is a line of the first page.
type homeMailbox struct {
	Email                                   string
	Messages, Threads, Inbox, Unread, Trash int
}

func (s *Sim) home(w http.ResponseWriter, r *http.Request) {
	data := struct {
		TimeScale    float64
		Tariff       Tariff
		Mailboxes    []homeMailbox
		Client, Self string
	}{TimeScale: s.cfg.TimeScale, Tariff: s.cfg.Tariff, Client: s.cfg.ClientID, Self: "http://" + r.Host + "/"}
	if data.Client == "" {
		data.Client = "example-client"
	}
	for _, email := range s.Mailboxes() {
		m, err := s.Mailbox(email)
		if err != nil {
			continue
		}
		line := homeMailbox{Email: email}
		line.Messages, line.Threads = m.box.Totals()
		for id, to := range map[string]*int{"INBOX": &line.Inbox, "UNREAD": &line.Unread, "TRASH": &line.Trash} {
			_, n, _ := m.box.Label(id) // system labels are always there
			*to = n.Messages
		}
		data.Mailboxes = append(data.Mailboxes, line)
	}
	render(w, "home", data)
}

func (s *Sim) mailboxPage(w http.ResponseWriter, r *http.Request) {
	m, err := s.Mailbox(r.URL.Query().Get("email"))
	if err != nil {
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	}
	all := m.box.Messages()
	render(w, "mailbox", struct {
		Email  string
		Labels map[string]int
		Newest []Message
	}{m.Email, m.box.Truth().Labels, all[:min(10, len(all))]})
}
