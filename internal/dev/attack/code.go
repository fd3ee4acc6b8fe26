package attack

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

const tools = "-modfile=internal/tools/attack/go.mod"

// gitleaks looks for secrets in every commit. What .gitleaks.toml allows is made up for tests.
func gitleaks(ctx context.Context, r *ground) (tried string, found []string, err error) {
	said, code, err := r.run(ctx, "gitleaks.txt", "go", "tool", tools, "gitleaks", "git", "--no-banner", "--no-color", "--redact", "--verbose", "--exit-code", "3", ".")
	if err != nil || code != 0 && code != 3 {
		return "", nil, fmt.Errorf("exit code %d: %w", code, err)
	}
	for _, line := range strings.Split(said, "\n") {
		if place, is := strings.CutPrefix(line, "Fingerprint:"); is {
			found = append(found, strings.TrimSpace(place))
		}
		if i := strings.Index(line, "commits scanned"); i > 0 {
			tried = strings.TrimSpace(line[strings.LastIndex(line[:i], "INF")+3:])
		}
	}
	return tried, found, nil
}

// unread are rules of gosec that this project answers in another way, each with the reason.
var unread = map[string]string{
	"G101": "it takes lists of columns and addresses of Google's for passwords; gitleaks looks for real ones",
	"G104": "what is not looked at are closings of what was read and prints to a terminal; each has its reason beside it",
	"G115": "integers are narrowed where a CHECK of the database or a bound before it holds",
	"G204": "internal/dev starts programs by design; nothing of it is in the services",
	"G301": "the folders of internal/dev hold no secret",
	"G304": "files are named by configuration and by tests, not by requests",
	"G306": "as G301",
	"G602": "it does not see that two slices were made of one length",
	"G404": "math/rand spreads load and makes test mail; secrets come from crypto/rand, which internal/arch holds",
}

// gosec reads the code that is deployed.
func gosec(ctx context.Context, r *ground) (tried string, found []string, err error) {
	var rules []string
	for rule := range unread {
		rules = append(rules, rule)
	}
	_, code, err := r.run(ctx, "gosec.txt", "go", "tool", tools, "gosec", "-fmt", "json", "-out", r.log("gosec.json"), "-exclude", strings.Join(rules, ","),
		"-exclude-dir", "internal/dev", "-exclude-dir", "internal/sim", "-exclude-dir", "internal/testkit", "-exclude-dir", "internal/faults", "-exclude-dir", "internal/tools", "./cmd/...", "./internal/...")
	if err != nil || code > 1 {
		return "", nil, fmt.Errorf("exit code %d: %w", code, err)
	}
	var report struct {
		Issues []struct {
			Rule    string `json:"rule_id"`
			Details string `json:"details"`
			File    string `json:"file"`
			Line    string `json:"line"`
		}
		Stats struct{ Files, Lines int }
	}
	raw, err := os.ReadFile(r.log("gosec.json"))
	if err == nil {
		err = json.Unmarshal(raw, &report)
	}
	for _, i := range report.Issues {
		found = append(found, fmt.Sprintf("%s %s (%s:%s)", i.Rule, i.Details, i.File[max(0, strings.LastIndex(i.File, "internal/")):], i.Line))
	}
	return fmt.Sprintf("%d files, %d lines, all rules but %d", report.Stats.Files, report.Stats.Lines, len(rules)), found, err
}
