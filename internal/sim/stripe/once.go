package stripe

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// stored is the answer that an idempotency key has for 24 hours: whatever it was, once the request had begun to do something.
type stored struct {
	print  [32]byte
	status int
	body   json.RawMessage
	at     int64
}

// once answers a repeated POST as the first time; the same key with other parameters is an error of its own kind. The caller holds the lock.
func (s *Sim) once(c call, do func() (int, any)) (int, any) {
	key := c.Header.Get("Idempotency-Key")
	if c.Method != http.MethodPost || key == "" {
		return do()
	}
	var names []string
	for name, values := range c.params.values {
		names = append(names, name+"="+strings.Join(values, ","))
	}
	slices.Sort(names)
	print := sha256.Sum256([]byte(c.URL.Path + "?" + strings.Join(names, "&")))
	if was, known := s.answers[key]; known && s.now()-was.at < int64(24*time.Hour/time.Second) {
		if was.print != print {
			return http.StatusBadRequest, map[string]any{"error": &fail{Type: "idempotency_error", Message: fmt.Sprintf("Keys for idempotent requests can only be used with the same parameters they were first used with. Try using a key other than '%s' if you meant to execute a different request.", key)}}
		}
		return was.status, was.body
	}
	status, body := do()
	raw, err := json.Marshal(body)
	if err != nil {
		panic(err) // it is what the API answers with
	}
	if status != http.StatusBadRequest && status != http.StatusUnauthorized { // what was not even begun may be sent again, mended
		s.answers[key] = stored{print, status, raw, s.now()}
	}
	return status, json.RawMessage(raw)
}
