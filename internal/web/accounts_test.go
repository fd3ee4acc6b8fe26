package web

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
)

// Two accounts of one name, or without one, are told apart on the list and before the code of one is given; one that has its name alone is
// called by it.
func TestAccountsOfOneNameAreToldApart(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 5, 4, 3, 2, 0, 0, time.UTC)
	p := accountsPage{Accounts: []account.CustomerView{
		{ID: "cus_aaaa1111", Name: "Shop", Since: since}, {ID: "cus_aaaa2222", Name: "shop ", Since: since}, {ID: "cus_aaaa3333", Since: since}, {ID: "cus_aaaa4444", Since: since}, {ID: "cus_aaaa5555", Name: "Alone", Since: since},
	}}
	told := map[string]bool{}
	for _, view := range p.Accounts[:4] {
		apart := p.Apart(view)
		require.Contains(t, apart, "4 May 2026")
		told[apart] = true
	}
	require.Len(t, told, 4, "they look alike")
	require.Empty(t, p.Apart(p.Accounts[4]))
	pages := &Pages{sheets: sheets("build")}
	for name, page := range map[string]any{"accounts": p, "account-code": accountCodePage{Account: p.Accounts[1], Apart: p.Apart(p.Accounts[1])}, "settings": settingsPage{Accounts: append([]account.CustomerView{{ID: "cus_2222", Current: true, Name: "Shop"}}, p.Accounts...)}} {
		b, err := pages.render(name, "main", view{Page: page})
		require.NoError(t, err)
		require.Contains(t, string(b), "…2222", name)
	}
}

// Two mailboxes of one address are told apart by when they were connected.
func TestMailboxesOfOneAddressAreToldApart(t *testing.T) {
	t.Parallel()
	box := func(id, email string, day int) account.MailboxView {
		return account.MailboxView{ID: id, Email: email, State: "active", ConnectedAt: time.Date(2026, 5, day, 3, 2, 0, 0, time.UTC)}
	}
	pages := &Pages{sheets: sheets("build")}
	b, err := pages.render("mailboxes", "main", view{Page: mailboxesPage{Mailboxes: []account.MailboxView{box("mbx_1", "ada@mail.example", 4), box("mbx_2", "ada@mail.example", 5), box("mbx_3", "bo@mail.example", 6)}}})
	require.NoError(t, err)
	require.Contains(t, string(b), "connected 4 May 2026")
	require.Contains(t, string(b), "connected 5 May 2026")
	require.NotContains(t, string(b), "connected 6 May 2026")
}
