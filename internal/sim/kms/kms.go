// Package kms stands in for Google Cloud KMS over real HTTP: keys that encrypt and decrypt and never leave, with the checksums that Google
// compares and sends.
package kms

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"hash/crc32"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// Sim is the service. Each name of a key has a key.
type Sim struct {
	secret [32]byte

	mu     sync.Mutex
	calls  map[string]int
	status int
	garble bool
}

// New makes a service with keys of its own.
func New() *Sim {
	s := &Sim{calls: map[string]int{}}
	rand.Read(s.secret[:])
	return s
}

// Calls is how often a verb (encrypt, decrypt) was asked for.
func (s *Sim) Calls(verb string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[verb]
}

// Refuse answers everything with a status until it is 0.
func (s *Sim) Refuse(status int) { s.mu.Lock(); s.status = status; s.mu.Unlock() }

// Garble changes a byte of every answer on its way, behind the checksum.
func (s *Sim) Garble(on bool) { s.mu.Lock(); s.garble = on; s.mu.Unlock() }

// body is what both verbs take.
type body struct {
	Plaintext                         []byte `json:"plaintext"`
	Ciphertext                        []byte `json:"ciphertext"`
	AdditionalAuthenticatedData       []byte `json:"additionalAuthenticatedData"`
	PlaintextCrc32c                   string `json:"plaintextCrc32c"`
	CiphertextCrc32c                  string `json:"ciphertextCrc32c"`
	AdditionalAuthenticatedDataCrc32c string `json:"additionalAuthenticatedDataCrc32c"`
}

// ServeHTTP answers POST /v1/projects/P/locations/L/keyRings/R/cryptoKeys/K:encrypt and :decrypt.
func (s *Sim) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, verb, ok := strings.Cut(strings.TrimPrefix(r.URL.Path, "/v1/"), ":")
	status, garble := s.seen(verb)
	var in body
	switch {
	case !ok || r.Method != http.MethodPost || strings.Count(name, "/") != 7:
		refuse(w, http.StatusNotFound, "no such method")
	case status != 0:
		refuse(w, status, "as it was told")
	case json.NewDecoder(r.Body).Decode(&in) != nil:
		refuse(w, http.StatusBadRequest, "no JSON")
	case verb == "encrypt":
		s.encrypt(w, name, in, garble)
	case verb == "decrypt":
		s.decrypt(w, name, in, garble)
	default:
		refuse(w, http.StatusNotFound, "no such method")
	}
}

func (s *Sim) seen(verb string) (status int, garble bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.calls[verb]++
	return s.status, s.garble
}

func (s *Sim) encrypt(w http.ResponseWriter, name string, in body, garble bool) {
	if in.PlaintextCrc32c != checksum(in.Plaintext) || in.AdditionalAuthenticatedDataCrc32c != checksum(in.AdditionalAuthenticatedData) {
		refuse(w, http.StatusBadRequest, "a checksum differs")
		return
	}
	nonce := make([]byte, 12)
	rand.Read(nonce)
	sealed := s.key(name).Seal(nonce, nonce, in.Plaintext, in.AdditionalAuthenticatedData)
	answer(w, map[string]any{"name": name + "/cryptoKeyVersions/1", "ciphertext": changed(sealed, garble), "ciphertextCrc32c": checksum(sealed),
		"verifiedPlaintextCrc32c": true, "verifiedAdditionalAuthenticatedDataCrc32c": true})
}

func (s *Sim) decrypt(w http.ResponseWriter, name string, in body, garble bool) {
	if in.CiphertextCrc32c != checksum(in.Ciphertext) || in.AdditionalAuthenticatedDataCrc32c != checksum(in.AdditionalAuthenticatedData) {
		refuse(w, http.StatusBadRequest, "a checksum differs")
		return
	}
	plain, err := []byte(nil), errors.New("too short")
	if len(in.Ciphertext) > 12 {
		plain, err = s.key(name).Open(nil, in.Ciphertext[:12], in.Ciphertext[12:], in.AdditionalAuthenticatedData)
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, "Decryption failed: the ciphertext is invalid.")
		return
	}
	answer(w, map[string]any{"plaintext": changed(plain, garble), "plaintextCrc32c": checksum(plain), "usedPrimary": true})
}

func (s *Sim) key(name string) cipher.AEAD {
	sum := sha256.Sum256(append([]byte(name), s.secret[:]...))
	block, err := aes.NewCipher(sum[:])
	if err != nil {
		panic(err) // 32 bytes always do
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		panic(err)
	}
	return gcm
}

func changed(b []byte, garble bool) string {
	if garble && len(b) > 0 {
		b = append([]byte{b[0] ^ 1}, b[1:]...)
	}
	return base64.StdEncoding.EncodeToString(b)
}

// checksum is a 64-bit number as text: so Google writes them in JSON.
func checksum(b []byte) string {
	return strconv.FormatInt(int64(crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli))), 10)
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	if err := json.NewEncoder(w).Encode(v); err != nil {
		panic(http.ErrAbortHandler) // the caller is gone
	}
}

func refuse(w http.ResponseWriter, status int, why string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	answer(w, map[string]any{"error": map[string]any{"code": status, "message": why}})
}
