package bench

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"mailsweep/internal/secret"
	"mailsweep/internal/sweep"
)

// person is a customer with one user, one connected mailbox and an access token.
type person struct {
	customer, user, mailbox sweep.ID
	account                 []byte
	email                   string
	token                   string
}

// people makes n customers on the enterprise plan, written as rows: signing up n times is not what is measured.
func (r *rig) people(ctx context.Context, n int) ([]person, error) {
	index, err := secret.ReadKeyset(r.Env["INDEX_KEYSET"], false)
	if err != nil {
		return nil, err
	}
	vault, err := secret.NewVault(index)
	if err != nil {
		return nil, err
	}
	list, now := make([]person, n), time.Now().UTC()
	rows := map[string][][]any{}
	for i := range list {
		if list[i], err = r.person(now); err != nil {
			return nil, err
		}
		p := list[i]
		key, err := vault.NewDataKey(p.customer.String())
		if err != nil {
			return nil, err
		}
		c, u := p.customer.String(), p.user.String()
		rows["customers"] = append(rows["customers"], []any{c, "enterprise", now.Add(-time.Hour), key, now})
		rows["users"] = append(rows["users"], []any{u, p.email, "none", now, now})
		rows["members"] = append(rows["members"], []any{c, u, "owner", now})
		rows["google_accounts"] = append(rows["google_accounts"], []any{p.account, now})
		rows["mailboxes"] = append(rows["mailboxes"], []any{c, p.mailbox.String(), p.account, p.email, "active", now})
	}
	for _, t := range [][]string{{"customers", "id", "plan", "trial_ends_at", "data_key", "created_at"}, {"users", "id", "email", "password", "verified_at", "created_at"},
		{"members", "customer_id", "user_id", "role", "created_at"}, {"google_accounts", "account", "created_at"},
		{"mailboxes", "customer_id", "id", "account", "email", "state", "connected_at"}} {
		if _, err := r.root.CopyFrom(ctx, pgx.Identifier{t[0]}, t[1:], pgx.CopyFromRows(rows[t[0]])); err != nil {
			return nil, fmt.Errorf("write %s: %w", t[0], err)
		}
		// only what has rows: plans that are made while statistics say that a table is empty read it whole ever after
		if err := r.exec(ctx, "ANALYZE "+t[0]); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (r *rig) person(now time.Time) (p person, err error) {
	for _, id := range []*sweep.ID{&p.customer, &p.user, &p.mailbox} {
		if *id, err = sweep.NewID(now, rand.Reader); err != nil {
			return p, fmt.Errorf("make id: %w", err)
		}
	}
	p.account = make([]byte, 32)
	rand.Read(p.account)
	p.email = hex.EncodeToString(p.account[:8]) + "@bench.example"
	p.token, err = token(r.Env["JWT_KEYS"], p)
	return p, err
}

// token signs an access token as the API does: its form is a contract, and signing in costs a bcrypt.
func token(keys string, p person) (string, error) {
	id, encoded, _ := strings.Cut(keys, ":")
	seed, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil || len(seed) != ed25519.SeedSize {
		return "", fmt.Errorf("JWT_KEYS does not hold one key")
	}
	now := time.Now().Unix()
	head, err := json.Marshal(map[string]any{"alg": "EdDSA", "kid": id, "typ": "JWT"})
	if err != nil {
		return "", err
	}
	claims, err := json.Marshal(map[string]any{"iss": "mailsweep", "aud": []string{"mailsweep-api"}, "sub": sweep.UserID.Show(p.user), "jti": rand.Text(),
		"iat": now, "exp": now + 86400, "cid": sweep.CustomerID.Show(p.customer), "tv": 1, "typ": "access"})
	if err != nil {
		return "", err
	}
	text := base64.RawURLEncoding.EncodeToString(head) + "." + base64.RawURLEncoding.EncodeToString(claims)
	return text + "." + base64.RawURLEncoding.EncodeToString(ed25519.Sign(ed25519.NewKeyFromSeed(seed), []byte(text))), nil
}
