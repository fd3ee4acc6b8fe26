package smtp

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	netsmtp "net/smtp"
	"strings"
	"testing"
	"time"
)

func started(t *testing.T) (*Sink, string) {
	t.Helper()
	s := New()
	addr, err := s.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, addr
}

const multipartMail = "From: Us <us@mailsweep.example>\r\nTo: ana@mail.example\r\nSubject: =?utf-8?q?Caf=C3=A9_news?=\r\n" +
	"X-Mailsweep-Kind: verify_email\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary=b\r\n\r\n" +
	"--b\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nOpen http://x.example/verify?token=3Dab=\r\nc now\r\n" +
	"--b\r\nContent-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: base64\r\n\r\nPHA+SGVsbG88L3A+\r\n--b--\r\n"

func send(t *testing.T, addr, to, text string) {
	t.Helper()
	if err := netsmtp.SendMail(addr, nil, "us@mailsweep.example", []string{to}, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

func TestMailIsTakenApart(t *testing.T) {
	t.Parallel()
	s, addr := started(t)
	send(t, addr, "ana@mail.example", multipartMail)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	for _, what := range []string{"verify_email", "Café", ""} {
		m, err := s.WaitFor(ctx, "Ana@mail.example", what)
		if err != nil || m.Subject != "Café news" || m.HTML != "<p>Hello</p>" || !strings.HasPrefix(m.Text, "Open ") {
			t.Fatalf("%q: %+v, %v", what, m, err)
		}
		if links := m.Links(); len(links) != 1 || links[0] != "http://x.example/verify?token=abc" {
			t.Errorf("links %q", links)
		}
	}
}

func TestWaitForEndsWithTheContextAndSeesLaterMail(t *testing.T) {
	t.Parallel()
	s, addr := started(t)
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := s.WaitFor(short, "ana@mail.example", ""); err == nil {
		t.Error("mail out of nothing")
	}
	got := make(chan Message, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	go func() {
		m, _ := s.WaitFor(ctx, "bob@mail.example", "later")
		got <- m
	}()
	send(t, addr, "ana@mail.example", "Subject: later, for another\r\n\r\nx\r\n")
	send(t, addr, "bob@mail.example", "Subject: now\r\n\r\nx\r\n")
	send(t, addr, "bob@mail.example", "Subject: later on\r\n\r\nx\r\n")
	if m := <-got; m.Subject != "later on" {
		t.Errorf("%+v", m)
	}
}

func TestThePageShowsMailWithoutRunningIt(t *testing.T) {
	t.Parallel()
	s, addr := started(t)
	send(t, addr, "ana@mail.example", multipartMail)
	send(t, addr, "bob@mail.example", "Subject: <script>alert(1)</script>\r\nContent-Type: text/html\r\n\r\n<script>alert(2)</script>\r\n")
	get := func(path string) (int, string) {
		w := httptest.NewRecorder()
		s.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w.Code, w.Body.String()
	}
	for _, path := range []string{"/", "/1", "/2"} {
		if code, body := get(path); code != 200 || strings.Contains(body, "<script") {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	if _, body := get("/1"); !strings.Contains(body, `href="http://x.example/verify?token=abc"`) {
		t.Error("the link cannot be clicked")
	}
	for _, path := range []string{"/3", "/x", "/1/2"} {
		if code, _ := get(path); code != 404 {
			t.Errorf("%s: %d", path, code)
		}
	}
	var list []Message
	if _, body := get("/messages.json?to=ana@mail.example"); json.Unmarshal([]byte(body), &list) != nil || len(list) != 1 || list[0].Kind != "verify_email" {
		t.Errorf("%s", body)
	}
}

func TestRecipientsCanBeRefused(t *testing.T) {
	t.Parallel()
	s := New()
	s.Refuse = func(to string) int { return map[string]int{"gone@mail.example": 550}[to] }
	addr, err := s.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	err = netsmtp.SendMail(addr, nil, "us@mailsweep.example", []string{"gone@mail.example"}, []byte("Subject: x\r\n\r\nx"))
	if err == nil || !strings.Contains(err.Error(), "550") || len(s.Messages()) != 0 {
		t.Errorf("%v, %d messages", err, len(s.Messages()))
	}
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	s := New()
	for range kept + 10 {
		s.add(Message{})
	}
	if all := s.Messages(); len(all) != kept || all[kept-1].Number != kept+10 {
		t.Errorf("%d kept", len(all))
	}
}
