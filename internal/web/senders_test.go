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

// Every sign is said in words of its own, in full and in short; what the columns beside it say is left out in short.
func TestAGradeIsSaidWithItsReasons(t *testing.T) {
	t.Parallel()
	full := sweep.Signs{Messages: 1200, Unread: 700, Replied: 1, Starred: 2, UserLabelled: 3, Important: 1100, Protected: 1104, BulkTab: 1000, OnKeepList: true}
	sender := sweep.Sender{Messages: full.Messages, Safety: full.Safety()}
	require.Equal(t, "on your keep list, 1 in your conversations, 2 starred, 3 labelled, 1,100 important, not bulk mail, 83 % in bulk tabs", gradeShort(sender))
	require.Equal(t, "on your keep list, 1 in conversations that you wrote in, 2 starred, or in a thread with a star, 3 with a label of yours, 1,100 marked important, "+
		"neither a mailing list nor mostly in Promotions, Social or Forums, 83 % in Promotions, Social or Forums, 58 % unread", gradeWhy(sender))
	list := sweep.Sender{Messages: 10, Safety: sweep.Signs{Messages: 10, Unread: 10, BulkTab: 10, MailingList: true}.Safety()}
	require.Equal(t, "mailing list", gradeShort(list))
	require.Equal(t, "names a mailing list, or a way off it, 100 % in Promotions, Social or Forums, 100 % unread", gradeWhy(list))
	for _, g := range []sweep.Grade{sweep.GradeSafe, sweep.GradeCareful, sweep.GradeKeep} {
		require.NotEqual(t, string(g), gradeName(g))
	}
}
