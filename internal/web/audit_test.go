package web

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
)

func TestAnEntryOfTheAuditLogIsSaidInWords(t *testing.T) {
	t.Parallel()
	page := auditPage{me: "user:usr_1", people: []account.PersonView{{ID: "usr_2", Email: "bo@example.com"}}, keys: []account.KeyView{{ID: "key_1", Name: "Nightly"}}}
	for actor, want := range map[string]string{
		"user:usr_1": "You", "user:usr_2": "bo@example.com", "user:usr_3": "Somebody who is not here any more", "key:key_1": "API key “Nightly”", "key:key_2": "An API key",
		"ops:eve": "Mailsweep’s operators", "system": "Mailsweep", "": "Mailsweep",
	} {
		require.Equal(t, want, page.By(actor), actor)
	}
	require.Equal(t, "Began a cleanup", actName("job.execute"))
	require.Equal(t, "Google: sessions revoked", actName("google.sessions-revoked"), "an act that has no words of its own")
	require.Equal(t, "entries: 1,200, scopes: read", page.Details(sweep.AuditView{Data: json.RawMessage(`{"scopes":"read","entries":1200}`)}))
	require.Empty(t, page.Details(sweep.AuditView{Data: json.RawMessage(`{}`)}))
	require.Equal(t, "/jobs/job_1", page.On("job_1")[1])
	require.Empty(t, page.On("cus_1")[1])
}
