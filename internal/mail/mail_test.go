package mail

import (
	"context"
	"flag"
	"fmt"
	"net"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"mailsweep/internal/sim/smtp"
)

var update = flag.Bool("update", false, "write the golden files")

var (
	may   = time.Date(2027, 5, 1, 0, 0, 0, 0, time.UTC)
	cases = map[string]Message{
		"verify_email":              {Kind: VerifyEmail, Data: Data{Token: "tok-en_1"}},
		"already_registered":        {Kind: AlreadyRegistered},
		"password_reset":            {Kind: PasswordReset, Data: Data{Token: "tok-en_2"}},
		"email_change":              {Kind: EmailChange, Data: Data{To: "ana@new.example", Token: "tok-en_5"}},
		"email_changed":             {Kind: EmailChanged, Data: Data{To: "ana@old.example", Name: "Ana", Token: "tok-en_6", At: may.AddDate(0, 0, -3), EndsAt: may}},
		"needs_reconnect":           {Kind: NeedsReconnect, Data: Data{Name: "Ana", Mailbox: "ana@mail.example"}},
		"trial_ending_3":            {Kind: TrialEnding, Data: Data{Name: "Ana", DaysLeft: 3, EndsAt: may}},
		"trial_ending_1":            {Kind: TrialEnding, Data: Data{DaysLeft: 1, EndsAt: may}},
		"trial_ended":               {Kind: TrialEnded, Data: Data{Name: "Ana"}},
		"payment_failed":            {Kind: PaymentFailed, Data: Data{Name: "Ana", Plan: "pro", EndsAt: may}},
		"quota_warning":             {Kind: QuotaWarning, Data: Data{Name: "Ana", Used: 4000, Limit: 5000, ResetsAt: may}},
		"quota_fresh":               {Kind: QuotaFresh, Data: Data{Name: "Ana", Limit: 5000, ResetsAt: may}},
		"cleanup_done":              {Kind: CleanupDone, Data: Data{Name: "Ana", Mailbox: "ana@mail.example", Action: "trash", State: "succeeded", JobID: "job_1", Cleaned: 12345, Skipped: 2, UndoUntil: may}},
		"cleanup_done_canceled":     {Kind: CleanupDone, Data: Data{Mailbox: "ana@mail.example", Action: "archive", State: "canceled", JobID: "job_1", Cleaned: 2000, UndoUntil: may}},
		"cleanup_done_failed":       {Kind: CleanupDone, Data: Data{Mailbox: "ana@mail.example", Action: "mark_read", State: "failed", JobID: "job_1", Cleaned: 2000, UndoUntil: may}},
		"cleanup_done_single":       {Kind: CleanupDone, Data: Data{Mailbox: "ana@mail.example", Action: "archive", State: "succeeded", JobID: "job_1", Cleaned: 1, UndoUntil: may}},
		"security_password_changed": {Kind: SecurityNotice, Data: Data{Name: "Ana", Event: PasswordChanged, At: may, Device: "Mozilla/5.0 (X11; Linux x86_64)"}},
		"security_factor_on":        {Kind: SecurityNotice, Data: Data{Name: "Ana", Event: FactorOn, At: may}},
		"security_factor_off":       {Kind: SecurityNotice, Data: Data{Event: FactorOff, At: may}},
		"security_codes_made":       {Kind: SecurityNotice, Data: Data{Event: CodesMade, At: may}},
		"security_codes_locked":     {Kind: SecurityNotice, Data: Data{Event: CodesLocked, At: may}},
		"security_code_used":        {Kind: SecurityNotice, Data: Data{Event: CodeUsed, At: may}},
		"security_new_device":       {Kind: SecurityNotice, Data: Data{Name: "Ana", Event: NewDevice, At: may, Device: "curl/8.1\r\nBcc: x"}},
		"security_locked":           {Kind: SecurityNotice, Data: Data{Name: "Ana", Event: Locked, At: may}},
		"security_google_linked":    {Kind: SecurityNotice, Data: Data{Name: "Ana", Event: GoogleLinked, At: may, Device: "Mozilla/5.0 (X11; Linux x86_64)"}},
		"security_google_unlinked":  {Kind: SecurityNotice, Data: Data{Name: "Ana", Event: GoogleUnlinked, At: may}},
		"invitation_viewer":         {Kind: Invitation, Data: Data{To: "bo@mail.example", By: "ana@mail.example", Role: "viewer", Token: "tok-en_3", EndsAt: may}},
		"invitation_owner":          {Kind: Invitation, Data: Data{To: "bo@mail.example", By: "ana@mail.example", Role: "owner", Token: "tok-en_4", EndsAt: may}},
		"account_deleted":           {Kind: AccountDeleted, Data: Data{Name: "Ana", At: may.AddDate(0, 0, -7), EndsAt: may}},
		"export_ready":              {Kind: ExportReady, Data: Data{Name: "Ana", At: may.AddDate(0, 0, -1), EndsAt: may}},
		"security_key_created":      {Kind: SecurityNotice, Data: Data{Name: "Ana", Event: KeyCreated, At: may}},
	}
)

func sender(addr string) *Sender {
	return &Sender{Addr: addr, TLS: "none", From: "Mailsweep <no-reply@mailsweep.example>", BaseURL: "https://mailsweep.example/"}
}

func sink(t *testing.T, refuse func(string) int) (*smtp.Sink, string) {
	t.Helper()
	s := smtp.New()
	s.Refuse = refuse
	addr, err := s.Start("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s, addr
}

func TestLettersReadAsWritten(t *testing.T) {
	t.Parallel()
	for name, m := range cases {
		letter, err := sender("").Render(m)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		for ext, got := range map[string]string{"txt": "Subject: " + letter.Subject + "\n\n" + letter.Text, "html": letter.HTML} {
			path := filepath.Join("testdata", name+"."+ext)
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want, err := os.ReadFile(path); err != nil || string(want) != got {
				t.Errorf("%s differs (%v); after a look: go test ./internal/mail -update\n%s", path, err, got)
			}
		}
		if strings.Contains(letter.Text, "<no value>") || !strings.Contains(letter.Text, "https://mailsweep.example/") ||
			strings.Contains(letter.Text, ".example//") {
			t.Errorf("%s: %s", name, letter.Text)
		}
	}
	for kind := range specs() {
		found := false
		for _, m := range cases {
			found = found || m.Kind == kind
		}
		if !found {
			t.Errorf("%s has no golden file", kind)
		}
	}
}

func TestMailArrives(t *testing.T) {
	t.Parallel()
	box, addr := sink(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	m := cases["verify_email"]
	m.ID, m.To = "outbox-1", "ana@mail.example"
	for range 2 {
		if err := sender(addr).Send(ctx, m); err != nil {
			t.Fatal(err)
		}
	}
	got, err := box.WaitFor(ctx, "ana@mail.example", "verify_email")
	if err != nil {
		t.Fatal(err)
	}
	if links := got.Links(); len(links) != 1 || links[0] != "https://mailsweep.example/verify-email?token=tok-en_1" {
		t.Errorf("links %q", links)
	}
	if !strings.Contains(got.HTML, `href="https://mailsweep.example/verify-email?token=tok-en_1"`) || got.From != "no-reply@mailsweep.example" {
		t.Errorf("%+v", got)
	}
	ids := map[string]bool{}
	for _, sent := range box.Messages() {
		parsed, err := netmail.ReadMessage(strings.NewReader(string(sent.Raw)))
		if err != nil || parsed.Header.Get("Auto-Submitted") != "auto-generated" {
			t.Fatalf("%v %v", err, parsed)
		}
		ids[parsed.Header.Get("Message-ID")] = true
	}
	if len(ids) != 1 {
		t.Errorf("two attempts have the ids %v", ids)
	}
}

func TestStrangersCannotWriteHeadersOrMarkup(t *testing.T) {
	t.Parallel()
	box, addr := sink(t, nil)
	evil := "x@mail.example\r\nBcc: victim@mail.example\r\n\r\n<script>alert(1)</script>\u2028\u202eBuy"
	m := cases["needs_reconnect"]
	m.To, m.Data.Mailbox, m.Data.Name = "ana@mail.example", evil, evil
	if err := sender(addr).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	sent := box.Messages()
	if len(sent) != 1 || len(sent[0].To) != 1 {
		t.Fatalf("%+v", sent)
	}
	parsed, err := netmail.ReadMessage(strings.NewReader(string(sent[0].Raw)))
	if err != nil || parsed.Header.Get("Bcc") != "" || strings.Contains(sent[0].HTML, "<script") || strings.ContainsAny(sent[0].Text, "\u2028\u202e") {
		t.Errorf("%v\n%s", err, sent[0].Raw)
	}
	for _, to := range []string{"ana@mail.example\r\nBcc: b@mail.example", "ana@mail.example, bob@mail.example", "Ana <ana@mail.example>", "", "nobody", "a@b\n"} {
		m.To = to
		if err := sender(addr).Send(t.Context(), m); err == nil || !IsPermanent(err) {
			t.Errorf("to %q: %v", to, err)
		}
	}
	if len(box.Messages()) != 1 {
		t.Error("a bad recipient got mail")
	}
}

func TestTokensAreEscapedInLinks(t *testing.T) {
	t.Parallel()
	letter, err := sender("").Render(Message{Kind: PasswordReset, Data: Data{Token: `a&b="><i>`}})
	if err != nil || !strings.Contains(letter.Text, "?token=a%26b%3D%22%3E%3Ci%3E\n") || strings.Contains(letter.HTML, "<i>") {
		t.Errorf("%v %s", err, letter.Text)
	}
}

func TestIncompleteMailIsRefusedForGood(t *testing.T) {
	t.Parallel()
	for _, m := range []Message{{Kind: "love_letter"}, {Kind: VerifyEmail}, {Kind: CleanupDone, Data: Data{Mailbox: "x"}}, {}} {
		if _, err := sender("").Render(m); err == nil || !IsPermanent(err) {
			t.Errorf("%s: %v", m.Kind, err)
		}
	}
}

func TestOnlyLastingRefusalsArePermanent(t *testing.T) {
	t.Parallel()
	_, addr := sink(t, func(to string) int {
		return map[string]int{"gone@mail.example": 550, "busy@mail.example": 451}[to]
	})
	try := func(s *Sender, to string) error {
		m := cases["trial_ended"]
		m.To = to
		return s.Send(t.Context(), m)
	}
	if err := try(sender(addr), "gone@mail.example"); !IsPermanent(err) {
		t.Errorf("550: %v", err)
	}
	if err := try(sender(addr), "busy@mail.example"); err == nil || IsPermanent(err) {
		t.Errorf("451: %v", err)
	}
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = closed.Close()
	if err := try(sender(closed.Addr().String()), "ana@mail.example"); err == nil || IsPermanent(err) {
		t.Errorf("no relay: %v", err)
	}
}

func TestNothingIsSentInClearUnlessTold(t *testing.T) {
	t.Parallel()
	box, addr := sink(t, nil) // it offers no STARTTLS
	for _, tls := range []string{"starttls", "tls", "", "nonsense"} {
		s := sender(addr)
		s.TLS, s.User, s.Password, s.Timeout = tls, "user", "canary-pw", 2*time.Second
		m := cases["trial_ended"]
		m.To = "ana@mail.example"
		if err := s.Send(t.Context(), m); err == nil || strings.Contains(err.Error(), "canary-pw") {
			t.Errorf("%q: %v", tls, err)
		}
		s.User = ""
		if err := s.Send(t.Context(), m); err == nil {
			t.Errorf("%q: sent without login", tls)
		}
		if printed := fmt.Sprintf("%v %+v %#v", *s, s, m.Data); strings.Contains(printed, "canary-pw") {
			t.Error(printed)
		}
	}
	if len(box.Messages()) != 0 {
		t.Error("sent in clear")
	}
}
