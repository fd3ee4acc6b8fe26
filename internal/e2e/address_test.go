package e2e

import (
	"context"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// A person changes their address and takes that back, on pages without scripts. VER-5
func TestAnAddressIsChangedOnPagesAndTakenBack(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), nil)
	const email, other = "ada@mail.example", "ada@other.example"
	b := newcomer(t, r, email)
	b.do("turn scripts off", func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		_, err := cdp.Call(ctx, t, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
		return chromedp.Void{}, err
	})
	b.open("/settings")
	b.press("#you summary")
	b.fill("new-email", other)
	b.fill("email-password", password)
	b.press("#you form button")
	b.sees("Until then nothing changes")
	link := mailedLink(t, r, other, "email_change")

	elsewhere := r.browse(t)
	elsewhere.open(link)
	elsewhere.at("/login.next=.*confirm-email.*")

	b.open(link)
	b.open(link)
	b.press("main form.stack button")
	b.at("/settings#you")
	b.sees(other)

	undo := mailedLink(t, r, email, "email_changed")
	elsewhere.open(undo)
	elsewhere.look("undo-email")
	elsewhere.press("main form.stack button")
	elsewhere.sees("The change is taken back")
	elsewhere.look("sent-undo")
	b.open("/settings")
	b.at("/login.*")
	b.open(mailedLink(t, r, email, "password_reset"))
	b.fill("password", "a brand new otter song")
	b.press("form.stack button")
	b.fill("email", email)
	b.fill("password", "a brand new otter song")
	b.press("form.stack button")
	b.at("/mailboxes")
}
