package account

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
)

// IP allowlists and the networks of keys: what is taken is kept as it means, lets its own addresses in, and comes back as it is when it is put again.
func FuzzNetworks(f *testing.F) {
	for _, text := range []string{"192.0.2.1", "192.0.2.77/24\n2001:db8::/32", "::ffff:192.0.2.1", "::ffff:192.0.2.0/120", "fe80::1%eth0", "0.0.0.0/0", "::/0", "192.0.2.1/33", "1.2.3.4,5.6.7.8", " 192.0.2.1", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		joined, err := joinNetworks(strings.Split(text, "\n"))
		if err != nil {
			return
		}
		list := splitNetworks(joined)
		again, err := joinNetworks(list)
		if err != nil || again != joined {
			t.Fatalf("%q is put again as %q, %v", joined, again, err)
		}
		if !slices.IsSorted(list) {
			t.Fatalf("%q is in no order", joined)
		}
		for _, one := range list {
			p, err := netip.ParsePrefix(one)
			if err != nil || p != p.Masked() || p.Addr().Is4In6() || p.Addr().Zone() != "" {
				t.Fatalf("%q is no network: %v", one, err)
			}
			if !within(joined, p.Addr()) || p.Addr().Is4() && !within(joined, netip.AddrFrom16(p.Addr().As16())) {
				t.Fatalf("%q keeps %s out", joined, p.Addr())
			}
		}
	})
}
