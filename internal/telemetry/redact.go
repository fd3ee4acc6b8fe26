package telemetry

import (
	"bytes"
	"io"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

const redacted = "[redacted]"

// secretNames are parts of attribute names whose values are never written.
var secretNames = []string{
	"password", "passwd", "secret", "token", "authorization", "cookie", "api_key", "apikey", "private_key", "pepper", "keyset",
	"credential", "database_url", "redis_url", "totp", "recovery_code", "set-cookie", "code_verifier",
}

// harmlessNames hold a secret's name and no secret.
var harmlessNames = []string{"token_version", "token_type", "tokens_left", "token_id", "token_expires_at"}

func hideByName(_ []string, a slog.Attr) slog.Attr {
	name := strings.ToLower(a.Key)
	for _, harmless := range harmlessNames {
		if name == harmless {
			return a
		}
	}
	for _, part := range secretNames {
		if strings.Contains(name, part) {
			return slog.String(a.Key, redacted)
		}
	}
	return a
}

// secretLooks are secrets that can be told by their looks: JWTs, bearer headers, Google's tokens and client secrets, our keys,
// Stripe's keys, bcrypt hashes, passwords in URLs, tokens in links, values of JSON fields with a secret's name.
var secretLooks = regexp.MustCompile(strings.Join([]string{
	`eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*`,
	`(?i:bearer|basic) [\w.~+/=-]{8,}`,
	`ya29\.[\w.-]+`, `1//[\w-]{20,}`, `GOCSPX-[\w-]+`,
	`swp_(?:live|test)_[\w-]+`, `(?:sk|rk|pk)_(?:live|test)_\w+`, `whsec_\w+`,
	`\$2[aby]\$\d\d\$[./A-Za-z0-9]{53}`,
	`://[^\s/:@"]*:[^\s/@"]+@`,
	`(?i)[?&](?:token|code|state|key|secret|password|access_token|refresh_token)=[^\s&"\\]+`,
	`(?i)\b\w*(?:password|secret|token|pepper):[^\s"\\}\]]+`, // a struct under %+v
	`(?i)\\?"(?:password|secret|token|access_token|refresh_token|id_token|client_secret|code|totp)\\?" ?: ?\\?"[^"\\]+`,
}, "|"))

// secretSigns are what one of secretLooks cannot do without, in lower case: a line that has none of them is clean. To look for these is
// cheap beside the expression, and nearly every line has none.
var secretSigns = [][]byte{
	[]byte("eyj"), []byte("bearer"), []byte("basic"), []byte("ya29"), []byte("1//"), []byte("gocspx"), []byte("swp_"), []byte("_live_"), []byte("_test_"),
	[]byte("whsec"), []byte("$2"), []byte("://"), []byte("token"), []byte("code"), []byte("state="), []byte("key="), []byte("secret"), []byte("password"),
	[]byte("pepper"), []byte("totp"),
}

func mayHoldSecret(line []byte) bool {
	lower := bytes.ToLower(line)
	foreign := bytes.ContainsFunc(line, func(r rune) bool { return r > unicode.MaxASCII }) // ſ is an s to the expression
	return foreign || slices.ContainsFunc(secretSigns, func(sign []byte) bool { return bytes.Contains(lower, sign) })
}

// redactor blanks secrets in finished lines. A handler writes a whole line at once, so no secret is split.
type redactor struct{ w io.Writer }

func (r *redactor) Write(line []byte) (int, error) {
	clean := line
	if mayHoldSecret(line) {
		clean = secretLooks.ReplaceAllFunc(line, blank)
	}
	if _, err := r.w.Write(clean); err != nil {
		return 0, err
	}
	return len(line), nil
}

// blank keeps what shows where the secret stood: the name of a parameter or field, the host of a URL.
func blank(found []byte) []byte {
	s := string(found)
	switch {
	case strings.HasPrefix(s, "://"):
		return []byte("://" + redacted + "@")
	case s[0] == '?' || s[0] == '&':
		return []byte(s[:strings.Index(s, "=")+1] + redacted)
	case s[0] == '"' || s[0] == '\\':
		return []byte(s[:strings.LastIndex(s, `"`)+1] + redacted)
	case goField.MatchString(s):
		return []byte(goField.FindString(s) + redacted)
	}
	return []byte(redacted)
}

var goField = regexp.MustCompile(`^\w+:`)
