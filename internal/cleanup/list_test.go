package cleanup_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

func TestAnAnalysisShowsTheListsOfASender(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	file := filepath.Join(t.TempDir(), "lists.mbox")
	text := ""
	for i, list := range []string{
		"List-Id: Offers <offers.shop.example>\nList-Unsubscribe: <https://shop.example/u>\nList-Unsubscribe-Post: List-Unsubscribe=One-Click\n",
		"List-Id: <tips.shop.example>\nList-Unsubscribe: <mailto:leave@shop.example>\n", "",
	} {
		text += fmt.Sprintf("From x Mon Mar  4 10:00:00 2024\nFrom: Shop <news@shop.example>\nMessage-ID: <%d@shop.example>\nSubject: hello\nDate: Mon, 04 Mar 2024 10:0%d:00 +0000\n%s\nhello\n\n", i, i, list)
	}
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	_, err := r.google.AddMbox("one@gmail.example", file)
	require.NoError(t, err)
	c := r.customer(t, "one@gmail.example", google.Generate{})
	a := c.analyzed(t)
	lists := []sweep.MailingList{{ID: "offers.shop.example", Unsubscribe: sweep.OneClick}, {ID: "tips.shop.example", Unsubscribe: sweep.Mailto}}
	require.Len(t, a.Senders, 1)
	require.ElementsMatch(t, lists, a.Senders[0].Lists)
	require.Equal(t, 3, a.Senders[0].Messages)
	require.True(t, slices.ContainsFunc(a.Lists, func(l sweep.MailingListGroup) bool {
		return l == sweep.MailingListGroup{ID: "tips.shop.example", Senders: 1, SenderMessages: 3, Unsubscribe: sweep.Mailto}
	}), "%+v", a.Lists)
}
