package gmail

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
)

// Probing gives a client for finding out how Gmail behaves, in a mailbox of an operator's own. It may insert mail beside what any mailbox may
// do, and look into Trash and Spam; nothing else leaves. It knows neither pace nor patience: what Gmail refuses is among the findings.
func (c *Client) Probing(refreshToken string) (*http.Client, error) {
	base, err := url.Parse(or(c.BaseURL, googleBase))
	if err != nil {
		return nil, fmt.Errorf("the Gmail base URL is not a URL")
	}
	return &http.Client{
		Transport: &bare{allow: allowList{base: base, rules: probeRules()}, base: c.connections(),
			tokens: &tokens{config: c.OAuth.oauth2(), http: c.OAuth.client(), refresh: refreshToken}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

func probeRules() []rule {
	list := rules()
	yes := regexp.MustCompile(`^true$`)
	for _, r := range list {
		if r.call == MessagesList {
			r.params["includeSpamTrash"] = yes
		}
	}
	return append(list, rule{call: messagesInsert, verb: http.MethodPost, path: regexp.MustCompile(`^/gmail/v1/users/me/messages$`),
		params: map[string]*regexp.Regexp{"internalDateSource": regexp.MustCompile(`^dateHeader$`)}})
}

const messagesInsert Method = "messages.insert"

// bare adds the access token to calls that are on its list.
type bare struct {
	allow  allowList
	tokens *tokens
	base   http.RoundTripper
}

// RoundTrip makes one call.
func (b *bare) RoundTrip(r *http.Request) (*http.Response, error) {
	if _, err := b.allow.find(r); err != nil {
		return nil, refuse(r, err)
	}
	access, err := b.tokens.access(r.Context())
	if err != nil {
		return nil, refuse(r, err)
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+access)
	return b.base.RoundTrip(r)
}
