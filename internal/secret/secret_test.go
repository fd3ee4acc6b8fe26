package secret

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

func keysets(t *testing.T) Keysets {
	t.Helper()
	k, err := GenerateKeysets()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func pair(t *testing.T) (*TokenSealer, *TokenOpener) {
	t.Helper()
	k := keysets(t)
	sealer, err := NewTokenSealer(k.TokenPublic)
	if err != nil {
		t.Fatal(err)
	}
	opener, err := NewTokenOpener(k.TokenPrivate)
	if err != nil {
		t.Fatal(err)
	}
	return sealer, opener
}

func TestSealedTokenOpensOnlyInItsPlace(t *testing.T) { // ENC-1
	t.Parallel()
	sealer, opener := pair(t)
	home := Context{"cus_a", "google", "acc_1", "refresh_token"}
	sealed, err := sealer.Seal([]byte("1//refresh"), home)
	if err != nil {
		t.Fatal(err)
	}
	if plain, err := opener.Open(sealed, home); err != nil || string(plain) != "1//refresh" {
		t.Fatalf("%q, %v", plain, err)
	}
	for _, c := range []Context{
		{"cus_b", "google", "acc_1", "refresh_token"}, {"cus_a", "other", "acc_1", "refresh_token"},
		{"cus_a", "google", "acc_2", "refresh_token"}, {"cus_a", "google", "acc_1", "access_token"},
		{"cus_a|google", "acc_1", "refresh_token", "v1"}, {"cus_a", "google", "acc_1", ""}, {},
	} {
		if _, err := opener.Open(sealed, c); err == nil {
			t.Errorf("opens under %+v", c)
		}
	}
	if _, err := sealer.Seal([]byte("x"), Context{Customer: "cus_a"}); err == nil {
		t.Error("seals without a full context")
	}
	_, stranger := pair(t)
	if _, err := stranger.Open(sealed, home); err == nil {
		t.Error("opens under another keyset")
	}
}

func TestContextsAreUnambiguous(t *testing.T) {
	t.Parallel()
	part := rapid.StringMatching(`[a|\\]{1,4}`)
	rapid.Check(t, func(t *rapid.T) {
		a := Context{part.Draw(t, "c"), part.Draw(t, "p"), part.Draw(t, "a"), part.Draw(t, "f")}
		b := Context{part.Draw(t, "c2"), part.Draw(t, "p2"), part.Draw(t, "a2"), part.Draw(t, "f2")}
		x, errA := a.bytes()
		y, errB := b.bytes()
		if errA != nil || errB != nil || (a != b && bytes.Equal(x, y)) {
			t.Fatalf("%+v and %+v both give %q (%v, %v)", a, b, x, errA, errB)
		}
	})
	left, _ := Context{"a|b", "c", "d", "e"}.bytes()
	right, _ := Context{"a", "b|c", "d", "e"}.bytes()
	if bytes.Equal(left, right) {
		t.Errorf("%q means two contexts", left)
	}
	x, _ := Context{"cus_a", "google", "acc", "refresh_token"}.bytes()
	if string(x) != "cus_a|google|acc|refresh_token|v1" {
		t.Errorf("%q", x)
	}
}

func TestThePublicHalfCannotOpen(t *testing.T) { // ENC-4
	t.Parallel()
	k := keysets(t)
	if _, err := NewTokenOpener(k.TokenPublic); err == nil {
		t.Error("an opener was made of the public half")
	}
	if _, err := NewTokenSealer(k.TokenPrivate); err == nil {
		t.Error("a sealer took the private half")
	}
	if _, err := NewVault(k.TokenPrivate); err == nil {
		t.Error("a vault took the token keyset")
	}
	if _, err := NewTokenOpener(k.Index); err == nil {
		t.Error("an opener took the index keyset")
	}
}

func vault(t *testing.T) *Vault {
	t.Helper()
	v, err := NewVault(keysets(t).Index)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func box(t *testing.T, v *Vault, customer string) (*Box, []byte) {
	t.Helper()
	wrapped, err := v.NewDataKey(customer)
	if err != nil {
		t.Fatal(err)
	}
	b, err := v.Box(wrapped, customer)
	if err != nil {
		t.Fatal(err)
	}
	return b, wrapped
}

func TestADataKeyServesItsCustomerAlone(t *testing.T) { // ENC-1
	t.Parallel()
	v := vault(t)
	a, wrappedA := box(t, v, "cus_a")
	b, _ := box(t, v, "cus_b")
	sealed, err := a.Seal([]byte("ids"), "batches|job_1|3")
	if err != nil {
		t.Fatal(err)
	}
	if overhead := len(sealed) - len("ids"); overhead != 33 {
		t.Errorf("overhead is %d bytes", overhead)
	}
	if plain, err := a.Open(sealed, "batches|job_1|3"); err != nil || string(plain) != "ids" {
		t.Fatalf("%q, %v", plain, err)
	}
	if _, err := b.Open(sealed, "batches|job_1|3"); err == nil {
		t.Error("another customer's box opens it")
	}
	if _, err := a.Open(sealed, "batches|job_1|4"); err == nil {
		t.Error("it opens in another row")
	}
	if _, err := a.Seal([]byte("x"), ""); err == nil {
		t.Error("it seals without a place")
	}
	if _, err := v.Box(wrappedA, "cus_b"); err == nil {
		t.Error("a wrapped key unwraps for another customer")
	}
	if _, err := vault(t).Box(wrappedA, "cus_a"); err == nil {
		t.Error("a wrapped key unwraps under another keyset")
	}
	sealed[len(sealed)-1] ^= 1
	if _, err := a.Open(sealed, "batches|job_1|3"); err == nil {
		t.Error("an altered text opens")
	}
}

func TestCachedDataKeysAreBoundedAndForgotten(t *testing.T) {
	t.Parallel()
	v := vault(t)
	first, wrapped := box(t, v, "cus_0")
	again, err := v.Box(wrapped, "cus_0")
	if err != nil || again != first {
		t.Fatalf("not cached: %v", err)
	}
	v.Forget("cus_0")
	if again, _ := v.Box(wrapped, "cus_0"); again == first {
		t.Error("not forgotten")
	}
	_, renewed := box(t, v, "cus_0")
	if bytes.Equal(renewed, wrapped) {
		t.Error("two data keys are equal")
	}
	var wait sync.WaitGroup
	for w := range 4 {
		wait.Go(func() {
			for i := range cachedBoxes / 2 {
				v.keep(&cachedBox{customer: fmt.Sprint("cus_", w, "_", i)})
			}
		})
	}
	wait.Wait()
	if v.order.Len() != cachedBoxes || len(v.boxes) != cachedBoxes {
		t.Errorf("%d, %d cached", v.order.Len(), len(v.boxes))
	}
}

func TestKeysetFilesArePrivateInProduction(t *testing.T) { // ENC-3
	t.Parallel()
	index := keysets(t).Index
	path := filepath.Join(t.TempDir(), "index.json")
	if err := os.WriteFile(path, index, 0o600); err != nil {
		t.Fatal(err)
	}
	inline := base64.StdEncoding.EncodeToString(index)
	for _, ref := range []string{path, string(index), inline} {
		if text, err := ReadKeyset(ref, false); err != nil || !bytes.Equal(text, index) {
			t.Errorf("development: %v", err)
		}
	}
	if _, err := ReadKeyset(path, true); err != nil {
		t.Errorf("production, 0600: %v", err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	for _, ref := range []string{path, string(index), inline, "", path + "x", filepath.Dir(path)} {
		if _, err := ReadKeyset(ref, true); err == nil {
			t.Errorf("production reads %.40q", ref)
		}
	}
}

func TestErrorsAndPrintingShowNoKeyMaterial(t *testing.T) {
	t.Parallel()
	k := keysets(t)
	canary := []byte(strings.Replace(string(k.TokenPrivate), `"value":"`, `"value":"canary!`, 1))
	_, e1 := NewTokenOpener(canary)
	_, e2 := NewTokenSealer(canary)
	_, e3 := NewVault(canary)
	_, e4 := ReadKeyset(string(canary), true)
	_, e5 := ReadKeyset("no-such-file-canary!", true)
	p := &Passwords{Peppers: map[string][]byte{"p": []byte("canary!")}, Current: "p"}
	for i, err := range []error{e1, e2, e3, e4, e5} {
		if err == nil || strings.Contains(err.Error(), "canary!") {
			t.Errorf("error %d: %v", i, err)
		}
	}
	printed := fmt.Sprintf("%v %+v %#v %s %x", k, p, p, Pseudonym{[]byte("canary!")}, k)
	if strings.Contains(printed, "canary!") || strings.Contains(printed, "primaryKeyId") || strings.Contains(printed, "99 97") {
		t.Errorf("printed: %s", printed)
	}
}

func TestTokensAreLongAndStoredAsHashes(t *testing.T) { // VER-1, RST-2
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		plain, hash := NewToken()
		if len(plain) != 43 || len(hash) != 32 || !bytes.Equal(hash, HashToken(plain)) || seen[plain] {
			t.Fatalf("token %q", plain)
		}
		if strings.ContainsAny(plain, "+/=") {
			t.Fatalf("%q does not fit into a link", plain)
		}
		seen[plain] = true
	}
}

func TestPseudonymsDependOnKeyKindAndValue(t *testing.T) {
	t.Parallel()
	p := Pseudonym{bytes.Repeat([]byte{1}, 32)}
	base := p.Of("email", "a@b.example")
	if len(base) != 32 || !bytes.Equal(base, p.Of("email", "a@b.example")) {
		t.Error("not stable")
	}
	others := [][]byte{
		p.Of("ip", "a@b.example"), p.Of("email", "b@b.example"), p.Of("emaila", "@b.example"),
		Pseudonym{bytes.Repeat([]byte{2}, 32)}.Of("email", "a@b.example"),
	}
	for i, other := range others {
		if bytes.Equal(base, other) {
			t.Errorf("%d is the same", i)
		}
	}
}
