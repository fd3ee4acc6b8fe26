package e2e

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/sim/google"
	"mailsweep/internal/sim/smtp"
)

// newcomer has an account, signed up on the pages, and no mailbox yet.
func newcomer(t *testing.T, r *rig, email string) *browser {
	t.Helper()
	b := r.browse(t)
	b.open("/signup")
	b.look("signup")
	b.fill("email", email)
	b.fill("password", password)
	b.press("form.stack button")
	b.sees("Check your mail")
	b.look("sent")
	b.open(mailedLink(t, r, email, "verify_email"))
	b.look("verify")
	b.fill("password", password)
	b.press("form.stack button")
	b.at("/mailboxes")
	return b
}

// mailedLink is the path that the newest mail of a kind leads to.
func mailedLink(t *testing.T, r *rig, email, kind string) (path string) {
	t.Helper()
	var mails []smtp.Message
	until(t, patience, "a mail comes", func() bool { mails = r.mails(email, kind); return len(mails) > 0 })
	link := regexp.MustCompile(regexp.QuoteMeta(r.API) + `(/\S+)`).FindStringSubmatch(mails[len(mails)-1].Text)
	require.NotNil(t, link, mails[len(mails)-1].Text)
	return link[1]
}

// From the landing page to a cleaned mailbox and back, as a person who looks.
func TestAFirstCustomersJourney(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), nil)
	u := &user{t: t, r: r}
	u.Email = "ada@mail.example"
	_, err := r.Sim.AddGenerated(u.Email, google.Generate{Messages: 3000, Seed: 5, Now: time.Now()})
	require.NoError(t, err)
	before := u.digest()

	b := r.browse(t)
	for path, name := range map[string]string{"/": "landing", "/pricing": "pricing", "/login": "login", "/forgot": "forgot"} {
		b.open(path)
		b.look(name)
	}
	b = newcomer(t, r, u.Email)
	b.look("mailboxes-none")
	b.press("form[action='/mailboxes/connect'] button")
	b.sees("This is the simulated Google")
	b.press("button[value=allow]")
	b.at("/mailboxes/mbx_[0-9a-f]{32}")
	b.sees("Top senders")
	b.sees("Bring up to date")
	b.look("overview")

	mailbox := b.where()
	b.follow("Senders")
	b.at(mailbox + "/senders.*")
	b.look("senders")
	b.open(mailbox + "/clean")
	b.press("input[name=category][value=promotions]")
	b.fill("older", "90")
	b.sees(" match")
	b.look("clean")
	b.press("form.card button.button")
	b.at("/plans/pln_[0-9a-f]{32}")
	b.look("plan")
	plan := b.where()
	b.follow("Look through the whole set")
	b.at(plan + "/messages")
	b.look("messages")
	b.open(plan)
	require.Empty(t, u.changes(), "a preview changes nothing")
	b.do("press twice", chromedp.DoubleClick(chromedp.CSS("form[action$='/execute'] button")))
	b.at("/jobs/job_[0-9a-f]{32}")
	b.sees("Undo this run")
	b.look("job-done")
	run := b.where()
	require.NotEmpty(t, u.changes())
	require.NotEqual(t, before, u.digest())
	b.open("/history")
	require.Equal(t, 1, strings.Count(b.text(), "until "), "two clicks are one run:\n%s", b.text())
	b.look("history")
	b.open(run)
	b.press("form[action$='/undo'] button")
	b.sees("Restored")
	b.look("undone")
	require.Equal(t, before, u.digest(), "everything is as it was")
	b.open("/settings")
	b.look("settings")
	b.follow("Plan and billing")
	b.at("/billing")
	b.look("billing")
	b.press("form[action='/billing/checkout'] button[value=month]")
	b.sees("Simulated checkout")
	b.press("form button")
	b.at("/billing.checkout=done")
	b.eventually("see the purchase", func() bool { b.open("/billing"); return strings.Contains(b.text(), "Paid for") })
	b.look("billing-bought")
	b.follow("Change to Pro")
	b.sees("Charged now")
	b.look("change")
	b.press("form[action='/logout'] button")
	b.at("/")
	b.open("/history")
	b.at("/login.*")
}

// What strangers write into mail stands on pages as text.
func TestStrangersNamesAreText(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), nil)
	const email = "eve@mail.example"
	_, err := r.Sim.AddGenerated(email, google.Generate{Messages: 20, Seed: 5, Now: time.Now()})
	require.NoError(t, err)
	names := []string{`<script>document.title='taken'</script>`, `"><img src=x onerror="document.title='taken'">`, `{{.}}`, `javascript:document.title='taken'`, "a\u202eb", `' onmouseover='document.title="taken"`}
	for i := range 60 {
		name := names[i%len(names)]
		_, err := r.Sim.Deliver(email, google.Incoming{From: strconv.Quote(name) + " <x" + strconv.Itoa(i%len(names)) + "@evil.example>", Subject: name, Labels: []string{"INBOX", "CATEGORY_PROMOTIONS"}, Size: 4000, Date: time.Now().AddDate(-2, 0, 0)})
		require.NoError(t, err)
	}
	b := newcomer(t, r, email)
	b.press("form[action='/mailboxes/connect'] button")
	b.sees("This is the simulated Google")
	b.press("button[value=allow]")
	b.at("/mailboxes/mbx_[0-9a-f]{32}")
	b.sees("Bring up to date")
	b.sees("evil.example")
	b.look("hostile-overview")
	mailbox := b.where()
	b.open(mailbox + "/senders?filter=%22%3E%3Cimg%20src%3Dx%3E")
	b.sees("No sender with")
	b.look("hostile-filter")
	b.open(mailbox + "/senders?filter=" + url.QueryEscape("evil"))
	b.sees("<script>")
	b.look("hostile-senders")
	b.open(mailbox)
	b.press("form[action$='/preview'] button")
	b.at("/plans/pln_[0-9a-f]{32}")
	b.sees("evil.example")
	b.look("hostile-plan")
}
