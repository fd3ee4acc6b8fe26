package web

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
)

const auditPath = "/settings/audit"

func (p *Pages) auditRoutes(e *echo.Echo) { e.GET(auditPath, p.signed(sweep.Viewer, p.audit)) }

// auditPage is a page of the audit log, newest first.
type auditPage struct {
	Entries []sweep.AuditView
	Next    string
	First   bool
	Owner   bool

	me     string
	people []account.PersonView
	keys   []account.KeyView
}

// By names who did something: people by their address, keys by their name, as far as they are still here.
func (a auditPage) By(actor string) string {
	kind, id, _ := strings.Cut(actor, ":")
	switch kind {
	case "user":
		if actor == a.me {
			return "You"
		}
		if i := slices.IndexFunc(a.people, func(p account.PersonView) bool { return p.ID == id }); i >= 0 {
			return a.people[i].Email
		}
		return "Somebody who is not here any more"
	case "key":
		if i := slices.IndexFunc(a.keys, func(k account.KeyView) bool { return k.ID == id }); i >= 0 {
			return "API key “" + a.keys[i].Name + "”"
		}
		return "An API key"
	case "ops":
		return "Mailsweep’s operators"
	}
	return "Mailsweep"
}

// On is where what was acted upon is looked at: a word and a path; zero: nowhere.
func (a auditPage) On(object string) (link [2]string) {
	switch kind, _, _ := strings.Cut(object, "_"); kind {
	case "job":
		return [2]string{"the job", "/jobs/" + object}
	case "pln":
		return [2]string{"the plan", "/plans/" + object}
	case "mbx":
		return [2]string{"the mailbox", "/mailboxes"}
	case "usr", "inv":
		return [2]string{"people", peoplePath}
	case "key":
		return [2]string{"API keys", keysPath}
	}
	return link
}

// Details are the numbers and words that an entry tells beside, in order of their names.
func (a auditPage) Details(e sweep.AuditView) string {
	var data map[string]any
	if json.Unmarshal(e.Data, &data) != nil {
		return ""
	}
	var list []string
	for name, value := range data {
		if n, ok := value.(float64); ok {
			value = grouped(int64(n))
		}
		list = append(list, fmt.Sprintf("%s: %v", strings.ReplaceAll(name, "_", " "), value))
	}
	slices.Sort(list)
	return strings.Join(list, ", ")
}

func (p *Pages) audit(c echo.Context, a sweep.Actor) error {
	ctx := c.Request().Context()
	page := auditPage{me: a.String(), First: c.QueryParam("cursor") == "", Owner: a.MayAs(sweep.Owner) == nil}
	if !page.Owner {
		return p.show(c, http.StatusOK, "audit", "Audit log", page)
	}
	var err error
	if page.Entries, page.Next, err = p.Report.Audit(ctx, a, 50, c.QueryParam("cursor")); err != nil {
		return err
	}
	people, err := p.Account.People(ctx, a)
	if err != nil {
		return err
	}
	page.people = people.Items
	if page.keys, err = p.Account.Keys(ctx, a); err != nil {
		return err
	}
	if c.Request().Header.Get("HX-Request") != "" {
		return p.fragment(c, "audit", "rows", page)
	}
	return p.show(c, http.StatusOK, "audit", "Audit log", page)
}

// actName says an act of the audit log in words.
func actName(action string) string {
	words := map[string]string{
		"user.signed_up": "Signed up", "user.signed_up_again": "Somebody signed up again with an address that is known", "user.verified": "Proved the address", "user.verified_by_google": "Google vouched for the address",
		"user.signed_in": "Signed in", "user.signed_in_with_google": "Signed in with Google", "user.signed_out": "Signed out", "login.failed": "A sign-in failed", "signup.dropped": "Dropped a sign-up",
		"session.ended": "Ended a session", "sessions.ended": "Ended the other sessions", "session.replaced": "A session took the place of another",
		"password.forgotten": "Asked to set the password anew", "password.reset": "Set the password anew", "password.changed": "Changed the password",
		"second_factor.on": "Turned two-factor sign-in on", "second_factor.off": "Turned two-factor sign-in off", "second_factor.brought": "Brought two-factor sign-in along", "recovery_codes.made": "Made new recovery codes",
		"google.linked": "Linked a Google account", "google.unlinked": "Unlinked the Google account", "google.refused": "A sign-in with Google was refused",
		"person.invited": "Invited somebody", "person.invited_again": "Sent an invitation again", "person.uninvited": "Took an invitation back", "person.joined": "Joined the account", "person.left": "Left the account",
		"person.removed": "Let somebody go", "person.role_changed": "Changed somebody’s role", "demands.changed": "Changed what is demanded of everybody", "ip_allowlist.replaced": "Changed the IP allowlist",
		"api_key.made": "Made an API key", "api_key.rotated": "Rotated an API key", "api_key.revoked": "Revoked an API key", "api_key.flagged": "An API key was seen in an address",
		"mailbox.connected": "Connected a mailbox", "mailbox.reconnected": "Connected a mailbox again", "mailbox.disconnected": "Disconnected a mailbox",
		"job.analyze": "Began an analysis", "job.dry_run": "Began a preview", "job.execute": "Began a cleanup", "job.undo": "Began an undo", "job.executed": "Ended a cleanup", "job.undone": "Ended an undo", "job.cancel": "Stopped a job", "job.pause": "Paused a job", "job.resume": "Let a job go on", "job.rerun": "Ran a job again",
		"keep_list.replaced": "Changed the keep list", "keep_list.added": "Put a sender on the keep list", "notifications.changed": "Changed which mails come",
		"billing.checkout": "Went to the checkout", "billing.portal": "Opened invoices and card", "billing.change": "Changed the plan", "billing.cancel": "Canceled the subscription", "billing.resume": "Kept the subscription",
		"plan.bought": "The plan that was bought changed", "plan.granted": "Was given a plan", "trial.ended": "The trial ended", "trial.extended": "The trial was made longer", "usage.reset": "The usage was reset", "usage.repaired": "The usage was put right",
		"export.asked": "Asked for the account’s data", "export.made": "The account’s data was put together", "export.fetched": "Fetched the account’s data",
		"customer.created": "The account was made", "customer.suspended": "The account was suspended", "customer.reactivated": "The account was let go on", "customer.deleted": "Deleted the account", "customer.restored": "The account was brought back",
		"message.looked_up": "Looked up why a message was changed", "access.denied": "Was refused something that is somebody else’s", "customer.halted": "The account’s jobs were halted", "customer.released": "The account’s jobs were let go on", "customer.paused": "The account’s jobs were paused",
	}
	if name, ok := words[action]; ok {
		return name
	}
	return titled(strings.NewReplacer(".", ": ", "_", " ", "-", " ").Replace(action))
}
