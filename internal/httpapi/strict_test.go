package httpapi

import (
	"encoding/json"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sweep"
)

// hostile are bodies that two readers could understand in two ways, or that no reader should have to.
func hostile() map[string]string {
	return map[string]string{
		"nothing but blanks": " \n", "no JSON": "hello", "cut off": `{"email":"a@b.example"`, "trailing object": `{} {}`, "trailing text": `{}x`, "trailing bracket": `{}]`,
		"two keys alike": `{"email":"a@b.example","email":"c@d.example"}`, "two keys alike, escaped": `{"email":"a","\u0065mail":"b"}`,
		"two keys alike below": `{"protect":{"starred":true,"starred":false}}`, "deep lists": strings.Repeat("[", 33) + strings.Repeat("]", 33),
		"deep objects": strings.Repeat(`{"a":`, 33) + "1" + strings.Repeat("}", 33), "NaN": `{"max_messages":NaN}`, "Infinity": `{"max_messages":-Infinity}`,
		"hexadecimal": `{"max_messages":0x10}`, "leading zero": `{"max_messages":010}`, "huge number": `{"max_messages":1e999}`, "not UTF-8": "{\"email\":\"\xff\xfe\"}",
		"overlong UTF-8": "{\"email\":\"\xc0\x80\"}", "NUL escaped": `{"email":"a\u0000b"}`, "NUL raw": "{\"email\":\"a\x00b\"}", "lone surrogate": `{"email":"\ud800"}`,
		"comment": `{/* hi */}`, "trailing comma": `{"email":"a",}`, "single quotes": `{'email':'a'}`, "a list": `[]`, "a string": `"text"`, "a number": `7`,
		"null": `null`, "unknown field": `{"plan":"enterprise","is_admin":true}`, "other case": `{"EMAIL":"a@b.example","Password":"x","ACTION":"trash"}`,
		"byte order mark": "\ufeff{}", "prototype": `{"__proto__":{"a":1}}`, "control character": "{\"email\":\"a\nb\"}",
	}
}

func TestStrictJSONTakesWhatIsWellFormed(t *testing.T) {
	t.Parallel()
	for _, body := range []string{`{}`, `[]`, `null`, ` {"a":[{"b":1},{"b":2}],"c":{"b":"\ud83d\ude00"}} `, "{\"a\":\"\ufffd\"}", `{"a":"\""}`, `1`} {
		require.NoError(t, checkJSON([]byte(body)), body)
	}
}

func TestStrictJSONRefusesWhatCanBeReadInTwoWays(t *testing.T) {
	t.Parallel()
	lenient := []string{"a list", "a string", "a number", "null", "unknown field", "other case", "prototype", "huge number"} // wrong only by what is expected
	for name, body := range hostile() {
		err := checkJSON([]byte(body))
		if contains(lenient, name) {
			require.NoError(t, err, name)
			continue
		}
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), "email", "the body is not echoed")
	}
}

func contains(list []string, s string) bool {
	for _, l := range list {
		if l == s {
			return true
		}
	}
	return false
}

func TestOnlyOneJSONContentTypePasses(t *testing.T) { // CSR-2
	t.Parallel()
	for _, good := range []string{"application/json", "Application/JSON; charset=UTF-8"} {
		require.NoError(t, checkMedia([]string{good}), good)
	}
	for _, bad := range [][]string{nil, {""}, {"text/plain"}, {"application/x-www-form-urlencoded"}, {"multipart/form-data; boundary=x"}, {"application/json; charset=utf-7"},
		{"application/json, text/plain"}, {"application/json", "text/plain"}, {"application/vnd.x+json"}} {
		require.Error(t, checkMedia(bad), bad)
	}
}

func TestAddressComesFromTrustedProxiesOnly(t *testing.T) { // IPA-1
	t.Parallel()
	trusted := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8:aaaa::/48")}
	for _, c := range []struct {
		peer string
		xff  []string
		want string
	}{
		{"203.0.113.9:1234", nil, "203.0.113.9"},
		{"203.0.113.9:1234", []string{"198.51.100.1"}, "203.0.113.9"},
		{"203.0.113.9:1234", []string{"10.1.2.3"}, "203.0.113.9"},
		{"10.0.0.1:99", nil, "10.0.0.1"},
		{"10.0.0.1:99", []string{"198.51.100.1"}, "198.51.100.1"},
		{"10.0.0.1:99", []string{"1.1.1.1, 198.51.100.1"}, "198.51.100.1"},
		{"10.0.0.1:99", []string{"198.51.100.1, 10.0.0.2"}, "198.51.100.1"},
		{"10.0.0.1:99", []string{"1.1.1.1", "198.51.100.1"}, "198.51.100.1"},
		{"10.0.0.1:99", []string{"198.51.100.1", "10.0.0.2"}, "198.51.100.1"},
		{"10.0.0.1:99", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		{"10.0.0.1:99", []string{"198.51.100.1:4711"}, "198.51.100.1"},
		{"10.0.0.1:99", []string{"[2001:db8::5]:4711"}, "2001:db8::5"},
		{"10.0.0.1:99", []string{"2001:db8::5"}, "2001:db8::5"},
		{"10.0.0.1:99", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		{"[::ffff:10.0.0.1]:99", []string{"198.51.100.1"}, "198.51.100.1"},
		{"10.0.0.1:99", []string{"unknown"}, "10.0.0.1"},
		{"10.0.0.1:99", []string{"1.1.1.1, garbage, 10.0.0.2"}, "10.0.0.2"},
		{"10.0.0.1:99", []string{""}, "10.0.0.1"},
		{"[2001:db8:aaaa::1]:99", []string{"2001:db8:bbbb::2%eth0"}, "2001:db8:bbbb::2"},
		{"nonsense", []string{"198.51.100.1"}, ""},
	} {
		r := &http.Request{RemoteAddr: c.peer, Header: http.Header{"X-Forwarded-For": c.xff, "X-Real-Ip": {"9.9.9.9"}, "Forwarded": {"for=8.8.8.8"}}}
		require.Equal(t, c.want, extractor(trusted)(r), "%s %v", c.peer, c.xff)
		require.NotEqual(t, "198.51.100.1", extractor(nil)(r), "nobody is trusted unless configured")
	}
}

func TestStrangersAreCountedByLineNotByAddress(t *testing.T) {
	t.Parallel()
	require.Equal(t, "203.0.113.9", network(netip.MustParseAddr("203.0.113.9")))
	require.Equal(t, network(netip.MustParseAddr("2001:db8::1")), network(netip.MustParseAddr("2001:db8::ffff:1")))
	require.NotEqual(t, network(netip.MustParseAddr("2001:db8::1")), network(netip.MustParseAddr("2001:db8:0:1::1")))
}

// ERR-4: 32 deep, no deeper, which is what the deepest criteria take.
func TestNestingEndsWhereTheDeepestCriteriaDo(t *testing.T) {
	t.Parallel()
	deep := func(n int) string {
		return `{"criteria":` + strings.Repeat(`{"all":[`, n-1) + `{"unread":true}` + strings.Repeat(`]}`, n-1) + `}`
	}
	require.NoError(t, checkJSON([]byte(deep(16))))
	var c struct{ Criteria sweep.Criteria }
	require.NoError(t, json.Unmarshal([]byte(deep(16)), &c))
	require.Error(t, json.Unmarshal([]byte(deep(17)), &c))
	require.Error(t, checkJSON([]byte(deep(17))))
	require.NoError(t, checkJSON([]byte(strings.Repeat("[", 32)+strings.Repeat("]", 32))))
	require.Error(t, checkJSON([]byte(strings.Repeat("[", 33)+strings.Repeat("]", 33))))
}
