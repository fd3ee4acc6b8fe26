package google_test

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"mailsweep/internal/sim/google"
)

// newMboxRig serves a mailbox imported from a file.
func newMboxRig(t *testing.T, path string, c google.Config) *rig {
	t.Helper()
	c.Tariff = google.TariffNew()
	c.Tariff.PerUserMinute, c.Tariff.PerProjectMinute = 1<<30, 1<<30
	sim := google.New(c)
	if _, err := sim.AddMbox(me, path); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(sim)
	t.Cleanup(server.Close)
	r := &rig{sim: sim, url: server.URL, ctx: t.Context()}
	r.svc = r.client(t)
	return r
}

func TestRealMailIsServedWhole(t *testing.T) {
	t.Parallel()
	path := filepath.Join("..", "..", "..", "..", "shared", "mail", "sample-a.mbox.gz")
	if _, err := os.Stat(path); err != nil {
		t.Skip("real mail is not there: ", path)
	}
	r := newMboxRig(t, path, google.Config{})
	facts, err := r.sim.Facts(me)
	if err != nil || facts.Messages != 2150 || len(facts.Senders) != 1041 {
		t.Fatal(facts.Messages, len(facts.Senders), err)
	}
	ids := r.all(t, "", false)
	if len(ids) != 2150 {
		t.Fatal(len(ids))
	}
	lists := 0
	for _, id := range ids[:400] {
		m, err := r.svc.Users.Messages.Get("me", id).Format("metadata").Do()
		if err != nil {
			t.Fatal(err)
		}
		for _, h := range m.Payload.Headers {
			if !utf8.ValidString(h.Value) || strings.ContainsAny(h.Value, "\x00\r\n") {
				t.Fatalf("%s: %q", h.Name, h.Value)
			}
			if strings.EqualFold(h.Name, "List-Id") {
				lists++
				break
			}
		}
	}
	t.Logf("%d of 400 with List-Id; categories %v, threads %d", lists, facts.Categories, facts.Threads)
	if got := len(r.all(t, "category:promotions", false)); got == 0 || got != facts.Categories["CATEGORY_PROMOTIONS"].Messages {
		t.Error(got)
	}
}

const takeoutMail = "From 1@xxx Thu Aug 22 12:36:23 2002\nX-Gmail-Labels: =?UTF-8?Q?Inbox,Opened,Category_promotions,Caf=C3=A9?=\nMessage-ID: <a@x>\nFrom: A <A@X.org>\nSubject: first\nDate: Thu, 22 Aug 2002 12:00:00 +0000\n\nhello\n\n" +
	"From 2@xxx Thu Aug 22 12:36:23 2002\nStatus: RO\nMessage-ID: <b@x>\nIn-Reply-To: <a@x>\nFrom: \"B, C\" <b@x.org>\nSubject: r\xe9ponse\x00\nList-Unsubscribe: <mailto:u@x.org>\nDate: Thu, 22 Aug 2002 13:00:00 +0000\n\nunsubscribe here\n\n" +
	"From 3@xxx Thu Aug 22 14:36:23 2002\nList-Id: <dev.x.org>\nReferences: <b@x>\nSubject: third\n\n"

func TestLabelsThreadsAndSearchOfImportedMail(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "mail")
	if err := os.WriteFile(path, []byte(takeoutMail), 0o600); err != nil {
		t.Fatal(err)
	}
	r := newMboxRig(t, path, google.Config{})
	all, _ := r.sim.Messages(me)
	third, second, first := all[0], all[1], all[2]
	if !slices.Equal(first.Labels, []string{"CATEGORY_PROMOTIONS", "INBOX", "Label_1"}) || !slices.Equal(second.Labels, []string{"CATEGORY_PROMOTIONS", "INBOX"}) ||
		!slices.Equal(third.Labels, []string{"CATEGORY_FORUMS", "INBOX", "UNREAD"}) {
		t.Errorf("%v %v %v", first.Labels, second.Labels, third.Labels)
	}
	if first.Thread != first.ID || second.Thread != first.ID || third.Thread != first.ID {
		t.Error("one thread, under the id of its first mail")
	}
	if first.From != "a@x.org" || second.From != "b@x.org" || third.From != "" {
		t.Errorf("%q %q %q", first.From, second.From, third.From)
	}
	for q, want := range map[string][]string{"label:café": {first.ID}, "rfc822msgid:b@x": {second.ID}, "list:dev.x.org": {third.ID}, "unsubscribe": {second.ID},
		"subject:réponse": {second.ID}, `from:"B, C"`: {second.ID}, "hello -from:b": {first.ID}, "before:2002/8/23 after:2002-08-22": {third.ID, second.ID, first.ID}} {
		if got := r.all(t, q, false); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", q, got, want)
		}
	}
	m, err := r.svc.Users.Messages.Get("me", second.ID).Format("metadata").MetadataHeaders("Subject").Do()
	if err != nil || m.Payload.Headers[0].Value != "réponse" {
		t.Errorf("%+v %v", m, err)
	}
	plain := newMboxRig(t, path, google.Config{Quirks: google.Quirks{PlainImport: true}})
	if facts, _ := plain.sim.Facts(me); facts.Categories[""].Messages != 2 {
		t.Error(facts.Categories)
	}
}

func TestBadMailFilesAreRefusedInOneLine(t *testing.T) {
	t.Parallel()
	sim := google.New(google.Config{})
	dir := t.TempDir()
	for name, raw := range map[string]string{"empty": "", "text": "no mail", "cut.gz": "\x1f\x8b\x08\x00\x00"} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(raw), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := sim.AddMbox(me, path)
		if err == nil || strings.Contains(err.Error(), "\n") || !strings.Contains(err.Error(), path) {
			t.Error(name, err)
		}
		t.Log(err)
	}
	if _, err := sim.AddMbox(me, filepath.Join(dir, "absent")); err == nil || len(sim.Mailboxes()) != 0 {
		t.Error(err)
	}
	if _, err := sim.AddGenerated(me, google.Generate{Messages: 3}); err != nil {
		t.Error("the address is still free:", err)
	}
	if _, err := sim.AddGenerated(me, google.Generate{Messages: 3}); err == nil {
		t.Error("the address is taken")
	}
}
