package google

import (
	_ "embed"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
)

// discoveryDocument is what Google says of its methods, their parameters, types and scopes (gmail.googleapis.com/$discovery/rest), without
// what it says in sentences.
//
//go:embed discovery.json
var discoveryDocument []byte

// describe answers the discovery document with addresses on this server and the methods that the Sim has, so that clients
// which build themselves from it can be pointed here.
func (s *Sim) describe(w http.ResponseWriter, r *http.Request) {
	var doc map[string]any
	if err := json.Unmarshal(discoveryDocument, &doc); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	base := "http://" + r.Host + "/"
	if r.TLS != nil {
		base = "https://" + r.Host + "/"
	}
	doc["rootUrl"], doc["baseUrl"], doc["mtlsRootUrl"] = base, base, base
	keepServed(doc, Methods())
	writeJSON(w, http.StatusOK, doc)
}

// keepServed takes the methods out that the Sim does not have.
func keepServed(resource map[string]any, served []string) {
	methods, _ := resource["methods"].(map[string]any)
	for name, m := range methods {
		id, _ := m.(map[string]any)["id"].(string)
		if !slices.Contains(served, strings.TrimPrefix(id, "gmail.users.")) {
			delete(methods, name)
		}
	}
	below, _ := resource["resources"].(map[string]any)
	for _, r := range below {
		keepServed(r.(map[string]any), served)
	}
}
