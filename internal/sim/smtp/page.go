package smtp

import (
	"encoding/json"
	"html/template"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

const pages = `
{{define "top"}}<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{{.}}</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:60em;margin:2em auto;padding:0 1em;color:#222}table{width:100%;border-collapse:collapse}
td,th{text-align:left;padding:.4em .6em;border-bottom:1px solid #ddd}pre{white-space:pre-wrap;background:#f6f6f4;padding:1em}
iframe{width:100%;height:34em;border:1px solid #ddd}</style></head><body><h1>{{.}}</h1>{{end}}
{{define "list"}}{{template "top" "Mail sink"}}<p>Every mail that was sent, newest first. None of it was delivered.</p>
<table><thead><tr><th>To</th><th>Subject</th><th>Kind</th><th>Received (UTC)</th></tr></thead><tbody>
{{range .}}<tr><td>{{range .To}}{{.}} {{end}}</td><td><a href="/{{.Number}}">{{or .Subject "(no subject)"}}</a></td><td>{{.Kind}}</td><td>{{.Received.Format "15:04:05"}}</td></tr>
{{else}}<tr><td colspan="4">No mail yet.</td></tr>{{end}}</tbody></table></body></html>{{end}}
{{define "mail"}}{{template "top" .Subject}}<p>From {{.From}} to {{range .To}}{{.}} {{end}}, {{.Received.Format "2006-01-02 15:04:05"}} UTC. <a href="/">All mail</a></p>
{{with .Links}}<h2>Links</h2><ul>{{range .}}<li><a href="{{.}}">{{.}}</a></li>{{end}}</ul>{{end}}<h2>Text</h2><pre>{{.Text}}</pre>
{{with .HTML}}<h2>HTML</h2><iframe sandbox srcdoc="{{.}}" title="The mail as HTML"></iframe>{{end}}</body></html>{{end}}`

// ServeHTTP shows the mail: / is the list, /{number} one mail, /messages.json?to= everything for programs.
func (s *Sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-src 'self'")
	w.Header().Set("Cache-Control", "no-store")
	switch r.URL.Path {
	case "/":
		all := s.Messages()
		slices.Reverse(all)
		show(w, "list", all)
	case "/messages.json":
		s.serveJSON(w, r.URL.Query().Get("to"))
	default:
		s.serveOne(w, r)
	}
}

func (s *Sink) serveJSON(w http.ResponseWriter, to string) {
	found := []Message{}
	for _, m := range s.Messages() {
		if to == "" || m.isTo(to) {
			found = append(found, m)
		}
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(found)
}

func (s *Sink) serveOne(w http.ResponseWriter, r *http.Request) {
	number, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/"))
	all := s.Messages()
	i := slices.IndexFunc(all, func(m Message) bool { return m.Number == number })
	if err != nil || i < 0 {
		http.NotFound(w, r)
		return
	}
	show(w, "mail", all[i])
}

func show(w http.ResponseWriter, name string, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if err := template.Must(template.New("").Parse(pages)).ExecuteTemplate(w, name, data); err != nil {
		http.Error(w, "the page could not be made", http.StatusInternalServerError)
	}
}
