package outbound

import (
	"net"
	"net/netip"
	"net/url"
	"strings"
	"testing"
)

// FuzzAdmittedURL holds OUT-1: a URL that is admitted is https, at port 443, without a user, and its host is a name in every reader's eyes.
func FuzzAdmittedURL(f *testing.F) {
	for _, s := range []string{"https://shop.example/u?x=1", "https://127.1/", "https://0x7f.1/", "https://shop.example:443@10.0.0.1/", "https://a.b\\@c.example", "https://[::1]/", "https://１２７.0.0.1/", "HTTPS://A.example.:443"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		admitted, err := admit(raw)
		if err != nil {
			return
		}
		u, err := url.Parse(admitted)
		if err != nil || u.Scheme != "https" || u.User != nil || u.Port() != "" && u.Port() != "443" || strings.ContainsAny(admitted, " \\\r\n\x00") {
			t.Fatalf("%q is admitted as %q: %v", raw, admitted, err)
		}
		if _, err := netip.ParseAddr(u.Hostname()); err == nil || net.ParseIP(u.Hostname()) != nil || !strings.Contains(u.Hostname(), ".") {
			t.Fatalf("%q is admitted and is no name", raw)
		}
	})
}

// FuzzPublicAddress holds OUT-1: what is called public is global unicast and nobody's inside, in either form of an IPv4 address.
func FuzzPublicAddress(f *testing.F) {
	for _, s := range []string{"10.0.0.1", "8.8.8.8", "::1", "::ffff:10.0.0.1", "64:ff9b::a00:1", "2606:4700::1111", "fe80::1%eth0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		a, err := netip.ParseAddr(text)
		if err != nil || !public(a) {
			return
		}
		if inner := a.Unmap(); !inner.IsGlobalUnicast() || inner.IsPrivate() || a.Is4In6() || a.Zone() != "" {
			t.Fatalf("%s is public", a)
		}
	})
}
