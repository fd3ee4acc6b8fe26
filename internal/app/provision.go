package app

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"

	"mailsweep/internal/store"
)

// Provision makes a fresh database with this binary's schema beside the bootstrap login's own, and a fresh set of keys: the environment
// of a development stack's processes.
func Provision(ctx context.Context, bootstrap string) (map[string]string, error) {
	name := "mailsweep_" + time.Now().UTC().Format("20060102_150405") + "_" + hex.EncodeToString(chance(3))
	database, err := store.CreateDatabase(ctx, bootstrap, name)
	if err != nil {
		return nil, err
	}
	// Roles are the cluster's, so every stack on one cluster has to give them the same password; only who knows the bootstrap login knows it.
	sum := sha256.Sum256([]byte("mailsweep roles of " + bootstrap))
	password := hex.EncodeToString(sum[:16])
	env := map[string]string{}
	passwords := store.Passwords{}
	for role, variable := range map[string]string{"app": "API_DATABASE_URL", "worker": "WORKER_DATABASE_URL", "scheduler": "SCHEDULER_DATABASE_URL", "ops": "OPS_DATABASE_URL"} {
		passwords["mailsweep_"+role] = password
		if env[variable], err = store.WithLogin(database, name, "mailsweep_"+role, password); err != nil {
			return nil, err
		}
	}
	if err := store.Migrate(ctx, database, passwords); err != nil {
		return nil, err
	}
	var keys strings.Builder
	if err := WriteKeys(&keys); err != nil {
		return nil, err
	}
	for line := range strings.Lines(keys.String()) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		env[name] = value
	}
	return env, nil
}

func chance(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}
