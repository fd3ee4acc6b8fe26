package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/netip"
	"testing"
)

// FuzzCallersAddress holds IPA-1: a peer that is no proxy of ours is the caller, whatever it writes; behind our proxies the caller is one
// of the addresses that were written, as it is printed.
func FuzzCallersAddress(f *testing.F) {
	for _, s := range [][2]string{{"203.0.113.9:1", "10.0.0.1"}, {"10.0.0.1:1", "198.51.100.1, 10.0.0.2"}, {"[2001:db8::1]:1", "::ffff:10.0.0.1"}, {"10.0.0.1:1", "a, [::1%eth0]:80"}, {"", ""}} {
		f.Add(s[0], s[1])
	}
	find := extractor([]netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	f.Fuzz(func(t *testing.T, peer, forwarded string) {
		got := find(&http.Request{RemoteAddr: peer, Header: http.Header{"X-Forwarded-For": {forwarded}, "Forwarded": {"for=" + forwarded}, "X-Real-Ip": {forwarded}}})
		from, known := address(peer)
		if !known {
			if got != "" {
				t.Fatalf("from nowhere (%q) %q calls", peer, got)
			}
			return
		}
		a, err := netip.ParseAddr(got)
		if err != nil || a.String() != got || a.Is4In6() || a.Zone() != "" {
			t.Fatalf("%q behind %q is %q", forwarded, peer, got)
		}
		if !netip.MustParsePrefix("10.0.0.0/8").Contains(from) && a != from {
			t.Fatalf("%q says that it is %q and is believed: %q", peer, forwarded, got)
		}
	})
}

// FuzzStrictJSON holds ERR-4: what passes is one JSON value that a second reader understands too.
func FuzzStrictJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,{"b":null}]}`, `{"a":1,"a":2}`, `{} {}`, "[\"\\u0000\"]", `"\ud800"`, `[`, `NaN`, "{\"\xff\":1}", `{"a":{"a":{}}}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if checkJSON(body) != nil {
			return
		}
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.UseNumber()
		var value any
		if err := dec.Decode(&value); err != nil || dec.More() {
			t.Fatalf("%q passes: %v", body, err)
		}
		if again, err := json.Marshal(value); err != nil || checkJSON(again) != nil {
			t.Fatalf("%q passes, %q does not: %v", body, again, err)
		}
	})
}

// FuzzProblem holds ERR-1: whatever stands in a problem, it is one JSON object whose standard members are the problem's own.
func FuzzProblem(f *testing.F) {
	f.Add("the detail", "quota", "x")
	f.Add("\"}\r\n\xff", "code", "stolen</script>")
	f.Fuzz(func(t *testing.T, detail, member, value string) {
		p := &Problem{Type: "about:blank", Title: "Conflict", Status: 409, Detail: detail, Code: "conflict", RequestID: "req", Data: map[string]any{member: value}}
		text, err := p.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var got map[string]any
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if got["status"] != 409.0 || got["code"] != "conflict" || got["title"] != "Conflict" || got["request_id"] != "req" {
			t.Fatalf("%q: %q replaces what is standard: %s", member, value, text)
		}
	})
}
