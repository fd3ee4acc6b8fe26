package cleanup

import (
	"mailsweep/internal/secret"
	"mailsweep/internal/store"
)

// MembersOf opens the frozen set of a plan.
func MembersOf(box *secret.Box, row store.PlanRow) (set []string, err error) {
	members, err := planMembers(box, row, false)
	for _, m := range members {
		set = append(set, m.id.String())
	}
	return set, err
}
