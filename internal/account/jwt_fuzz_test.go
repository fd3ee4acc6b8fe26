package account

import (
	"encoding/base64"
	"strings"
	"testing"
)

// FuzzAccessToken holds JWT-1: of all texts only those that we signed sign anybody in, letter by letter.
func FuzzAccessToken(f *testing.F) {
	signer, err := NewSigner("https://issuer.example", "mailsweep", Key{ID: "k1", Seed: []byte("a seed for the fuzzer, 32 bytes.")})
	if err != nil {
		f.Fatal(err)
	}
	who := claimed{Version: 1}
	who.Customer[0], who.User[0] = 1, 2
	ours, err := signer.sign(who)
	if err != nil {
		f.Fatal(err)
	}
	if _, err := signer.verify(ours); err != nil {
		f.Fatal(err)
	}
	device, err := signer.signAs("device", tokenLife, who)
	if err != nil {
		f.Fatal(err)
	}
	for _, s := range []string{ours, device, ours + "=", ours + ".", ours[:len(ours)-1], "..", "e30.e30.", "eyJhbGciOiJub25lIn0.e30."} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if !plausible(string(text)) {
			return
		}
		got, err := signer.verify(string(text))
		if err != nil {
			return
		}
		// the fuzzer's processes have a token each, under the one key: whoever comes in is who was signed, by a text that has one spelling
		if got.Customer != who.Customer || got.User != who.User || got.Version != who.Version {
			t.Fatalf("%q signs %+v in", text, got)
		}
		for _, part := range strings.Split(string(text), ".") {
			if raw, err := base64.RawURLEncoding.Strict().DecodeString(part); err != nil || base64.RawURLEncoding.EncodeToString(raw) != part {
				t.Fatalf("%q has another spelling", text)
			}
		}
	})
}
