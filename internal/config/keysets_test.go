package config

import (
	"encoding/base64"
	"path/filepath"
	"strings"
	"testing"
)

const kek = "gcp-kms://projects/p/locations/global/keyRings/r/cryptoKeys/k"

// ENC-3: what a keyset must not be in production stops the start, in three processes, and the mistakes are told together.
func TestKeysetsThatProductionRefuses(t *testing.T) {
	t.Parallel()
	inline := base64.StdEncoding.EncodeToString([]byte(clearKeyset))
	for what, c := range map[string]struct {
		process string
		set     []string
		told    []string
	}{
		"in the environment":           {Worker, []string{"TOKEN_KEYSET_PRIVATE", clearKeyset, "INDEX_KEYSET", inline}, []string{"TOKEN_KEYSET_PRIVATE must be a file", "INDEX_KEYSET must be a file"}},
		"of all":                       {Worker, []string{"TOKEN_KEYSET_PRIVATE", written(t, clearKeyset, 0o644), "INDEX_KEYSET", written(t, clearKeyset, 0o644)}, []string{"TOKEN_KEYSET_PRIVATE names a file that others", "INDEX_KEYSET names a file that others", "0644"}},
		"of a group":                   {Scheduler, []string{"INDEX_KEYSET", written(t, clearKeyset, 0o640)}, []string{"INDEX_KEYSET names a file that others"}},
		"public half that may change":  {API, []string{"TOKEN_KEYSET_PUBLIC", written(t, clearKeyset, 0o666)}, []string{"TOKEN_KEYSET_PUBLIC names a file that others"}},
		"missing, and another mistake": {API, []string{"INDEX_KEYSET", "/no/such/file", "BCRYPT_COST", "4"}, []string{"INDEX_KEYSET names a file that cannot be found", "BCRYPT_COST"}},
		"a folder":                     {API, []string{"INDEX_KEYSET", t.TempDir()}, []string{"INDEX_KEYSET must name a regular file"}},
		"in clear beside a KEK":        {Worker, []string{"KEYSET_KEK", kek}, []string{"TOKEN_KEYSET_PRIVATE is in clear", "INDEX_KEYSET is in clear"}},
		"encrypted without a KEK":      {Scheduler, []string{"INDEX_KEYSET", written(t, encryptedKeyset, 0o600)}, []string{"INDEX_KEYSET is encrypted"}},
		"encrypted public half":        {API, []string{"TOKEN_KEYSET_PUBLIC", written(t, encryptedKeyset, 0o600)}, []string{"TOKEN_KEYSET_PUBLIC must be in clear"}},
		"encrypted in the environment": {API, []string{"KEYSET_KEK", kek, "INDEX_KEYSET", encryptedKeyset}, []string{"INDEX_KEYSET must be a file"}},
		"another service":              {API, []string{"KEYSET_KEK", "aws-kms://arn:aws:kms:eu:1:key/2"}, []string{"KEYSET_KEK must be gcp-kms://"}},
		"KMS without TLS":              {API, []string{"KMS_URL", "http://kms.example"}, []string{"KMS_URL must be https"}},
	} {
		_, err := load(c.process, with(good(t, c.process), c.set...))
		if err == nil {
			t.Errorf("%s is taken", what)
			continue
		}
		for _, told := range c.told {
			if !strings.Contains(err.Error(), told) {
				t.Errorf("%s: %q is not told in %v", what, told, err)
			}
		}
		if strings.Contains(err.Error(), "primaryKeyId") || strings.Contains(err.Error(), inline) {
			t.Errorf("%s: the keyset is told", what)
		}
	}
}

func TestKeysetsThatAreTaken(t *testing.T) { // ENC-3
	t.Parallel()
	inline := base64.StdEncoding.EncodeToString([]byte(clearKeyset))
	sealed := written(t, encryptedKeyset, 0o600)
	for what, c := range map[string]struct {
		process string
		set     []string
	}{
		"files of their owner's":               {Worker, nil},
		"a file that may only be read":         {Scheduler, []string{"INDEX_KEYSET", written(t, clearKeyset, 0o400)}},
		"encrypted files":                      {Worker, []string{"KEYSET_KEK", kek, "INDEX_KEYSET", sealed, "TOKEN_KEYSET_PRIVATE", sealed}},
		"encrypted beside a public half":       {API, []string{"KEYSET_KEK", kek, "INDEX_KEYSET", sealed}},
		"in development, the keyset itself":    {API, []string{"ENV", "development", "INDEX_KEYSET", inline, "TOKEN_KEYSET_PUBLIC", clearKeyset}},
		"in development, a file of all":        {API, []string{"ENV", "development", "INDEX_KEYSET", written(t, clearKeyset, 0o644)}},
		"in development, the encrypted keyset": {API, []string{"ENV", "development", "KEYSET_KEK", kek, "INDEX_KEYSET", base64.StdEncoding.EncodeToString([]byte(encryptedKeyset))}},
		"migrations do not look":               {Migrate, []string{"INDEX_KEYSET", filepath.Join(t.TempDir(), "later")}},
	} {
		if _, err := load(c.process, with(good(t, c.process), c.set...)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}
