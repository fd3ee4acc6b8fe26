package secret

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// ENC-2: what a process read before a key left its keyset still opens for a moment, and a key that another process took up first is asked for.
func TestAKeysetIsFollowed(t *testing.T) {
	t.Parallel()
	s := Source{Name: IndexKeyset, Ref: filepath.Join(t.TempDir(), "index.json"), Production: true}
	if err := os.WriteFile(s.Ref, keysets(t).Index, 0o600); err != nil {
		t.Fatal(err)
	}
	follow := func() *Vault {
		v, err := FollowVault(s)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	ahead, behind := follow(), follow()
	_, old := box(t, ahead, "cus_a")
	first := ahead.Primary()
	second, err := s.Add(t.Context())
	if err == nil {
		err = s.Promote(t.Context(), second)
	}
	if changed, failure := ahead.Renew(); !changed || failure != nil || err != nil {
		t.Fatal(changed, failure, err)
	}
	_, fresh := box(t, ahead, "cus_b")
	if wrappedBy(old) != first || wrappedBy(fresh) != second || behind.Primary() != first {
		t.Fatal("the primary key is not that of the file")
	}
	if _, err := behind.Box(fresh, "cus_b"); err != nil {
		t.Errorf("a key that only others know: %v", err)
	}
	if behind.Primary() != second {
		t.Error("it was not taken up")
	}

	if err := s.Disable(t.Context(), first); err != nil {
		t.Fatal(err)
	}
	if changed, err := ahead.Renew(); !changed || err != nil {
		t.Fatal(changed, err)
	}
	if _, err := ahead.unwrap(old, "cus_a"); err != nil {
		t.Errorf("what was read a moment ago: %v", err)
	}
	ahead.changed = time.Now().Add(-2 * settle)
	if changed, err := ahead.Renew(); changed || err != nil {
		t.Fatal(changed, err)
	}
	if _, err := ahead.unwrap(old, "cus_a"); err == nil {
		t.Error("a disabled key opens for ever")
	}
}
