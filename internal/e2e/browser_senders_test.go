package e2e

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The mail of a mailbox by sender, domain, list and size; a row's sender is kept with one click, several are cleaned up in one plan.
func TestSendersAreLookedThroughAndKept(t *testing.T) {
	t.Parallel()
	r := start(t, speedy(), nil)
	u, b, mailbox := r.analyzed(t, "ada", 2000)
	b.open(mailbox + "/senders")
	b.look("senders")
	first := b.value("tbody tr:nth-child(1) input[name=from]")
	b.press("tbody tr:nth-child(1) button[name=keep]")
	b.eventually("see the sender kept", func() bool { return b.holds("!document.querySelector('tbody tr:nth-child(1) button[name=keep]')") })
	var list struct{ Entries []string }
	u.get("/api/v1/keep-list", &list)
	require.Equal(t, []string{first}, list.Entries)
	require.Equal(t, mailbox+"/senders", b.where(), "the picked ones stay picked")
	second, third := b.value("tbody tr:nth-child(2) input[name=from]"), b.value("tbody tr:nth-child(3) input[name=from]")
	b.press("tbody tr:nth-child(2) input[name=from]")
	b.press("tbody tr:nth-child(3) input[name=from]")
	b.press("form.card .stick button:not([formaction])")
	b.at("/plans/pln_[0-9a-f]{32}")
	b.sees("from " + second + " or from " + third)

	b.open(mailbox + "/domains")
	b.look("senders-domains")
	domain := b.value("tbody tr:nth-child(1) input[name=from]")
	require.True(t, strings.HasPrefix(domain, "@"), domain)
	b.press("tbody tr:nth-child(1) input[name=from]")
	b.press("form.card .stick button:not([formaction])")
	b.at("/plans/pln_[0-9a-f]{32}")
	b.sees("from " + domain)

	b.open(mailbox + "/largest")
	b.sees("In Gmail")
	b.look("senders-largest")
	b.open(mailbox + "/lists")
	b.look("senders-lists")
}
