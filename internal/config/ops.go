package config

import (
	"bufio"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// OpsUser is one person who may open an operations listener: a viewer looks, an operator also acts.
type OpsUser struct {
	Name string
	Hash Secret
	Role string
}

var bcryptHash = regexp.MustCompile(`^\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}$`)

// readOpsUsers reads name:bcrypt-hash:role lines; blank lines and # comments are skipped. Errors name the line, never a hash.
func readOpsUsers(path string) ([]OpsUser, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	var users []OpsUser
	lines := bufio.NewScanner(file)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		parts := strings.Split(line, ":")
		if len(parts) != 3 || parts[0] == "" || !bcryptHash.MatchString(parts[1]) ||
			!slices.Contains([]string{"viewer", "operator"}, parts[2]) {
			return nil, fmt.Errorf("line %d is not name:bcrypt-hash:role with role viewer or operator", n)
		}
		if slices.ContainsFunc(users, func(u OpsUser) bool { return u.Name == parts[0] }) {
			return nil, fmt.Errorf("line %d names a user a second time", n)
		}
		users = append(users, OpsUser{Name: parts[0], Hash: NewSecret(parts[1]), Role: parts[2]})
	}
	return users, lines.Err()
}
