package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"sync"

	"github.com/labstack/echo/v4"

	"mailsweep/internal/account"
	"mailsweep/internal/cleanup"
	"mailsweep/internal/secret"
	"mailsweep/internal/sweep"
)

// once names a form as it is rendered: however often its button is pressed, the job is one.
func once() string {
	plain, _ := secret.NewToken()
	return plain
}

// pressed is a form's name as the key under which its first answer is kept.
func pressed(c echo.Context, route, body string) cleanup.Idempotency {
	return cleanup.Idempotency{Route: route, Key: c.FormValue("once"), Body: []byte(body)}
}

// pressedAs is pressed for a form that may be filled in anew after its answer was left by the back button: other content is another request.
func pressedAs(c echo.Context, route, body string) cleanup.Idempotency {
	i := pressed(c, route, body)
	if sum := sha256.Sum256(i.Body); i.Key != "" {
		i.Key += " " + hex.EncodeToString(sum[:16])
	}
	return i
}

// turns let one after another do what goes by one name.
type turns struct{ running sync.Map }

func (t *turns) take(name string) (leave func()) {
	for {
		done := make(chan struct{})
		other, busy := t.running.LoadOrStore(name, done)
		if !busy {
			return func() { t.running.Delete(name); close(done) }
		}
		<-other.(chan struct{})
	}
}

// single does what a form asks for once, however often its button is pressed, and fills in answer with the first one's. A press waits for the
// one before it.
func (p *Pages) single(c echo.Context, a sweep.Actor, route string, form url.Values, answer any, do func(context.Context) error) error {
	ctx, key := c.Request().Context(), form.Get("once")
	if key == "" {
		return do(ctx)
	}
	defer p.turns.take(a.Customer.String() + " " + route + " " + key)()
	request := p.Account.Once(a, account.Asked{Route: route, Key: key, What: form.Encode(), Status: http.StatusOK})
	if again, err := p.Account.Recall(ctx, request, answer); again || err != nil {
		return err
	}
	return do(request.In(ctx))
}
