package mbox

import (
	"bytes"
	"compress/gzip"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func readAll(t testing.TB, raw string) []*Message {
	t.Helper()
	var out []*Message
	if err := Read(strings.NewReader(raw), func(m *Message) error { out = append(out, m); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestMailIsSplitAndUnquoted(t *testing.T) {
	t.Parallel()
	got := readAll(t, "From a@b Thu Aug 22 12:36:23 2002\nSubject: one\n two\nX: 1\n\nbody\n>From me\n>>From you\nFrom the middle\n\nFrom c@d Thu Aug 22 12:36:23 2002\r\nSubject: next\r\n\r\nlast")
	if len(got) != 2 || got[0].Get("subject") != "one two" || string(got[0].Body) != "body\nFrom me\n>From you\nFrom the middle\n" || got[1].Get("Subject") != "next" {
		t.Fatalf("%+v", got)
	}
	if got[0].Size != len("Subject: one\n two\nX: 1\n\nbody\nFrom me\n>From you\nFrom the middle\n") {
		t.Error(got[0].Size)
	}
	long := strings.Repeat("x", 200_000)
	if got := readAll(t, "From a\nX: "+long+"\n\n"+long+"\n\nFrom b\n\n"); len(got) != 2 || got[0].Get("X") != long {
		t.Error("long lines are read whole")
	}
}

func TestWhatIsNoMboxIsRefusedInOneLine(t *testing.T) {
	t.Parallel()
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write([]byte("From a\nSubject: x\n\n" + strings.Repeat("abc def\n", 5000)))
	_ = w.Close()
	damaged := append(bytes.Clone(z.Bytes()[:z.Len()/2]), bytes.Repeat([]byte{7}, 30)...)
	for name, c := range map[string]struct {
		raw  string
		want string
	}{
		"empty": {"", "empty"}, "blank": {"\n\n", "empty"}, "text": {"Dear Sir\n", "not an mbox"}, "gzip of text": {gz("hello\n"), "not an mbox"},
		"gzip of nothing": {gz(""), "empty"}, "cut gzip": {z.String()[:z.Len()/2], "damaged gzip"}, "damaged gzip": {string(damaged), "damaged gzip"},
		"gzip magic only": {"\x1f\x8b", "damaged gzip"}, "bad checksum": {z.String()[:z.Len()-6] + "xxxxxx", "damaged gzip"},
	} {
		err := Read(strings.NewReader(c.raw), func(*Message) error { return nil })
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", name, err)
		}
	}
	stop := errors.New("stop")
	if err := Read(&z, func(*Message) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
}

func gz(s string) string {
	var z bytes.Buffer
	w := gzip.NewWriter(&z)
	_, _ = w.Write([]byte(s))
	_ = w.Close()
	return z.String()
}

func TestDateIsThatOfTheMailElseOfItsPath(t *testing.T) {
	t.Parallel()
	const received = "Received: from x by y; Wed, 21 Aug 2002 08:33:03 -0400 (EDT)\n"
	for header, want := range map[string]string{
		"Date: Thu, 22 Aug 2002 18:26:25 +0700\n":                  "2002-08-22T11:26:25Z",
		"Date: Thu, 22 Aug 02 18:26:25 EST\n":                      "2002-08-22",
		"Date: 8/22/2002 6:26:25 PM\n":                             "2002-08-22T18:26:25Z",
		"Date: Thu Aug 22 18:26:25 2002\n":                         "2002-08-22T18:26:25Z",
		"Date: Thu, 22 Aug 2002 18:26:25 Western Europe\n":         "2002-08-22T18:26:25Z",
		"Date: Sun, 1 Jan 1984 00:00:00 +0000\n" + received:        "2002-08-21T12:33:03Z",
		"Date: nonsense\n" + received:                              "2002-08-21T12:33:03Z",
		"Date: Fri, 1 Jan 2038 00:00:00 +0000\nReceived: nobody\n": "2002-08-20T12:36:23Z",
		"": "2002-08-20T12:36:23Z",
	} {
		m := readAll(t, "From a@b Tue Aug 20 12:36:23 2002\n"+header+"\n")[0]
		at, ok := m.When()
		if got := at.UTC().Format("2006-01-02T15:04:05Z"); !ok || !strings.HasPrefix(got, want) {
			t.Errorf("%q: %s", header, got)
		}
	}
}

func TestPartsTellTextAndAttachments(t *testing.T) {
	t.Parallel()
	m := readAll(t, "From a\nContent-Type: multipart/mixed; boundary=\"B\"\n\npreamble\n--B\nContent-Type: text/html\nContent-Transfer-Encoding: quoted-printable\n\n<b>gr=FC=C3=9Fe</b> a=\nb\n--B\nContent-Type: application/pdf; name=\"r.pdf\"\nContent-Disposition: attachment\nContent-Transfer-Encoding: base64\n\nAAAA\n--B--\n")[0]
	c := m.Content()
	if !c.Attachment || len(c.Files) != 1 || c.Files[0] != "r.pdf" || !strings.Contains(c.Text, " ab") || strings.Contains(c.Text, "<b>") {
		t.Errorf("%+v", c)
	}
}

func TestAnyBytesComeOutAsValidUTF8(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOf(rapid.SampledFrom([]byte("From :\n\r\x00\xff\xe9=?ab-\"; \t"))).Draw(t, "raw")
		for _, m := range readAll2(t, "From x\nSubject: "+string(raw)) {
			for _, f := range m.Header {
				if !utf8.ValidString(f.Name+f.Value) || strings.ContainsAny(f.Name+f.Value, "\x00\r\n") {
					t.Fatalf("%q", f)
				}
			}
			m.When()
			m.Content()
		}
	})
}

func readAll2(t *rapid.T, raw string) (out []*Message) {
	if err := Read(strings.NewReader(raw), func(m *Message) error { out = append(out, m); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}
