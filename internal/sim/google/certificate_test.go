package google_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"golang.org/x/oauth2"
	"google.golang.org/api/gmail/v1"
	"google.golang.org/api/option"

	"mailsweep/internal/sim/google"
)

// protos notes which HTTP the answers came in.
type protos struct {
	next http.RoundTripper
	mu   sync.Mutex
	seen map[string]int
}

func (p *protos) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := p.next.RoundTrip(r)
	if err == nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.seen[answer.Proto]++
	}
	return answer, err
}

func TestGooglesClientSpeaksHTTP2OverTLSAndABrokenCallBreaksNoOther(t *testing.T) {
	t.Parallel()
	r := newRig(t, google.Config{}, 40)
	cert, trust, err := google.Certificate()
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(r.sim)
	server.EnableHTTP2, server.TLS = true, &tls.Config{Certificates: []tls.Certificate{cert}}
	server.StartTLS()
	t.Cleanup(server.Close)
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(trust)
	over := &protos{next: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: pool}}, seen: map[string]int{}}
	tokens, err := r.sim.Grant(me)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.WithValue(r.ctx, oauth2.HTTPClient, &http.Client{Transport: over})
	svc, err := gmail.NewService(ctx, option.WithHTTPClient(oauth2.NewClient(ctx, oauth2.StaticTokenSource(&oauth2.Token{AccessToken: tokens.Access}))), option.WithEndpoint(server.URL))
	if err != nil {
		t.Fatal(err)
	}
	r.sim.Inject(google.Fault{Method: "getProfile", ResetAfterEffect: true, Times: 1})
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if list, err := svc.Users.Messages.List("me").Do(); err != nil || len(list.Messages) == 0 {
				t.Error(list, err)
			}
		})
	}
	if _, err := svc.Users.GetProfile("me").Do(); err == nil {
		t.Error("it was broken off")
	}
	all.Wait()
	if over.seen["HTTP/2.0"] != 4 || len(over.seen) != 1 {
		t.Error(over.seen)
	}
}
