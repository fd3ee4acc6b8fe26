package e2e

import (
	"fmt"
	"net/url"
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
	b.open(mailbox + "/senders?sort=bytes&filter=e")
	b.press("form.card .stick button:not([formaction])")
	b.sees("Choose at least one sender.")
	require.Equal(t, []string{"bytes", "e"}, []string{b.value("#sort"), b.value("#filter")})
	b.pardon()
	b.look("senders-none-picked")
	b.press("form[role=search] button")
	b.at(mailbox + "/senders.filter=e&sort=bytes&safety=")
	b.open(mailbox + "/senders?safety=safe")
	b.sees("Safe to clean")
	require.True(t, b.holds("[...document.querySelectorAll('tbody .tag')].every(tag => tag.innerText === 'Safe to clean')"))
	b.look("senders-safe")
	b.open(mailbox + "/senders")
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
	b.press("form.card .stick button:not([formaction])")
	b.sees("Choose at least one domain.")
	b.pardon()
	b.open(mailbox + "/domains")
	total := u.groups(mailbox + "/domains")
	b.sees(fmt.Sprintf("%d domains in all", total))
	require.True(t, b.holds(fmt.Sprintf("document.querySelectorAll('tbody th').length === %d", min(total, 100))))
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
	b.sees(fmt.Sprintf("%d mailing lists", u.groups(mailbox+"/lists")))
}

// groups pages through what the API tells of a mailbox's senders together, and gives how many there are.
func (u *user) groups(path string) (seen int) {
	u.t.Helper()
	var page struct {
		Items []struct{ Domain, ID string }
		Total int
		Next  string `json:"next_cursor"`
	}
	for cursor := ""; seen == 0 || cursor != ""; cursor = page.Next {
		page.Items, page.Next = nil, ""
		u.get("/api/v1"+path+"?limit=7&cursor="+url.QueryEscape(cursor), &page)
		require.NotEmpty(u.t, page.Items)
		seen += len(page.Items)
	}
	require.Equal(u.t, page.Total, seen)
	return seen
}
