package sweep

import (
	"slices"
	"time"
)

// Role is what a member may do in a customer.
type Role string

// The roles: an owner does everything, an operator runs cleanups, a viewer looks.
const (
	Owner    Role = "owner"
	Operator Role = "operator"
	Viewer   Role = "viewer"
)

// ActorKind is how a caller proved who they are.
type ActorKind string

// The kinds of actors.
const (
	ByToken  ActorKind = "user"
	ByKey    ActorKind = "key"
	ByOps    ActorKind = "ops"
	BySystem ActorKind = "system"
)

// Actor is who is calling, handed explicitly to every use case. Of a key User is the key's id and Role its maker's. AddressHash is a keyed hash of the caller's address, for the audit log.
type Actor struct {
	Kind        ActorKind
	Customer    ID
	User        ID
	Role        Role
	Session     ID        // of who came by a cookie; zero: by a token or a key
	ProvenAt    time.Time // when a person last showed who they are; zero: not since that is kept, or a key
	Scopes      []Scope   // of a key
	Name        string    // ops only
	RequestID   string
	AddressHash []byte
}

// String names the actor in rows and the audit log, without personal data.
func (a Actor) String() string {
	switch a.Kind {
	case ByToken:
		return "user:" + UserID.Show(a.User)
	case ByKey:
		return "key:" + KeyID.Show(a.User)
	case ByOps:
		return "ops:" + a.Name
	}
	return "system"
}

// MayRun says whether the actor may start or stop jobs and change settings; nil or Forbidden. Who has no role may not, but for those who
// run the service: what they may is asked where they sign in.
func (a Actor) MayRun() error {
	if a.Kind != ByOps && a.Role != Owner && a.Role != Operator {
		return Errorf(Forbidden, "a viewer can look, not change")
	}
	return nil
}

// MayAs says whether the actor's role is the one that a route declares, or a greater; nil or Forbidden. What declares no role, or one that
// nobody knows, is for nobody.
func (a Actor) MayAs(needs Role) error {
	if least := needs.rank(); least > 0 && a.Role.rank() >= least {
		return nil
	}
	return Errorf(Forbidden, "your role in this account does not allow this")
}

// rank orders the roles: each may what those below it may; 0 for what is no role.
func (r Role) rank() int { return slices.Index([]Role{Viewer, Operator, Owner}, r) + 1 }

// MayUse says whether the actor may use what needs a scope; nil or Forbidden. "" is for people only; people need no scopes.
func (a Actor) MayUse(s Scope) error {
	switch {
	case a.Kind != ByKey || s != "" && slices.Contains(a.Scopes, s):
		return nil
	case s == "":
		return Errorf(Forbidden, "an API key cannot do this: sign in")
	}
	return Errorf(Forbidden, "this API key was not made for it: it lacks the scope %s", s)
}
