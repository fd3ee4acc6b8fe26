package account_test

import (
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sweep"
)

// invitation is what the link that an operator made for an address carries.
func (r *rig) invitationTo(t *testing.T, address string, until time.Time) string {
	t.Helper()
	link, err := r.InviteCustomer(address, until)
	require.NoError(t, err)
	at, err := url.Parse(link)
	require.NoError(t, err)
	require.Equal(t, "/signup", at.Path)
	return at.Query().Get("invitation")
}

// In a closed test an invitation lets its own address in, by either way, while it is good, and says nothing of who has an account.
func TestAClosedTestIsByInvitation(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.Beta.Invited = true
	soon := time.Now().Add(time.Hour)
	theirs := r.invitationTo(t, "  ADA@example.com ", soon)
	late := r.invitationTo(t, ada, time.Now().Add(-time.Second))
	for name, c := range map[string]struct{ invitation, address string }{
		"none": {"", ada}, "another's": {r.invitationTo(t, one, soon), ada}, "over": {late, ada}, "bent": {strings.ToUpper(theirs), ada}, "longer": {late[:10] + theirs[10:], ada}, "rubbish": {"%%%", ada}, "short": {"AAAA", ada},
	} {
		client := r.client
		client.Invitation = c.invitation
		require.Equal(t, sweep.InvitationNeeded, code(r.SignUp(t.Context(), c.address, good, "Ada", client)), name)
	}
	_, err := r.withGoogle(t, one)
	require.Equal(t, sweep.InvitationNeeded, code(err))
	require.Zero(t, r.count(t, "SELECT count(*) FROM customers"))

	client := r.client
	client.Invitation = theirs
	require.NoError(t, r.SignUp(t.Context(), ada, good, "Ada", client))
	_, err = r.VerifyEmail(t.Context(), r.tokens(t)[0], good, r.client)
	require.NoError(t, err)
	require.Equal(t, sweep.InvitationNeeded, code(r.SignUp(t.Context(), ada, good, "Ada", r.client)), "who has an account is answered like everybody")
	_, err = r.Login(t.Context(), ada, good, "", r.client)
	require.NoError(t, err, "who is in stays in")
}

// However many prove their addresses at once, no more become customers than there is room for; whoever goes makes room.
func TestACapOnCustomersHolds(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, a := r.member(t, ada)
	const crowd, room = 8, 3
	var tokens []string
	for i := range crowd {
		require.NoError(t, r.SignUp(t.Context(), string(rune('b'+i))+"@example.com", good, "", r.client))
	}
	tokens = r.tokens(t)
	tokens = tokens[len(tokens)-crowd:]
	r.Beta.Most = 1 + room
	var all sync.WaitGroup
	var in, out atomic.Int32
	for _, token := range tokens {
		all.Go(func() {
			switch _, err := r.VerifyEmail(t.Context(), token, good, r.client); code(err) {
			case "":
				in.Add(1)
			case sweep.SignUpsFull:
				out.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	require.Equal(t, []int32{room, crowd - room}, []int32{in.Load(), out.Load()})
	require.Equal(t, sweep.SignUpsFull, code(r.SignUp(t.Context(), "zoe@example.com", good, "", r.client)))
	_, err := r.Delete(t.Context(), a, good, "", ada, r.client)
	require.NoError(t, err)
	require.NoError(t, r.SignUp(t.Context(), "zoe@example.com", good, "", r.client))
}
