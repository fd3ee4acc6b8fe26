package google_test

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/api/gmail/v1"
	"google.golang.org/api/idtoken"
	"google.golang.org/api/option"
	"google.golang.org/api/pubsub/v1"

	"mailsweep/internal/sim/google"
)

// certsAt sends requests for Google's keys to the Sim.
type certsAt struct{ host string }

func (c certsAt) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.URL.Scheme, r.URL.Host, r.URL.Path = "http", c.host, "/oauth2/v3/certs"
	return http.DefaultTransport.RoundTrip(r)
}

// pushed is what Pub/Sub posts.
type pushed struct {
	header http.Header
	body   []byte
}

// receiver takes what is posted, but for the first few, which it refuses.
func receiver(t *testing.T, refuse int32, status int) (at string, got chan pushed) {
	got = make(chan pushed, 100)
	var n atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if n.Add(1) <= refuse {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(status)
		got <- pushed{r.Header, b}
	}))
	t.Cleanup(s.Close)
	return s.URL, got
}

func within(t *testing.T, got chan pushed) pushed {
	t.Helper()
	select {
	case p := <-got:
		return p
	case <-time.After(10 * time.Second):
		t.Fatal("nothing is told")
		return pushed{}
	}
}

func TestAWatchTellsChangesSignedUntilItIsStopped(t *testing.T) {
	t.Parallel()
	r := newRig(t, google.Config{TimeScale: 200}, 50)
	const topic = "projects/p/topics/t"
	at, got := receiver(t, 2, http.StatusNoContent)
	if err := r.sim.Subscribe(topic, at, "https://our.example/push"); err != nil {
		t.Fatal(err)
	}
	watched, err := r.svc.Users.Watch("me", &gmail.WatchRequest{TopicName: topic}).Do()
	if err != nil || time.Until(time.UnixMilli(watched.Expiration)) < 6*24*time.Hour {
		t.Fatal(watched, err)
	}
	within(t, got)
	if _, err := r.sim.Deliver(me, google.Incoming{From: "a@b.example"}, google.Incoming{From: "c@b.example"}); err != nil {
		t.Fatal(err)
	}
	profile, err := r.svc.Users.GetProfile("me").Do()
	if err != nil {
		t.Fatal(err)
	}
	for last := uint64(0); last < profile.HistoryId; {
		p := within(t, got)
		checkSignature(t, r.url, strings.TrimPrefix(p.header.Get("Authorization"), "Bearer "), "https://our.example/push")
		var body struct {
			Message      pubsub.PubsubMessage
			Subscription string
		}
		var told struct {
			EmailAddress string
			HistoryID    uint64
		}
		if err := json.Unmarshal(p.body, &body); err != nil {
			t.Fatal(err)
		}
		data, err := base64.StdEncoding.DecodeString(body.Message.Data)
		if err != nil || json.Unmarshal(data, &told) != nil || told.EmailAddress != me || body.Subscription == "" || told.HistoryID < last {
			t.Fatal(string(p.body), err)
		}
		last = told.HistoryID
	}
	if err := r.svc.Users.Stop("me").Do(); err != nil {
		t.Fatal(err)
	}
	if _, err := r.sim.Deliver(me, google.Incoming{From: "a@b.example"}); err != nil {
		t.Fatal(err)
	}
	select {
	case p := <-got:
		t.Error("told after the watch was stopped:", string(p.body))
	case <-time.After(100 * time.Millisecond):
	}
}

// checkSignature is what a receiver does, by Google's own library.
func checkSignature(t *testing.T, sim, token, audience string) {
	t.Helper()
	u, err := url.Parse(sim)
	if err != nil {
		t.Fatal(err)
	}
	v, err := idtoken.NewValidator(t.Context(), option.WithHTTPClient(&http.Client{Transport: certsAt{u.Host}}))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Validate(t.Context(), token, audience); err != nil {
		t.Error(err)
	}
	if _, err := v.Validate(t.Context(), token, "https://other.example"); err == nil {
		t.Error("it is for one audience")
	}
}

func TestSecurityEventsAreToldSigned(t *testing.T) {
	t.Parallel()
	r := newRig(t, google.Config{ClientID: "cid"}, 5)
	var doc struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	r.getJSON(t, "/.well-known/risc-configuration", &doc)
	if doc.Issuer != "https://accounts.google.com/" || doc.JWKSURI != r.url+"/oauth2/v3/certs" {
		t.Error(doc)
	}
	at, got := receiver(t, 0, http.StatusAccepted)
	box, err := r.sim.Mailbox(me)
	if err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for _, event := range google.SecurityEvents() {
		if status, err := r.sim.TellSecurityEvent(me, event, "hijacking", at); err != nil || status != http.StatusAccepted {
			t.Fatal(event, status, err)
		}
		p := within(t, got)
		claims := r.verify(t, string(p.body))
		events, _ := claims["events"].(map[string]any)
		id, _ := claims["jti"].(string)
		if p.header.Get("Content-Type") != "application/secevent+jwt" || claims["iss"] != doc.Issuer || claims["aud"] != "cid" || len(events) != 1 || id == "" || seen[id] {
			t.Errorf("%s: %v %v", event, p.header, claims)
		}
		seen[id] = true
		for name, what := range events {
			subject, _ := what.(map[string]any)["subject"].(map[string]any)
			if !strings.HasSuffix(name, "/event-type/"+event) || event != "verification" && (subject["sub"] != box.Sub || subject["subject_type"] != "iss-sub") {
				t.Errorf("%s: %s %v", event, name, what)
			}
		}
	}
	_, err = r.svc.Users.GetProfile("me").Do()
	wantError(t, err, 401, "authError")
	if _, err := r.sim.TellSecurityEvent(me, "nonsense", "", at); err == nil {
		t.Error("an unknown event is refused")
	}
	if _, err := r.sim.TellSecurityEvent("nobody@example.org", "tokens-revoked", "", at); err == nil {
		t.Error("an unknown mailbox is refused")
	}
	refusing, _ := receiver(t, 100, http.StatusAccepted)
	if status, err := r.sim.TellSecurityEvent(me, "tokens-revoked", "", refusing); err == nil || status != http.StatusServiceUnavailable {
		t.Error("a receiver that does not take it is told:", status, err)
	}
}
