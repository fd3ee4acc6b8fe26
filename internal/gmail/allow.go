package gmail

import (
	"errors"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
)

// errNotAllowed is what a request outside the list below gets instead of a connection.
var errNotAllowed = errors.New("not on the list of Gmail calls")

// rule is one call that may leave: any other method, path or parameter is refused, so that no later change of the code, no
// redirect and no odd id can fetch a body, send, or delete mail.
type rule struct {
	call   Method
	verb   string
	path   *regexp.Regexp
	params map[string]*regexp.Regexp // every value must fit; needed ones are checked by the rule's own test
	needs  string                    // a parameter that must be there exactly once
}

// allowed is what our mailboxes may call, compiled once.
var allowed = sync.OnceValue(rules)

// rules are written out in full: this is the list a reader checks.
func rules() []rule {
	const users = `^/gmail/v1/users/me/`
	free, count, token := regexp.MustCompile(`^.*$`), regexp.MustCompile(`^[0-9]{1,20}$`), regexp.MustCompile(`^[\w.~=+/-]*$`)
	path := func(tail string) *regexp.Regexp { return regexp.MustCompile(users + tail + `$`) }
	headers := regexp.MustCompile(`^(` + strings.Join([]string{headerFrom, headerSubject, headerListID, headerUnsubscribe, headerUnsubscribePost}, "|") + `)$`)
	return []rule{
		{call: GetProfile, verb: http.MethodGet, path: path(`profile`)},
		{call: LabelsList, verb: http.MethodGet, path: path(`labels`)},
		{call: LabelsGet, verb: http.MethodGet, path: path(`labels/[A-Za-z0-9_-]+`)},
		{call: LabelsCreate, verb: http.MethodPost, path: path(`labels`)},
		{call: LabelsDelete, verb: http.MethodDelete, path: path(`labels/Label_[A-Za-z0-9_-]+`)},
		{call: MessagesList, verb: http.MethodGet, path: path(`messages`),
			params: map[string]*regexp.Regexp{"q": free, "labelIds": token, "maxResults": count, "pageToken": token}},
		{call: MessagesGet, verb: http.MethodGet, path: path(`messages/[0-9a-f]{1,16}`), needs: "format",
			params: map[string]*regexp.Regexp{"format": regexp.MustCompile(`^(metadata|minimal)$`), "metadataHeaders": headers}},
		{call: BatchModify, verb: http.MethodPost, path: path(`messages/batchModify`)},
		{call: HistoryList, verb: http.MethodGet, path: path(`history`),
			params: map[string]*regexp.Regexp{"startHistoryId": count, "maxResults": count, "pageToken": token}},
	}
}

// allowList finds the rule that a request falls under. Host and scheme must be those of base: a redirect elsewhere would carry
// the access token there.
type allowList struct {
	base  *url.URL
	rules []rule
}

func (a allowList) find(r *http.Request) (Method, error) {
	if r.URL.Scheme != a.base.Scheme || r.URL.Host != a.base.Host || r.URL.User != nil || (r.Host != "" && r.Host != a.base.Host) {
		return "", errNotAllowed
	}
	for name := range r.Header {
		if strings.Contains(strings.ToLower(name), "method-override") {
			return "", errNotAllowed
		}
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return "", errNotAllowed
	}
	for _, rule := range a.rules {
		if rule.verb == r.Method && rule.path.MatchString(r.URL.EscapedPath()) && rule.takes(query) {
			return rule.call, nil
		}
	}
	return "", errNotAllowed
}

// takes checks the parameters. alt, prettyPrint and fields are the client library's own and shape only the answer.
func (r rule) takes(query url.Values) bool {
	if r.needs != "" && len(query[r.needs]) != 1 {
		return false
	}
	for name, values := range query {
		switch name {
		case "fields", "prettyPrint":
			continue
		case "alt":
			if slices.ContainsFunc(values, func(v string) bool { return v != "json" }) {
				return false
			}
			continue
		}
		pattern, known := r.params[name]
		if !known || slices.ContainsFunc(values, func(v string) bool { return !pattern.MatchString(v) }) {
			return false
		}
	}
	return true
}
