package httpapi

import (
	"context"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/labstack/echo/v4"

	"mailsweep/internal/account"
	"mailsweep/internal/cleanup"
	"mailsweep/internal/sweep"
)

const (
	onceHeader     = "Idempotency-Key"
	replayedHeader = "Idempotent-Replayed"
	longestKey     = 255
)

// keyed says whether an operation takes an Idempotency-Key: every POST of somebody who is signed in.
func (o operation) keyed() bool { return o.method == http.MethodPost && !o.open }

// asked is what a request is told from others by, and the headers of its answer.
type asked struct {
	key, path string
	body      []byte
	answer    http.Header
}

func askedOf(ctx context.Context) asked {
	a, _ := ctx.Value(askedKey).(asked)
	return a
}

// again says in the answer that it is the first one once more.
func (a asked) again() { a.answer.Set(replayedHeader, "true") }

// askedFor reads the key of a request, if its operation takes one.
func askedFor(c echo.Context, op *huma.Operation, body []byte) (asked, error) {
	a := asked{path: c.Request().URL.Path, body: body, answer: c.Response().Header()}
	values := c.Request().Header.Values(onceHeader)
	if op.Metadata[keyed] != true || len(values) == 0 {
		return a, nil
	}
	a.key = values[0]
	if len(values) > 1 || !utf8.ValidString(a.key) || utf8.RuneCountInString(a.key) > longestKey || strings.ContainsFunc(a.key, unicode.IsControl) {
		return a, sweep.Errorf(sweep.Invalid, "the Idempotency-Key is not valid").At("header."+onceHeader, "must be one text of at most 255 characters")
	}
	return a, nil
}

// admission names a request for a job: the statement that admits the job keeps the answer. id is that of the path.
func admission(ctx context.Context, route, id string) cleanup.Idempotency {
	a := askedOf(ctx)
	return cleanup.Idempotency{Route: route, Key: a.key, Body: append([]byte(id+"\n"), a.body...)}
}

type handler[I, O any] func(context.Context, *I) (*O, error)

// once gives a repeated request the first answer again, for 24 hours. A use case commits the answer with its effect (store.Tx.Once); of an operation
// that only reads it is kept afterwards.
func once[I, O any](s *server, o operation, handle handler[I, O]) handler[I, O] {
	return func(ctx context.Context, in *I) (*O, error) {
		a := askedOf(ctx)
		if a.key == "" || o.admits {
			return handle(ctx, in)
		}
		leave, alone := s.flights.enter(actorOf(ctx).Customer.String() + "|" + o.name + "|" + a.key)
		if !alone {
			return nil, sweep.Errorf(sweep.IdempotencyInFlight, "the first request with this Idempotency-Key is still running")
		}
		defer leave()
		request := s.Account.Once(actorOf(ctx), account.Asked{Route: o.name, Key: a.key, What: a.path + "\n" + string(a.body), Status: o.status})
		first := new(O)
		if again, err := s.Account.Recall(ctx, request, bodyOf(first)); again || err != nil {
			return answered(a, first, again, err)
		}
		out, err := handle(request.In(ctx), in)
		switch {
		case err != nil: // what an attempt elsewhere has done can be in the way of this one
			if again, recalled := s.Account.Recall(ctx, request, bodyOf(first)); again || recalled != nil {
				return answered(a, first, again, recalled)
			}
			return nil, err
		case !request.Kept():
			if !o.reads {
				s.Log.ErrorContext(ctx, "an effect was committed without its answer", "operation", o.name)
			}
			if err := s.Account.Keep(ctx, request, bodyOf(out)); err != nil {
				return nil, err
			}
		}
		return answered(a, out, request.Again(), nil)
	}
}

// answered gives out, marked where it is the first answer once more.
func answered[O any](a asked, out *O, again bool, err error) (*O, error) {
	if again && err == nil {
		a.again()
	}
	return out, err
}

// bodyOf is the member Body of an output, to be filled in or read; nil when it has none.
func bodyOf(out any) any {
	if f := reflect.ValueOf(out).Elem().FieldByName("Body"); f.IsValid() {
		return f.Addr().Interface()
	}
	return nil
}

// finisher is an output to which the edge adds something: to a first answer and to a repeated one alike.
type finisher interface{ finish(*server) }

// flights are the requests with a key that this process is at work on.
type flights struct{ running sync.Map }

func (f *flights) enter(name string) (leave func(), alone bool) {
	_, busy := f.running.LoadOrStore(name, true)
	return func() { f.running.Delete(name) }, !busy
}

// describeKey documents the header of a keyed operation, and that of its answers.
func describeKey(op *huma.Operation, status int) {
	length := longestKey
	op.Parameters = append(op.Parameters, &huma.Param{Name: onceHeader, In: "header", Schema: &huma.Schema{Type: huma.TypeString, MaxLength: &length},
		Description: "Any text of your own, once per intent. A replay within 24 hours gives the first answer; the same key with another body is a 422. Secrets in an answer are shown for 10 minutes."})
	op.Responses = map[string]*huma.Response{strconv.Itoa(status): {Description: http.StatusText(status), Headers: map[string]*huma.Param{replayedHeader: {
		Schema: &huma.Schema{Type: huma.TypeString}, Description: "true: the first answer to this Idempotency-Key, again"}}}}
}
