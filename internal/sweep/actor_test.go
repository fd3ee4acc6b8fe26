package sweep

import "testing"

func TestOnlyAKnownRoleRunsAndOnlyAScopeOfItsOwnLetsAKey(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a   Actor
		run bool
	}{
		{Actor{Kind: ByToken, Role: Owner}, true}, {Actor{Kind: ByToken, Role: Operator}, true}, {Actor{Kind: ByToken, Role: Viewer}, false}, {Actor{Kind: ByToken}, false},
		{Actor{Kind: ByToken, Role: "admin"}, false}, {Actor{}, false}, {Actor{Kind: ByKey, Role: Viewer}, false}, {Actor{Kind: ByOps}, true}, {Actor{Kind: BySystem}, false},
	} {
		if got := c.a.MayRun() == nil; got != c.run {
			t.Errorf("%+v may run: %v", c.a, got)
		}
	}
	key := Actor{Kind: ByKey, Role: Owner, Scopes: []Scope{ScopeRead, ""}}
	for scope, want := range map[Scope]bool{ScopeRead: true, ScopeExecute: false, "": false} {
		if got := key.MayUse(scope) == nil; got != want {
			t.Errorf("a key that reads uses %q: %v", scope, got)
		}
		if (Actor{Kind: ByToken}).MayUse(scope) != nil {
			t.Errorf("a person needs no scope")
		}
	}
}

func TestARoleMayWhatThoseBelowItMayAndNobodyWhatIsNotDeclared(t *testing.T) {
	t.Parallel()
	roles := []Role{Viewer, Operator, Owner}
	for i, has := range roles {
		for j, needs := range roles {
			if got := (Actor{Role: has}).MayAs(needs) == nil; got != (i >= j) {
				t.Errorf("%s as %s: %v", has, needs, got)
			}
		}
		for _, nobodys := range []Role{"", "admin"} {
			if (Actor{Role: has}).MayAs(nobodys) == nil || (Actor{Role: nobodys}).MayAs(has) == nil || (Actor{Role: nobodys}).MayAs(nobodys) == nil {
				t.Errorf("%q is a role", nobodys)
			}
		}
	}
}
