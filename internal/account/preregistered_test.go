package account_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/mail"
	"mailsweep/internal/sim/google"
	"mailsweep/internal/sweep"
)

const strangers = "mallory knows this one"

// before are what can happen with an address until its owner proves it: the stranger signs up (s), asks for a reset (f) or the mail (m),
// tries passwords (x); the owner signs up (o).
var before = []string{"", "o", "s", "ss", "so", "os", "sf", "sx", "smf", "osfx", "sofmx"}

// act does one of them.
func (r *rig) act(t *testing.T, what rune, email string) {
	t.Helper()
	r.afterAMinute(t)
	switch what {
	case 's':
		require.NoError(t, r.SignUp(t.Context(), email, strangers, "Mallory", r.client))
	case 'o':
		require.NoError(t, r.SignUp(t.Context(), email, good, "Olga", r.client))
	case 'f':
		require.NoError(t, r.ForgotPassword(t.Context(), email, r.client))
	case 'm':
		require.NoError(t, r.ResendVerification(t.Context(), email, r.client))
	case 'x':
		_, err := r.Login(t.Context(), email, "not the password", "", r.client)
		require.Equal(t, sweep.Unauthenticated, code(err))
		r.exec(t, "UPDATE users SET failures = 100 WHERE email = $1 AND failures > 0", email)
	}
}

// newest is the token of the newest mail of a kind to an address.
func (r *rig) newest(t *testing.T, kind mail.Kind, email string) (token string) {
	t.Helper()
	for _, m := range r.deliver(t, kind) {
		if m.To[0] == email {
			_, rest, found := strings.Cut(m.Text, "?token=")
			require.True(t, found, m.Text)
			token = rest[:43]
		}
	}
	require.NotEmpty(t, token, "no mail to %s", email)
	return token
}

// left is what there is of an address, but for ids and dates.
func (r *rig) left(t *testing.T, email string) string {
	t.Helper()
	var text string
	require.NoError(t, r.root.QueryRow(t.Context(), `SELECT string_agg(concat_ws('|', c.name, c.plan, m.role, u.name, u.password <> '', u.failures, u.google_subject IS NOT NULL,
		u.verified_at IS NOT NULL, date_trunc('minute', c.trial_ends_at - u.verified_at), c.require_2fa, c.ip_allowlist,
		(SELECT count(*) FROM second_factors f WHERE f.user_id = u.id), (SELECT count(*) FROM api_keys k WHERE k.user_id = u.id), (SELECT count(*) FROM mailboxes b WHERE b.customer_id = c.id),
		(SELECT count(*) FROM sessions s WHERE s.user_id = u.id), (SELECT count(*) FROM email_tokens e WHERE e.user_id = u.id AND e.used_at IS NULL),
		(SELECT count(*) FROM notices n WHERE n.customer_id = c.id AND m.role = 'owner')), ' + ')
		FROM users u JOIN members m ON m.user_id = u.id JOIN customers c ON c.id = m.customer_id WHERE u.email = $1`, email).Scan(&text))
	return strings.ReplaceAll(text, email, "them")
}

// Whatever a stranger did with an address before its owner proved it, the owner ends as if the stranger had never been.
func TestAStrangersSignUpLeavesNothingToWhoOwnsTheAddress(t *testing.T) {
	t.Parallel()
	for way, prove := range map[string]func(*testing.T, *rig, string) error{
		"Google": func(t *testing.T, r *rig, email string) error {
			_, err := r.withGoogle(t, email)
			return err
		},
		"the mail of the sign-up": func(t *testing.T, r *rig, email string) error {
			r.act(t, 's', email) // somebody signed up last
			_, err := r.VerifyEmail(t.Context(), r.newest(t, mail.VerifyEmail, email), "", r.client)
			return err
		},
		"the mail of the sign-up with its password": func(t *testing.T, r *rig, email string) error {
			r.act(t, 'o', email)
			_, err := r.VerifyEmail(t.Context(), r.newest(t, mail.VerifyEmail, email), good, r.client)
			return err
		},
		"a reset": func(t *testing.T, r *rig, email string) error {
			r.act(t, 'o', email)
			r.act(t, 'f', email)
			_, err := r.ResetPassword(t.Context(), r.newest(t, mail.PasswordReset, email), anew, r.client)
			return err
		},
		"an invitation": func(t *testing.T, r *rig, email string) error {
			_, err := r.accept(t, r.invited(t, email), anew)
			return err
		},
	} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			_, host := r.member(t, ada)
			r.exec(t, "UPDATE customers SET plan = 'enterprise', plan_version = plan_version + 1")
			want := ""
			for i, acts := range before {
				email := fmt.Sprintf("owner%d@gmail.example", i)
				_, err := r.google.AddGenerated(email, google.Generate{Messages: 1, Seed: 1})
				require.NoError(t, err)
				if way == "an invitation" {
					r.invite(t, host, email, sweep.Viewer)
				}
				for _, what := range acts {
					r.act(t, what, email)
				}
				require.NoError(t, prove(t, r, email), acts)
				if i == 0 {
					want = r.left(t, email)
				}
				require.Equal(t, want, r.left(t, email), "after %q", acts)
				r.strangersGoOn(t, email)
				require.Equal(t, want, r.left(t, email), "after %q and more", acts)
			}
			require.NotContains(t, want, "Mallory")
			require.Equal(t, strings.Count(want, "14 days"), strings.Count(want, "owner"), "who owns a customer has a trial from the proof on")
		})
	}
}

// strangersGoOn is what a stranger tries after the proof.
func (r *rig) strangersGoOn(t *testing.T, email string) {
	t.Helper()
	r.act(t, 's', email)
	_, err := r.Login(t.Context(), email, strangers, "", r.client)
	require.Equal(t, sweep.Unauthenticated, code(err))
	r.exec(t, "UPDATE users SET failures = 0 WHERE email = $1", email)
}

// Nothing that went out before is good after a proof by other means, and the customer of the sign-up is gone for its people and the books.
func TestADroppedSignUpIsOver(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.act(t, 's', one)
	r.act(t, 'f', one)
	verify, reset := r.newest(t, mail.VerifyEmail, one), r.newest(t, mail.PasswordReset, one)
	session, err := r.withGoogle(t, one)
	require.NoError(t, err)
	_, err = r.VerifyEmail(t.Context(), verify, strangers, r.client)
	require.Equal(t, sweep.BadRequest, code(err))
	_, err = r.ResetPassword(t.Context(), reset, anew, r.client)
	require.Equal(t, sweep.BadRequest, code(err))
	views, err := r.Customers(t.Context(), r.actorOf(t, session))
	require.NoError(t, err)
	require.Len(t, views, 1)
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM customers WHERE deleted_at IS NOT NULL AND purge_at <= now() AND name = '' AND trial_ends_at IS NULL"))
	require.Equal(t, 1, r.count(t, "SELECT count(*) FROM audit_logs WHERE action = 'signup.dropped' AND data->>'reason' = 'proven_elsewhere'"))
}

// A proof by other means that fails half-way leaves who signed up before waiting as they were, and the same proof works later.
func TestASignUpIsDroppedOnlyForWhoTakesItsPlace(t *testing.T) {
	t.Parallel()
	for way, prepare := range map[string]func(*testing.T, *rig, sweep.Actor) (prove func() error){
		"Google": func(t *testing.T, r *rig, _ sweep.Actor) func() error {
			return func() error { _, err := r.withGoogle(t, one); return err }
		},
		"an invitation": func(t *testing.T, r *rig, host sweep.Actor) func() error {
			r.invite(t, host, one, sweep.Viewer)
			token := r.invited(t, one)
			return func() error { _, err := r.accept(t, token, anew); return err }
		},
		"a change of address": func(t *testing.T, r *rig, host sweep.Actor) func() error {
			r.askEmail(t, host, one)
			token := r.addressToken(t, mail.EmailChange, one)
			return func() error { _, err := r.ConfirmEmail(t.Context(), host, token, r.client); return err }
		},
		"an undone change": func(t *testing.T, r *rig, _ sweep.Actor) func() error {
			_, before := r.member(t, one)
			r.changes(t, before, moved)
			undo := r.addressToken(t, mail.EmailChanged, one)
			r.afterAMinute(t)
			return func() error { return r.UndoEmailChange(t.Context(), undo, r.client) }
		},
	} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			r := newRig(t)
			_, host := r.member(t, ada)
			r.exec(t, "UPDATE customers SET granted_plan = 'enterprise', plan_version = plan_version + 1")
			prove := prepare(t, r, host)
			r.act(t, 's', one)
			link := r.newest(t, mail.VerifyEmail, one)
			want := r.left(t, one)
			r.exec(t, `CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'the disk is full'; END $$`)
			r.exec(t, "CREATE TRIGGER refuse BEFORE INSERT OR UPDATE ON users FOR EACH ROW WHEN (NEW.email = '"+one+"' AND NEW.verified_at IS NOT NULL) EXECUTE FUNCTION refuse()")
			require.Equal(t, sweep.Internal, code(prove()))
			require.Equal(t, want, r.left(t, one))
			r.exec(t, "DROP TRIGGER refuse ON users")
			require.NoError(t, prove())
			require.NotContains(t, r.left(t, one), "Mallory")
			_, err := r.VerifyEmail(t.Context(), link, strangers, r.client)
			require.Equal(t, sweep.BadRequest, code(err))
			require.Equal(t, 1, r.count(t, "SELECT count(*) FROM audit_logs WHERE action = 'signup.dropped'"))
		})
	}
}

// Nor is it dropped for who is refused.
func TestWhoIsRefusedDropsNoSignUp(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	_, host := r.member(t, ada)
	r.exec(t, "UPDATE customers SET granted_plan = 'enterprise', plan_version = plan_version + 1")
	r.invite(t, host, one, sweep.Viewer)
	token := r.invited(t, one)
	r.act(t, 's', one)
	link := r.newest(t, mail.VerifyEmail, one)
	r.exec(t, "UPDATE customers SET granted_plan = 'free', trial_ends_at = now() - interval '1 day', plan_version = plan_version + 1 WHERE id = $1", host.Customer.String())
	_, err := r.accept(t, token, anew)
	require.Equal(t, sweep.PeopleLimit, code(err))
	r.Limits.SignupsPerHourPerIP = 1
	r.afterAMinute(t)
	require.NoError(t, r.SignUp(t.Context(), "cy@example.com", strangers, "", r.client))
	_, err = r.withGoogle(t, one)
	require.Equal(t, sweep.RateLimited, code(err))
	_, err = r.VerifyEmail(t.Context(), link, strangers, r.client)
	require.NoError(t, err)
}

// Who proves the address while it is dropped keeps it or signs up anew: never half of it.
func TestAProofBesideADropIsWholeOrRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for i := range 8 {
		email := numbered(i)
		r.act(t, 's', email)
		link := r.newest(t, mail.VerifyEmail, email)
		customer, _, err := r.DB.UserByEmail(t.Context(), email)
		require.NoError(t, err)
		said := atOnce(2, func(i int) error {
			if i == 0 {
				return r.DropSignUp(t.Context(), customer, r.client)
			}
			_, err := r.VerifyEmail(t.Context(), link, "", r.client)
			return err
		})
		proven := r.count(t, "SELECT count(*) FROM users WHERE email = $1 AND verified_at IS NOT NULL", email)
		deleted := r.count(t, "SELECT count(*) FROM customers WHERE id = $1 AND deleted_at IS NOT NULL", customer.String())
		require.Equal(t, 1, proven+deleted)
		require.Equal(t, map[sweep.Code]int{"": 1 + proven, sweep.BadRequest: 1 - proven}, withZero(said))
	}
}

func withZero(said map[sweep.Code]int) map[sweep.Code]int {
	said[sweep.BadRequest] += 0
	return said
}
