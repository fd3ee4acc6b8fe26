package secret_test

import (
	"bytes"
	"fmt"
	"image/png"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"mailsweep/internal/secret"
)

// The vectors of RFC 6238, appendix B, for SHA-1; of their eight digits the last six.
func TestCodesAreThoseOfTheStandard(t *testing.T) {
	t.Parallel()
	app := secret.TOTP("12345678901234567890")
	for at, want := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		got, err := app.Code(time.Unix(at, 0))
		require.NoError(t, err)
		require.Equal(t, want, got, at)
	}
}

func TestACodeIsOfThreeSteps(t *testing.T) {
	t.Parallel()
	app := secret.NewTOTP()
	now := time.Unix(1_700_000_010, 0)
	for away := -3; away <= 3; away++ {
		code, err := app.Code(now.Add(time.Duration(away) * 30 * time.Second))
		require.NoError(t, err)
		step, err := app.Step(code, now)
		require.NoError(t, err)
		if away < -1 || away > 1 {
			require.Zero(t, step, away)
		} else {
			require.Equal(t, now.Unix()/30+int64(away), step)
		}
	}
}

func TestAnAppReadsTheURLAndThePicture(t *testing.T) {
	t.Parallel()
	app := secret.NewTOTP()
	u, err := url.Parse(app.URL("Mailsweep", "ada+x@example.com"))
	require.NoError(t, err)
	require.Equal(t, "/Mailsweep:ada+x@example.com", u.Path)
	require.Equal(t, app.Text(), u.Query().Get("secret"))
	require.Len(t, app.Text(), 32)
	picture, err := app.Picture("Mailsweep", "ada@example.com")
	require.NoError(t, err)
	image, err := png.Decode(bytes.NewReader(picture))
	require.NoError(t, err)
	require.Equal(t, 240, image.Bounds().Dx())
	require.NotContains(t, fmt.Sprintf("%v %+v %#v %s %x", app, app, app, app, app), app.Text())
}

func TestRecoveryCodesHave128BitsAndASaltOfTheirOwn(t *testing.T) { // MFA-4
	t.Parallel()
	codes, hashes, salt := secret.NewRecoveryCodes()
	require.Len(t, codes, 10)
	seen := map[string]bool{}
	for i, code := range codes {
		require.Regexp(t, `^([A-Z2-7]{4}-){6}[A-Z2-7]{4}$`, code)
		require.GreaterOrEqual(t, 5*(len(strings.ReplaceAll(code, "-", ""))-1), 128, "bits, without the last character, which has some of them only")
		require.Equal(t, hashes[i], secret.RecoveryHash(salt, " "+strings.ToLower(code)))
		require.False(t, seen[code])
		seen[code] = true
	}
	_, _, other := secret.NewRecoveryCodes()
	require.NotEqual(t, hashes[0], secret.RecoveryHash(other, codes[0]))
	require.False(t, secret.IsTOTP(codes[0]))
	require.True(t, secret.IsTOTP("012345"))
	require.False(t, secret.IsTOTP("01234५"))
}
