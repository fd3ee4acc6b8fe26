package mailindex

import (
	"net/url"
	"strings"

	"golang.org/x/net/publicsuffix"

	"mailsweep/internal/sweep"
)

// ParseUnsubscribe says how a sender lets one off its list, from the headers List-Unsubscribe and List-Unsubscribe-Post. One-click
// needs both an https URI and the value List-Unsubscribe=One-Click (RFC 8058, section 3.1); mailto goes before a plain link.
func ParseUnsubscribe(listUnsubscribe, listUnsubscribePost string) sweep.UnsubscribeMethod {
	mailto, web, secure := false, false, false
	for _, uri := range unsubscribeURIs(listUnsubscribe) {
		u, err := url.Parse(uri)
		if err != nil {
			continue
		}
		switch strings.ToLower(u.Scheme) {
		case "mailto":
			mailto = mailto || u.Opaque != "" || u.Path != ""
		case "https":
			secure = secure || u.Host != ""
			web = web || u.Host != ""
		case "http":
			web = web || u.Host != ""
		}
	}
	post := strings.EqualFold(strings.Join(strings.Fields(listUnsubscribePost), ""), "List-Unsubscribe=One-Click")
	switch {
	case secure && post:
		return sweep.OneClick
	case mailto:
		return sweep.Mailto
	case web:
		return sweep.Link
	}
	return sweep.NoWay
}

// unsubscribeURIs takes what stands in angle brackets (RFC 2369); without any, as some senders write it, the comma-separated parts.
// Folding white space inside a URI is dropped.
func unsubscribeURIs(header string) (uris []string) {
	rest := header
	for {
		_, after, found := strings.Cut(rest, "<")
		if !found {
			break
		}
		uri, tail, closed := strings.Cut(after, ">")
		if !closed {
			break
		}
		uris = append(uris, strings.Join(strings.Fields(uri), ""))
		rest = tail
	}
	if len(uris) > 0 {
		return uris
	}
	for part := range strings.SplitSeq(header, ",") {
		uris = append(uris, strings.Trim(strings.TrimSpace(part), "<>"))
	}
	return uris
}

// DomainOf is the registrable domain of an address by the public suffix list (mail.shop.co.uk → shop.co.uk), the bare domain where
// the list knows none, "" for an address without a domain.
func DomainOf(address string) string {
	i := strings.LastIndexByte(address, '@')
	if i < 0 {
		return ""
	}
	domain := strings.Trim(strings.ToLower(address[i+1:]), ".")
	if d, err := publicsuffix.EffectiveTLDPlusOne(domain); err == nil {
		return d
	}
	return domain
}
