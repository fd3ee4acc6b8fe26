package account_test

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
)

// forge makes a token of any header and claims with our own key, so that only what is said is wrong.
type forge struct {
	header, claims map[string]any
	key            ed25519.PrivateKey
}

func (f forge) token() string {
	return f.signedBy(func(text []byte) []byte { return ed25519.Sign(f.key, text) })
}

func (f forge) signedBy(sign func([]byte) []byte) string {
	h, _ := json.Marshal(f.header)
	c, _ := json.Marshal(f.claims)
	text := b64(h) + "." + b64(c)
	return text + "." + b64(sign([]byte(text)))
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

// mold is a good token's header and claims.
func mold(t *testing.T, good string) func(change func(*forge)) string {
	parts := strings.Split(good, ".")
	return func(change func(*forge)) string {
		f := forge{key: ed25519.NewKeyFromSeed(testKey.Seed)}
		for i, into := range []*map[string]any{&f.header, &f.claims} {
			raw, err := base64.RawURLEncoding.DecodeString(parts[i])
			require.NoError(t, err)
			require.NoError(t, json.Unmarshal(raw, into))
		}
		change(&f)
		return f.token()
	}
}

func TestTokensCarryIdsAndNothingAboutAnybody(t *testing.T) { // JWT-4, JWT-6
	t.Parallel()
	r := newRig(t)
	session, a := r.member(t, ada)
	raw, err := base64.RawURLEncoding.DecodeString(strings.Split(session.AccessToken, ".")[1])
	require.NoError(t, err)
	var claims map[string]any
	require.NoError(t, json.Unmarshal(raw, &claims))
	names := map[string]bool{}
	for name := range claims {
		names[name] = true
	}
	require.Equal(t, map[string]bool{"iss": true, "aud": true, "sub": true, "cid": true, "tv": true, "jti": true, "typ": true, "iat": true, "exp": true, "auth_time": true}, names)
	require.Equal(t, sweep.UserID.Show(a.User), claims["sub"])
	require.InDelta(t, 86400, claims["exp"].(float64)-claims["iat"].(float64), 0.1)
	require.NotContains(t, fmt.Sprintf("%+v %#v %s", session, session, session), session.AccessToken)
}

func TestForgedTokensAreRefused(t *testing.T) { // JWT-1
	t.Parallel()
	r := newRig(t)
	session, _ := r.member(t, ada)
	token := session.AccessToken
	with := mold(t, token)
	now := float64(time.Now().Unix())
	claim := func(name string, value any) string { return with(func(f *forge) { f.claims[name] = value }) }
	without := func(name string) string { return with(func(f *forge) { delete(f.claims, name) }) }
	header := func(name string, value any) string { return with(func(f *forge) { f.header[name] = value }) }
	fresh := account.Service{DB: r.DB, Signer: r.Signer, Pseudonym: r.Pseudonym}
	_, err := fresh.Authenticate(t.Context(), with(func(*forge) {}), r.client)
	require.NoError(t, err, "the mold itself must be good")

	attacker := ed25519.NewKeyFromSeed([]byte("an attacker's own seed, 32 bytes"))
	cut := strings.LastIndex(token, ".") + 1
	forged := map[string]string{
		"empty": "", "garbage": "garbage", "two parts": token[:cut-1], "four parts": token + ".x", "none": none(with, "none"), "None": none(with, "None"), "nOnE": none(with, "nOnE"),
		"HS256 with the public key": symmetric(with, "HS256", publicOf(testKey)), "HS256 empty secret": symmetric(with, "HS256", nil), "HS512": symmetric(with, "HS512", testKey.Seed),
		"HS384": symmetric(with, "HS384", testKey.Seed), "RS256": rs256(t, with), "alg only in name": header("alg", "ES256"),
		"kid empty": header("kid", ""), "kid unknown": header("kid", "k9"), "kid number": header("kid", 1), "kid path": header("kid", "../../k1"), "no kid": with(func(f *forge) { delete(f.header, "kid") }),
		"jku": header("jku", "https://evil.example/keys"), "x5u": header("x5u", "https://evil.example/cert"), "crit": header("crit", []string{"exp"}),
		"jwk": with(func(f *forge) {
			f.key = attacker
			f.header["jwk"] = map[string]string{"kty": "OKP", "crv": "Ed25519", "x": b64(attacker.Public().(ed25519.PublicKey))}
		}),
		"another key": with(func(f *forge) { f.key = attacker }),
		"no exp":      without("exp"), "no iat": without("iat"), "exp past": claim("exp", now-60), "exp string": claim("exp", "9999999999"), "exp 1e300": claim("exp", 1e300), "exp far": claim("exp", now+90*86400), "exp negative": claim("exp", -1),
		"nbf ahead": claim("nbf", now+300), "iat ahead": claim("iat", now+300), "iss": claim("iss", "https://evil.example"), "no iss": without("iss"),
		"aud": claim("aud", "other"), "no aud": without("aud"), "aud list": claim("aud", []string{"other", "mailsweep"}), "aud empty": claim("aud", []string{}),
		"typ refresh": claim("typ", "refresh"), "no typ": without("typ"), "header typ": header("typ", "secevent+jwt"), "no jti": without("jti"),
		"tv": claim("tv", 2), "tv string": claim("tv", "1"), "tv fraction": claim("tv", 1.5), "sub": claim("sub", "usr_00000000000000000000000000000000"), "sub prefix": claim("sub", "cus_"+strings.Repeat("0", 32)), "no cid": without("cid"),
		"cid other": claim("cid", "cus_"+strings.Repeat("1", 32)), "cid zero": claim("cid", "cus_"+strings.Repeat("0", 32)),
		"signature bit": token[:cut] + flip(token[cut:], 0), "signature end": token[:len(token)-1] + next(token[len(token)-1]), "signature cut": token[:len(token)-2], "no signature": token[:cut],
		"signature malleable": token[:cut] + plusOrder(t, token[cut:]),
		"padded":              token + "=", "padded twice": token + "==", "newline": token + "\n", "blank": " " + token, "1 MB header": strings.Repeat("A", 1<<20) + token, "1 MB": header("x", strings.Repeat("A", 1<<20)),
	}
	require.GreaterOrEqual(t, len(forged), 30)
	for name, f := range forged {
		_, err := fresh.Authenticate(t.Context(), f, r.client)
		require.Equal(t, sweep.Unauthenticated, code(err), name)
	}
}

func none(with func(func(*forge)) string, alg string) string {
	token := with(func(f *forge) { f.header["alg"] = alg })
	return token[:strings.LastIndex(token, ".")+1]
}

func publicOf(k account.Key) []byte {
	return ed25519.NewKeyFromSeed(k.Seed).Public().(ed25519.PublicKey)
}

func symmetric(with func(func(*forge)) string, alg string, key []byte) (token string) {
	with(func(f *forge) {
		f.header["alg"] = alg
		method := jwt.GetSigningMethod(alg).(*jwt.SigningMethodHMAC)
		token = f.signedBy(func(text []byte) []byte {
			mac := hmac.New(method.Hash.New, key)
			mac.Write(text)
			return mac.Sum(nil)
		})
	})
	return token
}

func rs256(t *testing.T, with func(func(*forge)) string) (token string) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	_ = x509.MarshalPKCS1PublicKey(&key.PublicKey)
	with(func(f *forge) {
		f.header["alg"] = "RS256"
		token = f.signedBy(func(text []byte) []byte {
			signed, err := jwt.SigningMethodRS256.Sign(string(text), key)
			require.NoError(t, err)
			return signed
		})
	})
	return token
}

func flip(s string, i int) string { return s[:i] + next(s[i]) + s[i+1:] }

// next is the following letter of base64url: at the end of a signature it differs in bits that a lax decoder ignores.
func next(b byte) string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return string(letters[(strings.IndexByte(letters, b)+1)%64])
}

// plusOrder adds the group's order to S, which a lax verifier takes for the same signature.
func plusOrder(t *testing.T, signature string) string {
	sig, err := base64.RawURLEncoding.DecodeString(signature)
	require.NoError(t, err)
	order := []byte{0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10}
	carry := 0
	for i, b := range order {
		sum := int(sig[32+i]) + int(b) + carry
		sig[32+i], carry = byte(sum), sum>>8
	}
	return b64(sig)
}

func TestKeysRotateWithoutSigningAnybodyOut(t *testing.T) { // JWT-3
	t.Parallel()
	r := newRig(t)
	session, _ := r.member(t, ada)
	other := sha256.Sum256([]byte("another key"))
	second := account.Key{ID: "k2", Seed: other[:]}
	both := account.Service{DB: r.DB, Signer: signer(t, second, testKey), Pseudonym: r.Pseudonym}
	_, err := both.Authenticate(t.Context(), session.AccessToken, r.client)
	require.NoError(t, err)
	alone := account.Service{DB: r.DB, Signer: signer(t, second), Pseudonym: r.Pseudonym}
	_, err = alone.Authenticate(t.Context(), session.AccessToken, r.client)
	require.Equal(t, sweep.Unauthenticated, code(err))
}

func TestBadSigningKeysAreRefusedAtTheStart(t *testing.T) { // JWT-2
	t.Parallel()
	seed := sha256.Sum256([]byte("seed"))
	k := account.Key{ID: "a", Seed: seed[:]}
	for name, keys := range map[string][]account.Key{
		"none": {}, "short": {{ID: "a", Seed: seed[:31]}}, "long": {{ID: "a", Seed: append(seed[:], 1)}}, "unnamed": {{Seed: seed[:]}},
		"zeros": {{ID: "a", Seed: make([]byte, 32)}}, "constant": {{ID: "a", Seed: []byte(strings.Repeat("ab", 16))}},
		"equal": {k, {ID: "b", Seed: seed[:]}}, "same name": {k, {ID: "a", Seed: testKey.Seed}},
	} {
		_, err := account.NewSigner("iss", "aud", keys...)
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), string(seed[:]), name)
	}
	_, err := account.NewSigner("", "aud", k)
	require.Error(t, err)
	_, err = account.NewSigner("iss", "", k)
	require.Error(t, err)
	require.NotContains(t, fmt.Sprintf("%v %+v %#v", k, k, k), "seed")
}
