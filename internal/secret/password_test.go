package secret

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ccojocar/zxcvbn-go/data"
	"golang.org/x/crypto/bcrypt"

	"mailsweep/internal/sweep"
)

func passwords() *Passwords {
	return &Passwords{
		Peppers: map[string][]byte{"p1": bytes.Repeat([]byte{1}, 32), "p2": bytes.Repeat([]byte{2}, 32)},
		Current: "p2", Cost: bcrypt.MinCost,
	}
}

func hashed(t *testing.T, p *Passwords, password string) string {
	t.Helper()
	stored, err := p.Hash(t.Context(), password)
	if err != nil {
		t.Fatal(err)
	}
	return stored
}

func verify(t *testing.T, p *Passwords, stored, password string) (ok, rehash bool) {
	t.Helper()
	ok, rehash, err := p.Verify(t.Context(), stored, password)
	if err != nil {
		t.Fatal(err)
	}
	return ok, rehash
}

func TestPasswordsAreNeverCut(t *testing.T) { // PWD-2
	t.Parallel()
	p := passwords()
	long := strings.Repeat("😀", 64)
	stored := hashed(t, p, long)
	if ok, rehash := verify(t, p, stored, long); !ok || rehash {
		t.Errorf("ok %v, rehash %v", ok, rehash)
	}
	for _, other := range []string{long + "x", long[:len(long)-4], strings.Repeat("😀", 63) + "😁", long[:72], ""} {
		if ok, _ := verify(t, p, stored, other); ok {
			t.Errorf("%.20q… passes", other)
		}
	}
	if ok, _ := verify(t, p, hashed(t, p, "Ångström ﬁts here"), "A\u030angstro\u0308m fits here"); !ok {
		t.Error("two spellings of one text differ")
	}
}

func TestStoredFormNeedsThePepper(t *testing.T) { // PWD-3
	t.Parallel()
	p := passwords()
	stored := hashed(t, p, "a quiet blue teapot")
	bare, ok := strings.CutPrefix(stored, "v2$p2$")
	if !ok || strings.Contains(stored, "teapot") {
		t.Fatal(stored)
	}
	if bcrypt.CompareHashAndPassword([]byte(bare), []byte("a quiet blue teapot")) == nil {
		t.Error("the hash verifies without the pepper")
	}
	moved := strings.Replace(stored, "v2$p2$", "v2$p1$", 1)
	if ok, _ := verify(t, p, moved, "a quiet blue teapot"); ok {
		t.Error("another pepper verifies")
	}
	for _, bad := range []string{"", bare, "v1$p2$" + bare, "v2$$" + bare, "v2$p2$", "v2$p2"} {
		if ok, _, err := p.Verify(t.Context(), bad, "a quiet blue teapot"); ok || err == nil {
			t.Errorf("%q is taken: %v", bad, err)
		}
	}
}

func TestOldPepperAndCostAskForANewHash(t *testing.T) { // PWD-4
	t.Parallel()
	p := passwords()
	older := passwords()
	older.Current = "p1"
	dearer := passwords()
	dearer.Cost = bcrypt.MinCost + 1
	for what, stored := range map[string]string{"pepper": hashed(t, older, "pw"), "cost": hashed(t, dearer, "pw")} {
		if ok, rehash := verify(t, p, stored, "pw"); !ok || !rehash {
			t.Errorf("%s: ok %v, rehash %v", what, ok, rehash)
		}
		if ok, rehash := verify(t, p, stored, "other"); ok || rehash {
			t.Errorf("%s, wrong password: ok %v, rehash %v", what, ok, rehash)
		}
	}
}

// PWD-4: nobody can tell any more whether it is right, and that is no fault of ours.
func TestARetiredPepperIsAFailedLogin(t *testing.T) {
	t.Parallel()
	p := passwords()
	stored := strings.Replace(hashed(t, p, "pw"), "v2$p2$", "v2$p9$", 1)
	if ok, rehash := verify(t, p, stored, "pw"); ok || rehash {
		t.Errorf("ok %v, rehash %v", ok, rehash)
	}
}

func TestTheGateTurnsAwayWhoWaitsTooLong(t *testing.T) { // PWD-8
	t.Parallel()
	p := passwords()
	p.Slots, p.Patience = 2, 20*time.Millisecond
	var slots []Slot
	for range 2 {
		slot, err := p.Enter(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		slots = append(slots, slot)
	}
	if _, err := p.Hash(t.Context(), "pw"); sweep.CodeOf(err) != sweep.Unavailable {
		t.Errorf("third: %v", err)
	}
	if _, _, err := p.Verify(t.Context(), "v2$p2$x", "pw"); sweep.CodeOf(err) != sweep.Unavailable {
		t.Errorf("verify: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	p.Patience = time.Minute
	if _, err := p.Hash(ctx, "pw"); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	for _, slot := range slots {
		slot.Leave()
	}
	if _, err := p.Hash(t.Context(), "pw"); err != nil {
		t.Errorf("the gate stays shut: %v", err)
	}
}

func TestPasswordRules(t *testing.T) { // PWD-1, PWD-2, PWD-5, PWD-6
	t.Parallel()
	const email = "Ana.Gutierrez-Lopez@bright-harbour.example"
	for password, want := range map[string]error{
		"elevenchars":                            ErrPasswordShort,
		"quilted otte":                           nil,
		strings.Repeat("😀", 11):                  ErrPasswordShort,
		"ééééééééé zwölf":                        nil,
		strings.Repeat("tea 9", 25) + "abc":      nil,
		strings.Repeat("tea 9", 25) + "abcd":     ErrPasswordLong,
		"123456789012":                           ErrPasswordCommon,
		"210987654321":                           ErrPasswordCommon,
		"zyxwvutsrqpon":                          ErrPasswordCommon,
		"aaaaaaaaaaaaaaa":                        ErrPasswordCommon,
		"abababababab":                           ErrPasswordCommon,
		"password1234":                           ErrPasswordCommon,
		"PasswordPassword":                       ErrPasswordCommon,
		"P@ssw0rd2024!!":                         ErrPasswordCommon,
		"qwertyuiop[]":                           ErrPasswordCommon,
		"Mailsweep2026!":                         ErrPasswordCommon,
		"1qaz2wsx3edc":                           ErrPasswordCommon,
		"Iloveyousomuch":                         ErrPasswordCommon,
		"correct horse battery staple":           ErrPasswordCommon,
		"sunshine over the kettle":               nil,
		email:                                    ErrPasswordAddress,
		"ana.gutierrez-lopez2024":                ErrPasswordAddress,
		"Bright-Harbour.example":                 ErrPasswordAddress,
		"no ana.gutierrez-lopez there, a longer": nil,
		"nul\x00nulnulnulnul":                    ErrPasswordText,
		"broken \xff utf-8 text":                 ErrPasswordText,
	} {
		if got := CheckPassword(password, email, ""); !errors.Is(got, want) || (want == nil && got != nil) {
			t.Errorf("%q: %v, want %v", password, got, want)
		}
	}
	if err := CheckPassword("quilted otters", "", ""); err != nil {
		t.Errorf("without address: %v", err)
	}
}

// PWD-1: twelve code points, or fifteen where the strict profile is set.
func TestTheStrictProfileAsksForFifteen(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ least, shortest int }{{0, 12}, {12, 12}, {15, 15}, {8, 12}} {
		p := &Passwords{Least: c.least}
		for n := 11; n <= 16; n++ {
			for _, letters := range []string{"quilted otter a", "üäößéèêçñůłžšřő"} { // one byte each, and two
				password := string([]rune(letters + "x")[:n])
				got := p.Check(password, "", "")
				if n >= c.shortest && got != nil {
					t.Errorf("least %d: %d are refused: %v", c.least, n, got)
				}
				if want := fmt.Sprintf("use at least %d characters", c.shortest); n < c.shortest && (got == nil || got.Error() != want) {
					t.Errorf("least %d: %d: %v, want %q", c.least, n, got, want)
				}
			}
		}
		if err := p.Check(strings.Repeat("e\u0301", c.shortest-1), "", ""); err == nil {
			t.Errorf("least %d: code points are counted before they are composed", c.least)
		}
	}
}

// PWD-5: two hundred passwords with what is said of each.
//
//go:embed testdata/verdicts.txt
var verdicts string

func TestTwoHundredPasswords(t *testing.T) {
	t.Parallel()
	reasons := map[string]error{"common": ErrPasswordCommon, "short": ErrPasswordShort, "address": ErrPasswordAddress, "name": ErrPasswordName, "fine": nil}
	judged := 0
	for line := range strings.Lines(verdicts) {
		verdict, password, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		want, known := reasons[verdict]
		if !known {
			continue
		}
		judged++
		if got := CheckPassword(password, "ada.lovelace@bright-harbour.example", "Ada Lovelace"); !errors.Is(got, want) || want == nil && got != nil {
			t.Errorf("%q: %v, want %s", password, got, verdict)
		}
	}
	if judged != 200 {
		t.Errorf("%d passwords", judged)
	}
}

// PWD-5: the three thousand that leaks hold most often are refused as they are, and where they are made long enough by digits.
func TestTheMostCommonPasswordsAreRefused(t *testing.T) {
	t.Parallel()
	if n := len(listed()) + strings.Count(commonWords, "\n"); n < 10_000 {
		t.Fatalf("the list holds %d", n)
	}
	var list struct{ List []string }
	if err := json.Unmarshal(data.MustAsset("data/Passwords.json"), &list); err != nil {
		t.Fatal(err)
	}
	made := 0
	for _, p := range list.List[:3000] {
		if err := CheckPassword(p, "", ""); err == nil {
			t.Errorf("%q is taken", p)
		}
		if strings.Trim(p, "abcdefghijklmnopqrstuvwxyz") != "" || p == "" {
			continue
		}
		made++
		if long := p + "1234567890!"; !errors.Is(CheckPassword(long, "", ""), ErrPasswordCommon) {
			t.Errorf("%q is taken", long)
		}
	}
	if made < 2000 {
		t.Errorf("only %d were made longer", made)
	}
}

// PWD-5: passwords that people put together of two words that everybody uses, ten thousand times over.
func TestTenThousandPairsAndNamesAreRefused(t *testing.T) {
	t.Parallel()
	parts := strings.Fields(commonParts)
	refused := strings.Count(commonWords, "\n")
	for i, a := range parts {
		for _, b := range parts[i+1:] {
			password := a + b + "1987!"
			if len(password) < MinPassword {
				continue
			}
			if err := CheckPassword(password, "", ""); !errors.Is(err, ErrPasswordCommon) {
				t.Fatalf("%q is taken: %v", password, err)
			}
			refused++
		}
	}
	if refused < 10_000 {
		t.Errorf("%d are refused", refused)
	}
	for password, want := range map[string]error{
		"Summer-Winter-2026": ErrPasswordCommon, "dr4g0n m0nk3y 99": ErrPasswordCommon, "iloveyou&chocolate": ErrPasswordCommon,
		"Ada-Lovelace-1815": ErrPasswordName, "lovelace.lovelace": ErrPasswordName, "lovelaceada!!!": ErrPasswordName,
		"ada loves old lace": nil, "lovelace and babbage": nil, "summer winter otters": nil, "a drag on monks": nil, "1815-1852-1815": nil,
	} {
		if err := CheckPassword(password, "", "Ada Lovelace"); !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%q: %v, want %v", password, err, want)
		}
	}
}

// PWD-8: one core fewer than there are hashes, and one at least.
func TestTheGateLeavesACore(t *testing.T) {
	t.Parallel()
	p := passwords()
	p.Slots, p.Patience = 0, 20*time.Millisecond
	for n := range max(1, runtime.GOMAXPROCS(0)-1) {
		if _, err := p.Enter(t.Context()); err != nil {
			t.Fatalf("slot %d: %v", n+1, err)
		}
	}
	if _, err := p.Enter(t.Context()); sweep.CodeOf(err) != sweep.Unavailable {
		t.Errorf("one more: %v", err)
	}
}
