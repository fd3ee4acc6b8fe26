package google

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// watched is the watch on a mailbox: who is told of changes, and what has been told.
type watched struct {
	mu      sync.Mutex
	topic   string
	until   time.Time
	telling bool // somebody is at it
	news    bool // something has changed that was not told
}

// subscription is where Pub/Sub pushes what a topic gets.
type subscription struct{ url, audience string }

// pushes are the subscriptions, by topic.
type pushes struct {
	mu      sync.Mutex
	byTopic map[string]subscription
	made    int // messages
}

// Subscribe has what a topic gets pushed to a URL from now on, as Pub/Sub does: with a token that Google signs for the audience, which is
// the URL where it is "". An empty URL ends it.
func (s *Sim) Subscribe(topic, url, audience string) error {
	if topic == "" {
		return errors.New("subscribe: a topic is needed")
	}
	if audience == "" {
		audience = url
	}
	s.push.mu.Lock()
	defer s.push.mu.Unlock()
	if s.push.byTopic == nil {
		s.push.byTopic = map[string]subscription{}
	}
	s.push.byTopic[topic] = subscription{url, audience}
	return nil
}

type watchAnswer struct {
	HistoryID  string `json:"historyId"`
	Expiration string `json:"expiration"`
}

// watchLasts is how long a watch does unless it is asked for again.
const watchLasts = 7 * 24 * time.Hour

// watch says that changes will be told for seven days: whatever changes, the labels of the request are not looked at.
func watch(c *call) (any, error) {
	var in struct {
		Topic string `json:"topicName"`
	}
	if err := c.decode(&in); err != nil {
		return nil, err
	}
	if in.Topic == "" {
		return nil, invalid("topicName required")
	}
	until := c.sim.cfg.Now().Add(watchLasts)
	c.box.watched.set(in.Topic, until)
	c.sim.changed(c.box) // Gmail tells at once where the mailbox is
	return watchAnswer{HistoryID: formatHistory(c.box.box.HistoryID()), Expiration: strconv.FormatInt(until.UnixMilli(), 10)}, nil
}

func stopWatch(c *call) (any, error) {
	c.box.watched.set("", time.Time{})
	return nil, nil
}

func (w *watched) set(topic string, until time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.topic, w.until = topic, until
}

// changed lets the watch on a mailbox, if there is one, hear that it has changed. It may be called under the mailbox's lock.
func (s *Sim) changed(m *Mailbox) {
	w := &m.watched
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.topic == "" || !s.cfg.Now().Before(w.until) {
		return
	}
	if w.news = true; !w.telling {
		w.telling = true
		go s.tellNews(m)
	}
}

// Gmail sends at most one notification a second and user; Pub/Sub tries again what nobody acknowledged.
const (
	pushEvery = time.Second
	pushTries = 20
)

// tellNews pushes until nothing is new: many changes are one notification.
func (s *Sim) tellNews(m *Mailbox) {
	for failed := 0; ; {
		topic, more := m.watched.next()
		if !more {
			return
		}
		if err := s.pushTo(topic, m); err == nil || failed >= pushTries {
			failed = 0
		} else {
			failed++
			m.watched.again()
		}
		time.Sleep(s.scaled(pushEvery))
	}
}

// next is the topic to be told, while something is new.
func (w *watched) next() (topic string, more bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	more = w.news && w.topic != ""
	w.news, w.telling = false, more
	return w.topic, more
}

// again has the same told once more.
func (w *watched) again() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.news = true
}

// pushTo sends one notification to where the topic's subscription says; nil says that it was taken, or that nobody wants it.
func (s *Sim) pushTo(topic string, m *Mailbox) error {
	s.push.mu.Lock()
	to := s.push.byTopic[topic]
	s.push.made++
	number := s.push.made
	s.push.mu.Unlock()
	if to.url == "" {
		return nil
	}
	now := s.cfg.Now()
	data, err := json.Marshal(map[string]any{"emailAddress": m.Email, "historyId": m.box.HistoryID()})
	if err != nil {
		return fmt.Errorf("write a notification: %w", err)
	}
	body, err := json.Marshal(map[string]any{"subscription": topic + "-push", "message": map[string]string{
		"data": base64.StdEncoding.EncodeToString(data), "messageId": strconv.Itoa(number), "publishTime": now.UTC().Format(time.RFC3339Nano)}})
	if err != nil {
		return fmt.Errorf("write a notification: %w", err)
	}
	const account = "gmail-push@sim.iam.gserviceaccount.com"
	token, err := s.auth.key.Sign(map[string]any{"iss": s.cfg.Issuer, "aud": to.audience, "azp": subject(account), "sub": subject(account),
		"email": account, "email_verified": true, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix()})
	if err != nil {
		return err
	}
	_, err = post(to.url, body, http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + token}})
	return err
}

// post sends a body; an error says that it was not taken. The status is 0 where no answer came.
func post(url string, body []byte, header http.Header) (status int, err error) {
	r, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("post to %s: %w", url, err)
	}
	r.Header = header
	client := http.Client{Timeout: 10 * time.Second}
	answer, err := client.Do(r)
	if err != nil {
		return 0, fmt.Errorf("post to %s: %w", url, err)
	}
	_ = answer.Body.Close() // nothing in it is of use
	if answer.StatusCode/100 != 2 {
		return answer.StatusCode, fmt.Errorf("post to %s: answered %s", url, answer.Status)
	}
	return answer.StatusCode, nil
}
