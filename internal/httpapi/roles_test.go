package httpapi_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/mail"
	"mailsweep/internal/sweep"
)

// What takes more than a viewer, by operation: written here once more, so that a declaration cannot be wrong and its test with it.
var (
	forOperators = []string{"analyze", "dry-run", "execute", "count", "cancel-job", "pause-job", "resume-job", "undo-job", "connect-mailbox", "complete-connect", "disconnect-mailbox",
		"put-keep-list", "make-api-key", "revoke-api-key", "rotate-api-key"}
	forOwners = []string{"put-demands", "put-ip-allowlist", "invite", "resend-invitation", "revoke-invitation", "change-role", "remove-person", "delete-account", "export-account", "list-exports", "get-export", "fetch-export", "list-audit",
		"get-billing", "preview-change", "checkout", "open-portal", "change-plan", "cancel-subscription", "resume-subscription"}
)

// patience is how long a test waits for what a second must bring, on a machine that is busy with others.
const patience = 15 * time.Second

func neededBy(operation string) sweep.Role {
	switch {
	case slices.Contains(forOwners, operation):
		return sweep.Owner
	case slices.Contains(forOperators, operation):
		return sweep.Operator
	}
	return sweep.Viewer
}

// signIn gives a fresh token of somebody's.
func (r *rig) signIn(t *testing.T, email string) string {
	t.Helper()
	a := r.call(t, "POST", "/api/v1/auth/login", "", `{"email":"`+email+`","password":"`+good+`"}`)
	require.Equal(t, 200, a.StatusCode, string(a.body))
	return a.object(t)["access_token"].(string)
}

var tokenOfInvitation = regexp.MustCompile(`accept-invitation\?token=([A-Za-z0-9_-]{43})`)

// invited delivers what is posted and gives the token of the newest invitation.
func (r *rig) invited(t *testing.T, to string) string {
	t.Helper()
	r.deliverAll(t)
	m, err := r.sink.WaitFor(t.Context(), to, string(mail.Invitation))
	require.NoError(t, err)
	found := tokenOfInvitation.FindStringSubmatch(m.Text)
	require.NotNil(t, found, m.Text)
	return found[1]
}

// The way of a team over HTTP.
func TestATeamIsBuiltOverHTTP(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := r.member(t, "ada@example.com")
	again := `,"password":"` + good + `"}`
	problem(t, r.call(t, "POST", "/api/v1/people/invitations", token, `{"email":"nonsense","role":"viewer"`+again), 422, "invalid_request")
	made := r.call(t, "POST", "/api/v1/people/invitations", token, `{"email":"bo@example.com","role":"operator"`+again)
	require.Equal(t, 201, made.StatusCode, string(made.body))
	accepted := r.call(t, "POST", "/api/v1/auth/invitations/accept", "", `{"token":"`+r.invited(t, "bo@example.com")+`","name":"Bo"`+again)
	require.Equal(t, 200, accepted.StatusCode, string(accepted.body))
	bo := accepted.object(t)["access_token"].(string)
	people := r.call(t, "GET", "/api/v1/people", bo, "").object(t)
	require.Empty(t, people["invitations"])
	require.EqualValues(t, 3, people["limit"])
	second := people["items"].([]any)[1].(map[string]any)
	require.Equal(t, []any{"bo@example.com", "Bo", "operator", false}, []any{second["email"], second["name"], second["role"], second["over_limit"]})
	path := "/api/v1/people/" + second["id"].(string)
	problem(t, r.call(t, "PATCH", path, bo, `{"role":"owner"`+again), 403, "forbidden")
	require.Equal(t, 200, r.call(t, "PATCH", path, token, `{"role":"viewer"`+again).StatusCode)
	require.Equal(t, "viewer", r.call(t, "GET", "/api/v1/auth/me", bo, "").object(t)["role"])
	require.Equal(t, 201, r.call(t, "POST", "/api/v1/people/invitations", token, `{"email":"cy@example.com","role":"viewer"`+again).StatusCode)
	problem(t, r.call(t, "POST", "/api/v1/people/invitations", token, `{"email":"di@example.com","role":"viewer"`+again), 402, "people_limit")
	problem(t, r.call(t, "POST", "/api/v1/people/leave", token, `{"password":"`+good+`"}`), 409, "conflict")
	require.Equal(t, 204, r.call(t, "DELETE", path, token, "").StatusCode)
	require.Equal(t, 401, r.call(t, "GET", "/api/v1/auth/me", bo, "").StatusCode)
}

// Every route of the document, with people of each role: it opens for the role that it takes and for those above, and for no other.
func TestARoleDoesWhatItsRoutesDeclareAndNothingElse(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for _, role := range []sweep.Role{sweep.Viewer, sweep.Operator, sweep.Owner} {
		r.member(t, string(role)+"@example.com")
		_, err := r.root.Exec(t.Context(), "UPDATE members SET role = $1 WHERE user_id = (SELECT id FROM users WHERE email = $2)", role, string(role)+"@example.com")
		require.NoError(t, err)
	}
	_, err := r.root.Exec(t.Context(), "UPDATE customers SET plan = 'enterprise', plan_version = plan_version + 1")
	require.NoError(t, err)
	seen := map[sweep.Role]int{}
	for path, methods := range parsedSpec(t).Paths {
		for method, op := range methods {
			if len(op.Security) == 0 {
				require.Empty(t, op.Role, "%s %s is open", method, path)
				continue
			}
			needs := neededBy(op.OperationID)
			require.Equal(t, needs, op.Role, op.OperationID)
			seen[needs]++
			allowed := false
			for _, role := range []sweep.Role{sweep.Viewer, sweep.Operator, sweep.Owner} {
				allowed = allowed || role == needs
				filled := strings.NewReplacer("{id}", "job_00000000000000000000000000000000").Replace(path)
				body := map[bool]string{true: "{}"}[method == "post" || method == "put" || method == "patch"]
				a := r.call(t, strings.ToUpper(method), filled, r.signIn(t, string(role)+"@example.com"), body)
				require.NotEqual(t, 401, a.StatusCode, "%s %s", method, path)
				require.Less(t, a.StatusCode, 500, "%s %s", method, path)
				forbidden := a.StatusCode == 403 && a.object(t)["code"] == "forbidden"
				require.Equal(t, !allowed, forbidden, "%s %s as %s: %s", method, path, role, a.body)
			}
		}
	}
	require.Equal(t, len(forOperators), seen[sweep.Operator])
	require.Equal(t, len(forOwners), seen[sweep.Owner])
	require.Greater(t, seen[sweep.Viewer], 15)
}

// What a plan does not carry is refused before anything is read of the request.
func TestAFeatureIsAskedForAsItsRouteDeclares(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := r.member(t, "ada@example.com")
	require.Equal(t, 422, r.call(t, "POST", "/api/v1/api-keys", token, "{}").StatusCode, "a trial carries it")
	_, err := r.root.Exec(t.Context(), "UPDATE customers SET trial_ends_at = now(), plan_version = plan_version + 1")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		a := r.call(t, "POST", "/api/v1/api-keys", token, "{}")
		return a.StatusCode == 403 && a.object(t)["code"] == "feature_not_in_plan"
	}, patience, 20*time.Millisecond)
	require.Equal(t, 200, r.call(t, "GET", "/api/v1/api-keys", token, "").StatusCode)
	require.Equal(t, 404, r.call(t, "DELETE", "/api/v1/api-keys/key_00000000000000000000000000000000", token, "").StatusCode, "whoever has keys can end them")
}
