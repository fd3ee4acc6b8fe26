package outbound

import (
	"net/netip"
	"net/url"
	"strings"
	"syscall"

	"mailsweep/internal/sweep"
)

const (
	port       = 443
	urlAtMost  = 8 << 10
	nameAtMost = 253
)

// global is where IPv6 hosts of the internet live; all else of IPv6 is loopback, local, multicast, mapped, NAT64 or not given out.
var global = netip.MustParsePrefix("2000::/3")

// special are the networks of IANA's registries of special purpose addresses that lead elsewhere than to a host of the internet.
// Those of IPv6 that carry an IPv4 address are refused whole, whatever they carry.
var special = prefixes("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24",
	"192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
	"168.63.129.16/32",           // Azure's host, seen from its guests
	"2001::/23",                  // Teredo, ORCHID, benchmarks
	"2001:db8::/32", "3fff::/20", // documentation
	"2002::/16", // 6to4
)

func prefixes(texts ...string) (list []netip.Prefix) {
	for _, text := range texts {
		list = append(list, netip.MustParsePrefix(text))
	}
	return list
}

// guard is asked between the look-up and each connect, with the address that the kernel will be given: a name server that changes
// its mind after a check changes nothing.
func guard(_, address string, _ syscall.RawConn) error {
	to, err := netip.ParseAddrPort(address)
	if err != nil || to.Port() != port || !public(to.Addr()) {
		return sweep.Errorf(sweep.Invalid, "the URL's host is not on the public internet")
	}
	return nil
}

func public(a netip.Addr) bool {
	if a.Zone() != "" || a.Is6() && !global.Contains(a) {
		return false
	}
	for _, s := range special {
		if s.Contains(a) {
			return false
		}
	}
	return a.IsValid()
}

// admit returns the URL as it will be called, or why it is not: https, port 443, a host with a name of two labels or more.
func admit(raw string) (string, error) {
	u, err := url.Parse(raw)
	switch {
	case err != nil || len(raw) > urlAtMost || u.Opaque != "":
		return "", sweep.Errorf(sweep.Invalid, "the URL is malformed or too long")
	case u.Scheme != "https":
		return "", sweep.Errorf(sweep.Invalid, "the URL is not https")
	case u.User != nil:
		return "", sweep.Errorf(sweep.Invalid, "the URL carries a user name")
	case u.Port() != "" && u.Port() != "443":
		return "", sweep.Errorf(sweep.Invalid, "the URL names a port other than 443")
	case !named(u.Hostname()):
		return "", sweep.Errorf(sweep.Invalid, "the URL's host is not a full domain name")
	}
	return u.String(), nil
}

// named tells whether host is a name of the internet's: not an address in any of the ways that resolvers read (127.1, 0x7f.1), not
// a name that is completed from our own search list, nothing that is turned into another name (full-width digits) on the way.
func named(host string) bool {
	labels := strings.Split(strings.ToLower(host), ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	last := labels[len(labels)-1]
	return len(host) <= nameAtMost && len(labels) > 1 && last[0] >= 'a' && last[0] <= 'z'
}
