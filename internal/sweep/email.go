package sweep

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Lengths of an address in bytes (RFC 5321, 4.5.3.1, and the erratum on the path's 256).
const (
	maxAddress = 254
	maxLocal   = 64
	maxLabel   = 63
)

// CanonicalEmail gives the one spelling under which an address is stored and looked up: trimmed, in lower case. The caller brings
// s into Unicode's NFKC first. Only what can be mailed to everywhere passes: letters of ASCII, no quotes, no comments, no IP
// literals, a domain of at least two labels. Invalid otherwise; the error names no part of the address.
func CanonicalEmail(s string) (string, error) {
	s = strings.ToLower(strings.Trim(s, " \t"))
	local, domain, ok := strings.Cut(s, "@")
	if !ok || len(s) > maxAddress || !localPart(local) || !domainName(domain) {
		return "", Errorf(Invalid, "the e-mail address is not valid").At("email", "is not an e-mail address")
	}
	return s, nil
}

// localPart accepts a dot-atom (RFC 5322, 3.2.3).
func localPart(s string) bool {
	if s == "" || len(s) > maxLocal || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for i := range len(s) {
		if !alphanumeric(s[i]) && !strings.ContainsRune("!#$%&'*+/=?^_`{|}~.-", rune(s[i])) {
			return false
		}
	}
	return true
}

func domainName(s string) bool {
	labels := strings.Split(s, ".")
	for _, l := range labels {
		if l == "" || len(l) > maxLabel || l[0] == '-' || l[len(l)-1] == '-' {
			return false
		}
		for i := range len(l) {
			if !alphanumeric(l[i]) && l[i] != '-' {
				return false
			}
		}
	}
	top := labels[len(labels)-1]
	return len(labels) > 1 && strings.Trim(top, "0123456789") != "" // an all-digit top level is an IP address
}

func alphanumeric(b byte) bool { return b >= 'a' && b <= 'z' || b >= '0' && b <= '9' }

// CanonicalKeep gives the one spelling of an entry of the keep list: an address or @domain, trimmed, in lower case. It may be any
// sender's, so letters of other scripts pass. ok is false when it is neither.
func CanonicalKeep(s string) (entry string, ok bool) {
	valid := utf8.ValidString(s) // lower case would hide what is not
	s = strings.ToLower(strings.TrimSpace(s))
	hidden := strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsGraphic(r) || unicode.IsSpace(r) })
	return s, valid && !hidden && len(s) <= maxAddress && senderPattern(s)
}

// KeepList is the entries of a keep list, as CanonicalKeep gives them.
type KeepList map[string]bool

// NewKeepList makes a keep list of its entries.
func NewKeepList(entries []string) KeepList {
	k := KeepList{}
	for _, e := range entries {
		k[e] = true
	}
	return k
}

// Holds says whether an address is on the list: itself, its domain or a domain above that. So it is for a domain with its @.
func (k KeepList) Holds(address string) bool {
	if k[address] {
		return true
	}
	_, domain, _ := strings.Cut(address, "@")
	for domain != "" {
		if k["@"+domain] {
			return true
		}
		_, domain, _ = strings.Cut(domain, ".")
	}
	return false
}
