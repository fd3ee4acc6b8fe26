package mailindex

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"io/fs"
	"os"
	"strings"
	"testing"

	"mailsweep/internal/sweep"
)

func TestFromHeadersAreReadAsForgivingSoftwareDoes(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string][2]string{
		`Ann Example <Ann@Example.COM>`:                     {"ann@example.com", "Ann Example"},
		`ann@example.com`:                                   {"ann@example.com", ""},
		`ann@example.com (Ann Example)`:                     {"ann@example.com", "Ann Example"},
		`"Example, Ann" <ann@example.com>`:                  {"ann@example.com", "Example, Ann"},
		`John Q. Public <jqp@example.com>`:                  {"jqp@example.com", "John Q. Public"},
		`Example, Ann <ann@example.com>`:                    {"example", ""},
		`Shop [Deals] <deals@shop.example>`:                 {"shop", ""},
		`a@x.example, b@y.example`:                          {"a@x.example", ""},
		`undisclosed-recipients: a@x.example, b@y.example;`: {"a@x.example", ""},
		`=?windows-1251?B?yOLg7Q==?= <ivan@example.ru>`:     {"ivan@example.ru", "Иван"},
		`=?ISO-2022-JP?B?GyRCOzNFRBsoQg==?= <y@example.jp>`: {"y@example.jp", "山田"},
		`=?utf-8?Q?J=C3=BCrgen?= <j@example.de>`:            {"j@example.de", "Jürgen"},
		"J\xfcrgen <j@example.de>":                          {"j@example.de", "Jürgen"},
		`root`:                                              {"root", ""},
		`root (Cron Daemon)`:                                {"root", "Cron Daemon"},
		`"a b"@example.com`:                                 {`"a b"@example.com`, ""},
		`<@relay.example:ann@example.com>`:                  {"ann@example.com", ""},
		`a@evil.example@good.example`:                       {"", ""},
		`ann (the (nested) one) @example.com`:               {"ann@example.com", "the nested one"},
		"Ann\r\n Example <ann@example.com>":                 {"ann@example.com", "Ann Example"},
		`ann @ example . com`:                               {"ann@example.com", ""},
		`<>`:                                                {"", ""},
		``:                                                  {"", ""},
		`ann@[192.0.2.1]`:                                   {"ann@[192.0.2.1]", ""},
		`=?no-such-charset?B?yOLg7Q==?= <a@example.com>`:    {"a@example.com", "=?no-such-charset?B?yOLg7Q==?="},
		`"unclosed <ann@example.com>`:                       {"unclosed <ann@example.com>", ""},
		`Ann <ann@example.com`:                              {"ann@example.com", "Ann"},
		`, ann@example.com`:                                 {"", ""},
	} {
		address, name, ok := ParseFrom(raw)
		if address != want[0] || name != want[1] || ok != (want[0] != "") {
			t.Errorf("%q: address %q, name %q, want %q", raw, address, name, want)
		}
	}
}

func FuzzParseFrom(f *testing.F) {
	for _, s := range []string{`A (b) <c@d>`, `a:b;`, `((((`, `"\`, "<@:@", "=?utf-8?Q?=", "[", "a:b:c:d"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		address, name, ok := ParseFrom(raw)
		if ok != (address != "") || strings.ContainsAny(address+name, "\r\n") {
			t.Fatalf("%q: %q %q %v", raw, address, name, ok)
		}
	})
}

// sampleHeaders reads the header blocks of the sample of real mail.
func sampleHeaders(t *testing.T) (out []map[string]string) {
	file, err := os.Open("../../../shared/mail/sample-a.mbox.gz")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("the sample of real mail is not on this machine")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	z, err := gzip.NewReader(file)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	in := bufio.NewScanner(bytes.NewReader(raw))
	in.Buffer(nil, 1<<24)
	headers := map[string]string(nil)
	last, inHead := "", false
	for in.Scan() {
		line := strings.TrimSuffix(in.Text(), "\r")
		switch name, value, ok := strings.Cut(line, ":"); {
		case strings.HasPrefix(line, "From "):
			headers, inHead, last = map[string]string{}, true, ""
			out = append(out, headers)
		case !inHead:
		case line == "":
			inHead = false
		case line[0] == ' ' || line[0] == '\t':
			if last != "" {
				headers[last] += "\n" + line
			}
		case ok:
			last = strings.ToLower(name)
			if _, twice := headers[last]; twice {
				last = ""
				continue
			}
			headers[last] = strings.TrimLeft(value, " \t")
		}
	}
	return out
}

func TestSendersOfRealMailAreThoseThatParseaddrFinds(t *testing.T) {
	t.Parallel()
	all := sampleHeaders(t)
	senders, lists := map[string]bool{}, 0
	for _, h := range all {
		address, _, _ := ParseFrom(h["from"])
		senders[address] = true
		if u := h["list-unsubscribe"]; u != "" {
			lists++
			if ParseUnsubscribe(u, h["list-unsubscribe-post"]) == sweep.NoWay {
				t.Errorf("no way to unsubscribe in %q", u)
			}
		}
	}
	if len(all) != 2150 || len(senders) != 1041 || lists != 929 {
		t.Fatalf("%d messages, %d senders, %d with List-Unsubscribe; want 2150, 1041, 929", len(all), len(senders), lists)
	}
}

func TestOneClickNeedsAnHTTPSLinkAndThePostHeader(t *testing.T) {
	t.Parallel()
	const post = "List-Unsubscribe=One-Click"
	for _, c := range []struct {
		header, post string
		want         sweep.UnsubscribeMethod
	}{
		{"<https://shop.example/u?x=1>", post, sweep.OneClick},
		{"<mailto:u@shop.example>, <https://shop.example/u>", " list-unsubscribe=one-click ", sweep.OneClick},
		{"<https://shop.example/\r\n u>", post, sweep.OneClick},
		{"<http://shop.example/u>", post, sweep.Link},
		{"<https://shop.example/u>", "", sweep.Link},
		{"<https://shop.example/u>", "yes", sweep.Link},
		{"<mailto:u@shop.example>, <https://shop.example/u>", "", sweep.Mailto},
		{"mailto:u@shop.example?subject=unsubscribe", post, sweep.Mailto},
		{"https://shop.example/u", post, sweep.OneClick},
		{"<ftp://shop.example/u>", post, sweep.NoWay},
		{"<https:///u>", post, sweep.NoWay},
		{"<mailto:>", "", sweep.NoWay},
		{"", post, sweep.NoWay},
	} {
		if got := ParseUnsubscribe(c.header, c.post); got != c.want {
			t.Errorf("%q with %q: %s, want %s", c.header, c.post, got, c.want)
		}
	}
}

func TestDomainOfIsTheRegistrableOne(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]string{
		"a@mail.shop.co.uk": "shop.co.uk", "a@shop.example": "shop.example", "a@x.y.example": "y.example", "a@localhost": "localhost", "root": "", "a@com": "com", "a@Shop.COM.": "shop.com",
	} {
		if got := DomainOf(address); got != want {
			t.Errorf("%s: %q, want %q", address, got, want)
		}
	}
}
