package secret

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"errors"
	"fmt"
	"image/png"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
)

// TOTP is the secret of an authenticator app: RFC 6238 with SHA-1, six digits and 30 seconds, which is what every app takes.
type TOTP []byte

// Format hides the secret under every verb.
func (TOTP) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[redacted]")) }

const (
	totpStep   = 30 // seconds
	totpDigits = 6
)

var base32Plain = base32.StdEncoding.WithPadding(base32.NoPadding)

// NewTOTP makes a secret of 160 bits.
func NewTOTP() TOTP { return random(20) }

// ReadTOTP reads what Text wrote.
func ReadTOTP(text string) (TOTP, error) {
	app, err := base32Plain.DecodeString(text)
	if err != nil {
		return nil, errors.New("read secret of an app: it is no base32")
	}
	return app, nil
}

// Text is the secret as a person types it into an app.
func (t TOTP) Text() string { return base32Plain.EncodeToString(t) }

// URL is what an app reads from a picture; account is shown there below issuer.
func (t TOTP) URL(issuer, account string) string {
	query := url.Values{"secret": {t.Text()}, "issuer": {issuer}, "algorithm": {"SHA1"}, "digits": {fmt.Sprint(totpDigits)}, "period": {fmt.Sprint(totpStep)}}
	return (&url.URL{Scheme: "otpauth", Host: "totp", Path: "/" + issuer + ":" + account, RawQuery: strings.ReplaceAll(query.Encode(), "+", "%20")}).String()
}

// Picture is URL as a QR code, a PNG of some 2 KB.
func (t TOTP) Picture(issuer, account string) ([]byte, error) {
	key, err := otp.NewKeyFromURL(t.URL(issuer, account))
	if err != nil {
		return nil, fmt.Errorf("draw QR code: %w", err)
	}
	image, err := key.Image(240, 240)
	if err != nil {
		return nil, fmt.Errorf("draw QR code: %w", err)
	}
	var b bytes.Buffer
	if err := png.Encode(&b, image); err != nil {
		return nil, fmt.Errorf("draw QR code: %w", err)
	}
	return b.Bytes(), nil
}

// Code is the app's code at an instant.
func (t TOTP) Code(at time.Time) (string, error) { return t.at(at.Unix() / totpStep) }

func (t TOTP) at(step int64) (string, error) {
	code, err := hotp.GenerateCodeCustom(t.Text(), uint64(step), hotp.ValidateOpts{Digits: totpDigits, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		return "", fmt.Errorf("make code: %w", err)
	}
	return code, nil
}

// Step finds which 30 seconds a code belongs to: those of now, or one before or after, as phones' clocks differ. 0 when to none.
// The caller takes a step once and none before it: the code alone can be used again as long as it is shown.
func (t TOTP) Step(code string, now time.Time) (step int64, err error) {
	this := now.Unix() / totpStep
	for _, candidate := range []int64{this, this - 1, this + 1} {
		right, err := t.at(candidate)
		if err != nil {
			return 0, err
		}
		if subtle.ConstantTimeCompare([]byte(right), []byte(code)) == 1 {
			step = candidate
		}
	}
	return step, nil
}

// IsTOTP says whether a text has the form of an app's code, as against a recovery code.
func IsTOTP(code string) bool {
	return len(code) == totpDigits && strings.Trim(code, "0123456789") == ""
}

const (
	recoveryCodes = 10
	recoveryBytes = 17 // 136 bits, in whole groups
)

// NewRecoveryCodes makes ten codes of 136 bits, in groups of four characters, with the hashes to store and their salt.
func NewRecoveryCodes() (codes []string, hashes [][]byte, salt []byte) {
	salt = random(16)
	for range recoveryCodes {
		text := base32Plain.EncodeToString(random(recoveryBytes))
		hashes = append(hashes, RecoveryHash(salt, text))
		var groups []string
		for group := range slices.Chunk([]byte(text), 4) {
			groups = append(groups, string(group))
		}
		codes = append(codes, strings.Join(groups, "-"))
	}
	return codes, hashes, salt
}

// RecoveryHash is the form in which a code is stored, however a person wrote it. So many random bits need no slow hash.
func RecoveryHash(salt []byte, code string) []byte {
	plain := strings.ToUpper(strings.Map(func(r rune) rune {
		if r == '-' || r == ' ' {
			return -1
		}
		return r
	}, code))
	sum := sha256.Sum256(append(append([]byte{}, salt...), plain...))
	return sum[:]
}

func random(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.Read(b) // never fails: the runtime ends the process instead
	return b
}
