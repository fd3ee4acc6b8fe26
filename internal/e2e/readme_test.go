package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/sim/google"
)

var (
	walks  = regexp.MustCompile(`(?s)<!-- walk -->(.*?)<!-- /walk -->`)
	blocks = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")
)

// walkScript is every shell block of the README's walk, in their order.
func walkScript(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	require.NoError(t, err)
	var script strings.Builder
	for _, walk := range walks.FindAllStringSubmatch(string(text), -1) {
		for _, block := range blocks.FindAllStringSubmatch(walk[1], -1) {
			script.WriteString(block[1])
		}
	}
	return script.String()
}

func TestReadmesWalkWorksAsWritten(t *testing.T) {
	t.Parallel()
	script := walkScript(t)
	for _, step := range []string{"/auth/signup", "/auth/verify-email", "/mailboxes/connect/complete", "/gmail/analyze", "/cleanup/dry-run", "/cleanup/execute", "/gmail/usage", "/gmail/history", "/undo"} {
		require.Contains(t, script, step, "the README's walk shows the whole flow")
	}
	r := start(t, speedy(), nil)
	for i, email := range []string{"ada@mail.example", "ben@mail.example"} { // as make run does
		_, err := r.Sim.AddGenerated(email, google.Generate{Messages: 3000, Seed: uint64(i + 1), Now: time.Now()})
		require.NoError(t, err)
	}
	u := &user{t: t, r: r}
	u.Email = "ada@mail.example"
	before := u.digest()

	bash := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail")
	bash.Stdin = strings.NewReader(script)
	bash.Env = append(os.Environ(), "API="+r.API, "MAIL="+r.Mail, "GOOGLE="+r.Google)
	said, err := bash.CombinedOutput()
	require.NoError(t, err, "%s", said)
	t.Logf("%s", said)
	require.NotEmpty(t, u.changes(), "the walk cleaned something")
	require.Equal(t, before, u.digest(), "and undid it")
}
