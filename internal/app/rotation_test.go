package app

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/config"
	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
	"mailsweep/internal/testkit"
	"mailsweep/migrations"
)

const (
	rolePassword     = "test-only"
	rotatedCustomers = 500
	rotatedMailboxes = 20 // of each
	rotationPatience = 4 * time.Minute
)

func migrate(ctx context.Context, url string) error {
	return store.Migrate(ctx, url, store.Passwords{"mailsweep_owner": rolePassword, "mailsweep_app": rolePassword, "mailsweep_worker": rolePassword,
		"mailsweep_scheduler": rolePassword, "mailsweep_ops": rolePassword})
}

// vaultyard is a database whose values are sealed, and the files of the keysets.
type vaultyard struct {
	t      *testing.T
	root   *pgx.Conn
	d      testkit.Database
	desk   *keyDesk
	out    bytes.Buffer
	public string
	boxes  []sealedBox
}

// sealedBox is a mailbox whose token is sealed.
type sealedBox struct {
	customer, id sweep.ID
	account      []byte
}

func newVaultyard(t *testing.T) *vaultyard {
	t.Helper()
	y := &vaultyard{t: t, d: testkit.Postgres(t, testkit.Schema{Files: migrations.SQL, Migrate: migrate})}
	root, err := pgx.Connect(t.Context(), y.d.Bootstrap)
	require.NoError(t, err)
	t.Cleanup(func() { _ = root.Close(context.Background()) })
	y.root = root
	sets, err := secret.GenerateKeysets()
	require.NoError(t, err)
	folder := t.TempDir()
	file := func(name string, text []byte) string {
		path := filepath.Join(folder, name)
		require.NoError(t, os.WriteFile(path, text, 0o600))
		return path
	}
	y.public = file("public.json", sets.TokenPublic)
	y.desk = &keyDesk{out: &y.out, db: y.open("mailsweep_worker"), log: slog.New(slog.NewTextHandler(io.Discard, nil)), sources: sources{
		public:  secret.Source{Ref: y.public, Production: true},
		private: secret.Source{Name: secret.TokenKeyset, Ref: file("private.json", sets.TokenPrivate), Production: true},
		index:   secret.Source{Name: secret.IndexKeyset, Ref: file("index.json", sets.Index), Production: true}}}
	return y
}

func (y *vaultyard) open(role string) *store.DB {
	y.t.Helper()
	db, err := store.Open(y.t.Context(), store.Options{URL: y.d.URL(role, rolePassword), Process: "test", MaxConns: 4})
	require.NoError(y.t, err)
	y.t.Cleanup(db.Close)
	return db
}

// numberedID gives ids that are told apart by where they are used.
func numberedID(of byte, n int) (id sweep.ID) {
	id[0], id[6], id[8] = of, 0x70, 0x80
	id[13], id[14], id[15] = byte(n>>16), byte(n>>8), byte(n)
	return id
}

// fill seals a data key for each customer, and for each of its mailboxes a token; one in ten customers has a parked grant besides.
func (y *vaultyard) fill(customers, each int) {
	y.t.Helper()
	sealer, err := secret.FollowTokenSealer(y.desk.sources.public)
	require.NoError(y.t, err)
	vault, err := openVault(y.desk.sources)
	require.NoError(y.t, err)
	rows := map[string][][]any{}
	now := time.Now()
	for c := range customers {
		customer := numberedID(1, c)
		key, err := vault.NewDataKey(customer.String())
		require.NoError(y.t, err)
		rows["customers"] = append(rows["customers"], []any{customer.String(), key, now})
		for m := range each {
			n := c*each + m
			b := sealedBox{customer, numberedID(2, n), fmt.Appendf(nil, "account %d", n)}
			y.boxes = append(y.boxes, b)
			sealed, err := sealer.Seal(grantText(b, 0), b.place())
			require.NoError(y.t, err)
			rows["google_accounts"] = append(rows["google_accounts"], []any{b.account, now})
			rows["mailboxes"] = append(rows["mailboxes"], []any{customer.String(), b.id.String(), b.account, "a@example.com", "active", now})
			rows["oauth_tokens"] = append(rows["oauth_tokens"], []any{customer.String(), numberedID(0, n).String(), b.id.String(), sealed, now})
			if m == 0 && c%10 == 0 {
				rows["oauth_states"] = append(rows["oauth_states"], []any{customer.String(), b.account, b.id.String(), []byte{}, b.account, sealed, now.Add(time.Hour)})
			}
		}
	}
	for _, t := range []struct {
		name    string
		columns []string
	}{
		{"customers", []string{"id", "data_key", "created_at"}}, {"google_accounts", []string{"account", "created_at"}},
		{"mailboxes", []string{"customer_id", "id", "account", "email", "state", "connected_at"}},
		{"oauth_tokens", []string{"customer_id", "id", "mailbox_id", "sealed", "created_at"}},
		{"oauth_states", []string{"customer_id", "hash", "user_id", "verifier", "account", "granted", "expires_at"}},
	} {
		_, err := y.root.CopyFrom(y.t.Context(), pgx.Identifier{t.name}, t.columns, pgx.CopyFromRows(rows[t.name]))
		require.NoError(y.t, err, t.name)
	}
}

func (b sealedBox) place() secret.Context {
	return secret.Context{Customer: b.customer.String(), Provider: "google", Account: fmt.Sprintf("%x", b.account), Field: "refresh_token"}
}

// grantText is what the n-th consent for a mailbox gave.
func grantText(b sealedBox, n int) []byte { return fmt.Appendf(nil, "%s %d", b.id, n) }

func grantNumber(b sealedBox, plain []byte) (int, error) {
	id, n, _ := strings.Cut(string(plain), " ")
	if id != b.id.String() {
		return 0, fmt.Errorf("a token of %s in %s", id, b.id)
	}
	return strconv.Atoi(n)
}

func (y *vaultyard) count(query string, args ...any) (n int) {
	y.t.Helper()
	require.NoError(y.t, y.root.QueryRow(y.t.Context(), query, args...).Scan(&n))
	return n
}

// under counts what is sealed under keys.
func (y *vaultyard) under(token, index uint32) int {
	y.t.Helper()
	return y.count(`SELECT (SELECT count(*) FROM oauth_tokens WHERE sealed_by(sealed) = $1) + (SELECT count(*) FROM oauth_states WHERE sealed_by(granted) = $1)
		+ (SELECT count(*) FROM customers WHERE wrapped_by(data_key) = $2)`, int64(token), int64(index))
}

func (y *vaultyard) do(args ...string) error {
	act, err := y.desk.parse(args)
	require.NoError(y.t, err)
	return act(y.t.Context())
}

func (y *vaultyard) primary(s secret.Source) uint32 {
	y.t.Helper()
	keys, err := s.Keys()
	require.NoError(y.t, err)
	for _, k := range keys {
		if k.Primary {
			return k.ID
		}
	}
	y.t.Fatal("no primary key")
	return 0
}

// newest is the key of a keyset that was added last.
func (y *vaultyard) newest(s secret.Source) uint32 {
	y.t.Helper()
	keys, err := s.Keys()
	require.NoError(y.t, err)
	return keys[len(keys)-1].ID
}

// givePublic gives the API the public half, in one step as every deployment does.
func (y *vaultyard) givePublic() {
	y.t.Helper()
	public, err := y.desk.sources.private.Public()
	require.NoError(y.t, err)
	require.NoError(y.t, os.WriteFile(y.public+".next", public, 0o600))
	require.NoError(y.t, os.Rename(y.public+".next", y.public))
}

// ENC-2: 10,000 tokens and the data keys of 500 customers get other keys while two processes open them, connect again and seal anew; one
// of the two is killed in the middle. Nothing fails to open, nothing is left under the old keys, and the newest consent is the one in force.
func TestSealingKeysRotateUnderLoad(t *testing.T) {
	t.Parallel()
	y := newVaultyard(t)
	y.fill(rotatedCustomers, rotatedMailboxes)
	token, index := y.primary(y.desk.sources.private), y.primary(y.desk.sources.index)
	all := y.under(token, index)
	require.Equal(t, rotatedCustomers*rotatedMailboxes+rotatedCustomers/10+rotatedCustomers, all)
	first, second := y.startRotator(0), y.startRotator(1)
	first.wait("works")
	second.wait("works")

	y.rotate()
	testkit.Eventually(t, rotationPatience, func() bool { return y.under(token, index) < all*4/5 }, "sealing anew has begun")
	first.kill()
	require.Greater(t, y.under(token, index), all/20, "it was killed in the middle")
	require.Equal(t, sweep.Conflict, sweep.CodeOf(y.do("disable", "token", fmt.Sprint(token))), "something is left under the key")
	require.Equal(t, sweep.Conflict, sweep.CodeOf(y.do("disable", "index", fmt.Sprint(index))))
	third := y.startRotator(0)
	third.wait("works")
	sealsWith := fmt.Sprintf("seals under %d and %d", y.newest(y.desk.sources.private), y.newest(y.desk.sources.index))
	second.wait(sealsWith)
	third.wait(sealsWith)
	testkit.Eventually(t, rotationPatience, func() bool { return y.under(token, index) == 0 }, "nothing is left under the old keys")

	for _, act := range []string{"disable", "destroy"} {
		require.NoError(t, y.do(act, "token", fmt.Sprint(token)))
		require.NoError(t, y.do(act, "index", fmt.Sprint(index)))
	}
	for _, r := range []*rotator{second, third} {
		r.wait("of 1 and 1 keys")
		r.wait("opened more")
		r.stop()
	}
	require.Zero(t, y.under(token, index))
	y.everythingOpens()
}

// rotate adds keys, makes them the primary ones, and gives the API the public half.
func (y *vaultyard) rotate() {
	y.t.Helper()
	for _, set := range []string{secret.TokenKeyset, secret.IndexKeyset} {
		require.NoError(y.t, y.do("add", set))
		require.NoError(y.t, y.do("promote", set, fmt.Sprint(y.newest(y.desk.source(set)))))
	}
	y.givePublic()
}

// everythingOpens looks with the files as they are now, and whether the newest row of each mailbox is its newest consent.
func (y *vaultyard) everythingOpens() {
	y.t.Helper()
	opener, err := openTokens(y.desk.sources)
	require.NoError(y.t, err)
	vault, err := openVault(y.desk.sources)
	require.NoError(y.t, err)
	rows, err := y.root.Query(y.t.Context(), "SELECT mailbox_id::text, sealed FROM oauth_tokens ORDER BY mailbox_id, id")
	require.NoError(y.t, err)
	opened := map[string][]int{}
	of := map[string]sealedBox{}
	for _, b := range y.boxes {
		of[b.id.String()] = b
	}
	var id string
	var sealed []byte
	_, err = pgx.ForEachRow(rows, []any{&id, &sealed}, func() error {
		plain, err := opener.Open(sealed, of[id].place())
		if err != nil {
			return err
		}
		n, err := grantNumber(of[id], plain)
		opened[id] = append(opened[id], n)
		return err
	})
	require.NoError(y.t, err)
	require.Len(y.t, opened, len(y.boxes))
	for id, ns := range opened {
		for i, n := range ns {
			require.Equal(y.t, i, n, "consents of %s in the order of their rows", id)
		}
	}
	rows, err = y.root.Query(y.t.Context(), "SELECT id::text, data_key FROM customers")
	require.NoError(y.t, err)
	_, err = pgx.ForEachRow(rows, []any{&id, &sealed}, func() error {
		_, err := vault.Box(sealed, id)
		return err
	})
	require.NoError(y.t, err)
}

// ENC-2: a token that is sealed anew while its mailbox is connected again does not come before the newer one, and what was deleted meanwhile
// does not come back.
func TestWhatOthersWriteMeanwhileStays(t *testing.T) {
	t.Parallel()
	y := newVaultyard(t)
	y.fill(1, 3)
	list := y.stale()
	require.Len(t, list, 5)
	sealer, err := secret.FollowTokenSealer(y.desk.sources.public)
	require.NoError(t, err)
	newer, err := sealer.Seal(grantText(y.boxes[0], 1), y.boxes[0].place())
	require.NoError(t, err)
	require.NoError(t, y.open("mailsweep_app").Tenant(t.Context(), y.boxes[0].customer, func(tx *store.Tx) error { return tx.InsertToken(y.boxes[0].id, newer) }))
	_, err = y.root.Exec(t.Context(), "DELETE FROM oauth_states")
	require.NoError(t, err)
	_, err = y.root.Exec(t.Context(), "UPDATE customers SET data_key = ''")
	require.NoError(t, err)
	require.NoError(t, y.desk.db.Tenant(t.Context(), y.boxes[0].customer, func(tx *store.Tx) error {
		for _, s := range list {
			put, err := tx.Reseal(s, append([]byte("new "), s.Sealed...))
			require.NoError(t, err)
			require.Equal(t, s.Place == store.SealedToken, put, s.Place)
		}
		now, err := tx.RefreshToken(y.boxes[0].id)
		require.Equal(t, newer, now)
		return err
	}))
	require.Zero(t, y.count("SELECT length(data_key) FROM customers")+y.count("SELECT count(*) FROM oauth_states"))
	require.Equal(t, 3, y.count("SELECT count(*) FROM oauth_tokens WHERE sealed LIKE 'new %'::bytea"))
}

func (y *vaultyard) stale() (list []store.Sealed) {
	y.t.Helper()
	require.NoError(y.t, y.desk.db.Tenant(y.t.Context(), y.boxes[0].customer, func(tx *store.Tx) (err error) {
		list, err = tx.StaleSealed(1, 1, store.Sealed{}, 100)
		return err
	}))
	return list
}

// ENC-2: a process that has not heard of the new keys is refused once the old ones are retired: nothing is stored that nobody can open.
func TestNothingIsSealedUnderARetiredKey(t *testing.T) {
	t.Parallel()
	y := newVaultyard(t)
	y.fill(1, 1)
	b := y.boxes[0]
	late, err := secret.FollowTokenSealer(y.desk.sources.public)
	require.NoError(t, err)
	lateVault, err := openVault(y.desk.sources)
	require.NoError(t, err)
	token, index := y.primary(y.desk.sources.private), y.primary(y.desk.sources.index)
	require.Equal(t, sweep.Conflict, sweep.CodeOf(y.do("disable", "token", fmt.Sprint(token))), "it is the primary one")
	y.rotate()
	require.NoError(t, y.do("reseal"))
	require.Contains(t, y.out.String(), "3 values sealed anew, 0 could not be opened")
	require.Equal(t, sweep.Conflict, sweep.CodeOf(y.do("destroy", "token", fmt.Sprint(token))), "it is not disabled")
	require.NoError(t, y.do("disable", "token", fmt.Sprint(token)))
	require.NoError(t, y.do("disable", "index", fmt.Sprint(index)))

	sealed, err := late.Seal([]byte("x"), b.place())
	require.NoError(t, err)
	app := y.open("mailsweep_app")
	err = app.Tenant(t.Context(), b.customer, func(tx *store.Tx) error { return tx.InsertToken(b.id, sealed) })
	require.ErrorContains(t, err, "is retired")
	key, err := lateVault.NewDataKey(numberedID(7, 7).String())
	require.NoError(t, err)
	err = app.Tenant(t.Context(), numberedID(7, 7), func(tx *store.Tx) error { return tx.InsertCustomer("late", key, time.Now()) })
	require.ErrorContains(t, err, "is retired")
	changed, err := late.Renew()
	require.NoError(t, err)
	require.True(t, changed)
	sealed, err = late.Seal([]byte("x"), b.place())
	require.NoError(t, err)
	require.NoError(t, app.Tenant(t.Context(), b.customer, func(tx *store.Tx) error { return tx.InsertToken(b.id, sealed) }))

	require.NoError(t, y.do("status"))
	require.Regexp(t, fmt.Sprintf(`(?s)token +%d +disabled +0\n.*token +\d+ +primary +3\n.*index +%d +disabled +0\n.*index +\d+ +primary +1\n`, token, index), y.out.String())
}

// A retirement waits for whoever seals at that moment, and sees it.
func TestARetirementSeesWhatIsBeingSealed(t *testing.T) { // ENC-2
	t.Parallel()
	y := newVaultyard(t)
	y.fill(1, 1)
	b := y.boxes[0]
	late, err := secret.FollowTokenSealer(y.desk.sources.public)
	require.NoError(t, err)
	sealed, err := late.Seal([]byte("late"), b.place())
	require.NoError(t, err)
	token := y.primary(y.desk.sources.private)
	y.rotate()
	require.NoError(t, y.do("reseal"))
	refused := make(chan error, 1)
	require.NoError(t, y.open("mailsweep_app").Tenant(t.Context(), b.customer, func(tx *store.Tx) error {
		err := tx.InsertToken(b.id, sealed)
		go func() { refused <- y.do("disable", "token", fmt.Sprint(token)) }()
		testkit.Eventually(t, time.Minute, func() bool {
			return y.count("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())") == 1
		}, "the retirement waits")
		return err
	}))
	require.Equal(t, sweep.Conflict, sweep.CodeOf(<-refused))
	require.Zero(t, y.count("SELECT count(*) FROM retired_keys"), "the key is in use as before")
	opener, err := openTokens(y.desk.sources)
	require.NoError(t, err)
	plain, err := opener.Open(sealed, b.place())
	require.NoError(t, err)
	require.Equal(t, "late", string(plain))
}

// The sources of a production with a KEK are those of the settings.
func TestTheKEKIsOfTheSecretHalvesAlone(t *testing.T) {
	t.Parallel()
	s, err := keysetSources(t.Context(), config.Config{Env: config.Development, Keys: config.Keys{KEK: "gcp-kms://projects/p/locations/l/keyRings/r/cryptoKeys/k", KMSURL: "http://127.0.0.1:1"}})
	require.NoError(t, err)
	require.Nil(t, s.public.KEK)
	require.NotNil(t, s.private.KEK)
	require.NotNil(t, s.index.KEK)
}
