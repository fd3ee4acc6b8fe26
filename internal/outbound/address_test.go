package outbound

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sweep"
)

var errNowhere = errors.New("the test connects nowhere")

// counted is a client as New makes it, with a name server of the test's; what its guard lets through is noted instead of connected.
func counted(n *names) (*Client, func() []string) {
	c := New()
	c.dialer.Resolver = n.resolver()
	var mu sync.Mutex
	var let []string
	decide := c.dialer.Control
	c.dialer.Control = func(network, address string, raw syscall.RawConn) error {
		if decide != nil {
			if err := decide(network, address, raw); err != nil {
				return err
			}
		}
		mu.Lock()
		defer mu.Unlock()
		let = append(let, address)
		return errNowhere
	}
	return c, func() []string { mu.Lock(); defer mu.Unlock(); return append([]string(nil), let...) }
}

// away are addresses that no stranger may send us to, each of them the answer of a name of its own.
var away = strings.Fields(`127.0.0.1 127.255.255.254 0.0.0.0 0.1.2.3 10.0.0.1 10.255.255.255 100.64.0.1 100.100.100.200 100.127.255.255 169.254.169.254
	169.254.170.2 172.16.0.1 172.31.255.255 192.0.0.1 192.0.0.192 192.0.2.1 192.88.99.1 192.168.0.1 192.168.255.255 198.18.0.1 198.19.255.255
	198.51.100.7 203.0.113.9 224.0.0.1 239.255.255.255 240.0.0.1 255.255.255.255 168.63.129.16
	:: ::1 ::ffff:127.0.0.1 ::127.0.0.1 64:ff9b::7f00:1 64:ff9b::a00:1 64:ff9b:1::a00:1 100::1 2001::7f00:1 2001:0:a00:1::1 2001:2::1 2001:10::1
	2001:20::1 2001:db8::1 2002:7f00:1::1 2002:a00:1::1 3fff::1 5f00::1 fc00::1 fd00:ec2::254 fe80::1 fec0::1 ff02::1 ff0e::1`)

// spelt are URLs that are refused as they are written; whatever a name server would say.
var spelt = []string{
	"http://good.example/", "ftp://good.example/", "file:///etc/passwd", "gopher://good.example/", "//good.example/", "/x", "", "https:", "https://", "https:///x",
	"https:good.example", "https://good.example:80/", "https://good.example:8443/", "https://good.example:0/", "https://good.example:65979/",
	"https://user@good.example/", "https://user:word@good.example/", "https://good.example@127.0.0.1/", "https://good.example\\@127.0.0.1/",
	"https://127.0.0.1/", "https://8.8.8.8/", "https://127.1/", "https://127.0.1/", "https://2130706433/", "https://0x7f000001/", "https://0x7f.1/", "https://0x7f.0.0.0x1/",
	"https://017700000001/", "https://0177.0.0.01/", "https://127.0.0.1./", "https://localhost/", "https://localhost./", "https://redis/", "https://good.example./",
	"https://good..example/", "https://.example/", "https://[::1]/", "https://[::]/", "https://[::ffff:127.0.0.1]/", "https://[::ffff:8.8.8.8]/", "https://[fe80::1%25eth0]/",
	"https://[2606:4700:4700::1111]/", "https://１２７.０.０.１/", "https://①②⑦.⓪.⓪.①/", "https://good。example/", "https://%31%32%37.0.0.1/", "https://good.example%00.x/",
	"https://good.example\r\nHost: x/", " https://good.example/", "https://good.example /", "https://good.example:443:443/", "https://" + strings.Repeat("a.", 130) + "example/",
	"https://" + strings.Repeat("a", 64) + ".example/", "https://good.example/" + strings.Repeat("a", urlAtMost),
}

// resolved are names that the name server, as it knows no better, sends home.
var resolved = []string{"https://localhost.localdomain.example/", "https://127.0.0.1.nip.example/", "https://LOCALTEST.example:443/", "https://metadata.google.internal/computeMetadata/v1/",
	"https://kubernetes.default.svc.cluster.local/", "https://x.example/?next=https://good.example/#@good.example"}

func TestAURLIsRefusedAsItIsWrittenBeforeAnyLookUp(t *testing.T) { // OUT-1
	t.Parallel()
	c, let := counted(&names{unknown: "93.184.215.14"})
	for _, u := range spelt {
		_, err := c.Post(t.Context(), u, nil, nil)
		require.Equal(t, sweep.Invalid, sweep.CodeOf(err), "%s: %v", u, err)
	}
	require.Empty(t, let(), "connects")
}

func TestNoURLOfAStrangerLeadsHome(t *testing.T) { // OUT-1
	t.Parallel()
	n := &names{answers: map[string][][]netip.Addr{}, unknown: "127.0.0.1"}
	urls := append(append([]string{}, spelt...), resolved...)
	for i, a := range away {
		name := fmt.Sprintf("host%d.example", i)
		n.answers[name] = [][]netip.Addr{{netip.MustParseAddr(a)}}
		urls = append(urls, "https://"+name+"/")
	}
	require.GreaterOrEqual(t, len(urls), 60)
	t.Logf("%d URLs", len(urls))
	c, let := counted(n)
	for i, u := range urls {
		_, err := c.Post(t.Context(), u, nil, nil)
		require.Error(t, err, u)
		if i < len(spelt)+len(resolved) || !strings.Contains(away[i-len(spelt)-len(resolved)], ":") { // a machine without IPv6 fails before the guard
			require.Equal(t, sweep.Invalid, sweep.CodeOf(err), "%s: %v", u, err)
		}
	}
	require.Empty(t, let(), "connects")
}

func TestTheGuardLetsOnlyPublicAddressesAndPort443Through(t *testing.T) { // OUT-1
	t.Parallel()
	for _, a := range append(strings.Fields("::ffff:8.8.8.8 2606:4700:4700::1111%eth0"), away...) {
		require.Error(t, guard("tcp", netip.AddrPortFrom(netip.MustParseAddr(a), port).String(), nil), a)
	}
	for _, a := range []string{"8.8.8.8:80", "8.8.8.8:0", "[2606:4700:4700::1111]:8443", "8.8.8.8", "good.example:443", ""} {
		require.Error(t, guard("tcp", a, nil), a)
	}
	for _, a := range []string{"8.8.8.8:443", "100.63.255.255:443", "100.128.0.1:443", "172.32.0.1:443", "198.20.0.1:443", "223.255.255.254:443", "[2606:4700:4700::1111]:443", "[2a00:1450::1]:443"} {
		require.NoError(t, guard("tcp", a, nil), a)
	}
}

func TestANameThatTurnsHomeIsDecidedAtEachConnect(t *testing.T) { // OUT-1
	t.Parallel()
	out, home := netip.MustParseAddr("93.184.215.14"), netip.MustParseAddr("127.0.0.1")
	c, let := counted(&names{unknown: "127.0.0.1", answers: map[string][][]netip.Addr{
		"turns.example": {{out}, {home}},
		"both.example":  {{out, home, netip.MustParseAddr("10.0.0.1")}},
	}})
	_, err := c.Post(t.Context(), "https://turns.example/", nil, nil)
	require.ErrorIs(t, err, errNowhere, "public: the guard lets it through")
	_, err = c.Post(t.Context(), "https://turns.example/", nil, nil)
	require.Equal(t, sweep.Invalid, sweep.CodeOf(err), "%v", err)
	require.NotContains(t, err.Error(), "127.0.0.1")
	_, err = c.Post(t.Context(), "https://both.example/", nil, nil)
	require.Error(t, err)
	require.Equal(t, []string{"93.184.215.14:443", "93.184.215.14:443"}, let(), "of three answers the public one")
}

func TestNoProxyOfTheEnvironmentIsAsked(t *testing.T) { // OUT-1
	t.Setenv("HTTPS_PROXY", "http://93.184.215.15:443") // read once a process: the field is looked at, too
	c, let := counted(&names{unknown: "127.0.0.1", answers: map[string][][]netip.Addr{"good.example": {{netip.MustParseAddr("93.184.215.14")}}}})
	_, err := c.Post(t.Context(), "https://good.example/", nil, nil)
	require.Error(t, err)
	require.Equal(t, []string{"93.184.215.14:443"}, let())
	require.Nil(t, c.transport.Proxy)
}
