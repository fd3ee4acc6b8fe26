package gmail

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"regexp"
	"strconv"
	"time"
)

const (
	keysAgain    = time.Minute    // a key that is not known is asked for at most so often
	keysKept     = time.Hour      // where the answer does not say how long it holds
	keysKeptMost = 24 * time.Hour // whatever it says
	keysLongest  = 1 << 20        // bytes of an answer; Google's have about 2,000
	shortestKey  = 2048           // bits
)

// keySet keeps the public keys by which Google signs (a JWK set). A key that is not among them makes it ask again, since Google changes keys at
// its will, but at most once in keysAgain: tokens of invented keys cost Google nothing.
type keySet struct {
	url  string
	http *http.Client
	now  func() time.Time

	turn  chan struct{} // guards what follows: one asks, the others wait for the answer
	keys  map[string]*rsa.PublicKey
	until time.Time // keys hold before that
	asked time.Time
	away  error // of the last asking
}

// key gives a key by its id. ErrIdentity when Google has no such key; Unavailable when Google does not answer.
func (k *keySet) key(ctx context.Context, id string) (*rsa.PublicKey, error) {
	select {
	case k.turn <- struct{}{}:
		defer func() { <-k.turn }()
	case <-ctx.Done():
		return nil, fmt.Errorf("wait for the keys: %w", ctx.Err())
	}
	now := k.now()
	fresh := now.Before(k.until)
	if key, known := k.keys[id]; known && fresh {
		return key, nil
	}
	if since := now.Sub(k.asked); !fresh || since < 0 || since >= keysAgain {
		err := k.fetch(ctx, now)
		if ctx.Err() != nil { // says nothing of Google to others
			return nil, fmt.Errorf("fetch the keys: %w", ctx.Err())
		}
		k.asked, k.away = now, err
	}
	if k.away != nil {
		return nil, k.away
	}
	if key, known := k.keys[id]; known {
		return key, nil
	}
	return nil, fmt.Errorf("%w: Google has no such key", ErrIdentity)
}

// SigningKey is the key of this id by which Google signs. ErrIdentity when Google has no such key; Unavailable when Google does not answer.
func (o *OAuth) SigningKey(ctx context.Context, id string) (*rsa.PublicKey, error) {
	o.prepare()
	return o.keys.key(ctx, id)
}

func (k *keySet) fetch(ctx context.Context, now time.Time) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return fmt.Errorf("the address of Google's keys is not a URL")
	}
	answer, err := k.http.Do(r)
	if err != nil {
		return fmt.Errorf("%w (%s)", unavailable(), scrub(err))
	}
	defer func() { _ = answer.Body.Close() }()
	var set struct{ Keys []jwk }
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("%w (status %d)", unavailable(), answer.StatusCode)
	}
	if err := json.NewDecoder(io.LimitReader(answer.Body, keysLongest)).Decode(&set); err != nil {
		return fmt.Errorf("%w (its keys cannot be read)", unavailable())
	}
	k.keys = map[string]*rsa.PublicKey{}
	for _, one := range set.Keys {
		if key := one.public(); key != nil {
			k.keys[one.ID] = key
		}
	}
	k.until = now.Add(heldFor(answer.Header.Get("Cache-Control")))
	return nil
}

var maxAge = regexp.MustCompile(`(?:^|[ ,])max-age=([0-9]{1,9})(?:$|[ ,])`)

// heldFor is how long an answer holds by its Cache-Control.
func heldFor(control string) time.Duration {
	found := maxAge.FindStringSubmatch(control)
	if found == nil {
		return keysKept
	}
	seconds, err := strconv.Atoi(found[1])
	if err != nil {
		return keysKept
	}
	return max(keysAgain, min(time.Duration(seconds)*time.Second, keysKeptMost))
}

// jwk is one key of a set (RFC 7517).
type jwk struct {
	ID   string `json:"kid"`
	Type string `json:"kty"`
	Alg  string `json:"alg"`
	Use  string `json:"use"`
	N    string `json:"n"`
	E    string `json:"e"`
}

// public is nil unless the key signs by RS256.
func (j jwk) public() *rsa.PublicKey {
	n, err1 := base64.RawURLEncoding.DecodeString(j.N)
	e, err2 := base64.RawURLEncoding.DecodeString(j.E)
	if err1 != nil || err2 != nil || j.ID == "" || j.Type != "RSA" || j.Alg != "" && j.Alg != "RS256" || j.Use != "" && j.Use != "sig" {
		return nil
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(n)}
	power := new(big.Int).SetBytes(e)
	if key.N.BitLen() < shortestKey || power.BitLen() > 31 || power.Int64() < 3 || power.Bit(0) == 0 {
		return nil
	}
	key.E = int(power.Int64())
	return key
}
