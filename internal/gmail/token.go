package gmail

import (
	"context"
	"net/http"
	"sync"
	"time"

	"golang.org/x/oauth2"
)

// tokens makes access tokens from one refresh token and keeps the newest in memory, nowhere else.
type tokens struct {
	config  *oauth2.Config
	http    *http.Client
	refresh string

	mu      sync.Mutex
	current *oauth2.Token
}

// access gives a valid access token. Callers wait for one refresh instead of each making their own.
func (t *tokens) access(ctx context.Context) (string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current.Valid() {
		return t.current.AccessToken, nil
	}
	ctx, stop := context.WithTimeout(context.WithValue(ctx, oauth2.HTTPClient, t.http), tokenTimeout)
	defer stop()
	fresh, err := t.config.TokenSource(ctx, &oauth2.Token{RefreshToken: t.refresh}).Token()
	if err != nil {
		return "", err
	}
	t.current = fresh
	return fresh.AccessToken, nil
}

// drop forgets an access token that Google refused, unless another call has replaced it already.
func (t *tokens) drop(access string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.current != nil && t.current.AccessToken == access {
		t.current = nil
	}
}

// tokenTimeout bounds one call to the token endpoint.
const tokenTimeout = 30 * time.Second
