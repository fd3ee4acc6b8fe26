package web

import (
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sweep"
)

func TestASenderIsKeptByItselfOrByItsDomain(t *testing.T) {
	t.Parallel()
	w := workbench{kept: sweep.NewKeepList([]string{"@bank.example", "boss@work.example"})}
	for sender, kept := range map[string]bool{
		"a@bank.example": true, "a@mail.bank.example": true, "@bank.example": true, "@mail.bank.example": true, "boss@work.example": true,
		"a@notbank.example": false, "@work.example": false, "x@work.example": false, "": false, "@example": false,
	} {
		require.Equal(t, kept, w.Kept(sender), sender)
	}
}

// A form of the senders' views with nothing picked is no criteria that want saying: it is told what to do where it came from.
func TestAFormOfSendersWithNothingPickedIsKnown(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]bool{
		"view=senders&sort=bytes&filter=e": true, "view=domains": true, "view=lists": true, "view=senders&from=a@b.example": false, "view=lists&list=a.example": false,
		"": false, "view=largest": false, "form=short&from=": false, "criteria={}": false,
	} {
		form, err := url.ParseQuery(text)
		require.NoError(t, err)
		require.Equal(t, want, unpicked(form), text)
	}
}
