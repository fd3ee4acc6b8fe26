package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humaecho"

	"mailsweep/internal/sweep"
)

// Limits of a request body.
const (
	maxBody  = 64 << 10 // bytes
	maxDepth = 32       // of nesting: what the deepest criteria need
)

// checkBody reads the body once, refuses what is not strict JSON of media type application/json, and hands it on with the
// request's key. Operations without a body take none, or an empty object.
func (s *server) checkBody(ctx huma.Context, next func(huma.Context)) {
	c := humaecho.Unwrap(ctx)
	body, err := readBody(c.Request())
	if err == nil && len(body) > 0 {
		err = checkMedia(c.Request().Header.Values("Content-Type"))
	}
	if err == nil && len(body) > 0 {
		err = checkJSON(body)
	}
	if err == nil && ctx.Operation().RequestBody == nil && len(body) > 0 && !isEmptyObject(body) {
		err = sweep.Errorf(sweep.Invalid, "this operation takes no body").At("body", "must be empty")
	}
	var a asked
	if err == nil {
		a, err = askedFor(c, ctx.Operation(), body)
	}
	if err != nil {
		s.refuse(c, err)
		return
	}
	c.Request().Body = io.NopCloser(bytes.NewReader(body))
	c.SetRequest(c.Request().WithContext(withAsked(c.Request().Context(), a)))
	next(ctx)
}

func readBody(r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(r.Body)
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, sweep.Errorf(sweep.TooLarge, "a request body has at most %d KiB", large.Limit>>10)
	case err != nil:
		return nil, sweep.Errorf(sweep.BadRequest, "the request body could not be read to its end")
	}
	return body, nil
}

// checkMedia accepts one Content-Type: JSON, in UTF-8 if it says anything about that.
func checkMedia(values []string) error {
	if len(values) == 1 {
		media, params, err := mime.ParseMediaType(values[0])
		charset := strings.ToLower(params["charset"])
		if err == nil && media == "application/json" && (charset == "" || charset == "utf-8") {
			return nil
		}
	}
	return sweep.Errorf(sweep.UnsupportedMediaType, "the body must be JSON: send Content-Type: application/json")
}

func isEmptyObject(body []byte) bool {
	var object map[string]json.RawMessage
	return json.Unmarshal(body, &object) == nil && object != nil && len(object) == 0
}

// checkJSON refuses what encoding/json lets through: keys that appear twice, a second value behind the first, deep nesting, NUL and
// text that is not Unicode. Two readers of such a body could understand two different requests.
func checkJSON(body []byte) error {
	if !utf8.Valid(body) {
		return sweep.Errorf(sweep.BadRequest, "the body is not valid UTF-8")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.UseNumber()
	w := walker{replaced: bytes.ContainsRune(body, utf8.RuneError)}
	for {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) && w.done && len(w.open) == 0 {
			return nil
		}
		if err != nil {
			return sweep.Errorf(sweep.BadRequest, "the body is not valid JSON")
		}
		if problem := w.take(token); problem != "" {
			return sweep.Errorf(sweep.BadRequest, "%s", problem)
		}
	}
}

// walker follows a JSON text token by token.
type walker struct {
	open     []level
	done     bool // the one value is complete, or has begun
	replaced bool // the text itself holds U+FFFD
}

// level is an object or array that is open. In an object a key comes next, or its value.
type level struct {
	keys    map[string]bool // nil: an array
	wantKey bool
}

func (w *walker) take(t json.Token) (problem string) {
	if delim, ok := t.(json.Delim); ok && (delim == '}' || delim == ']') {
		w.open = w.open[:len(w.open)-1]
		return ""
	}
	if len(w.open) == 0 && w.done {
		return "there is more behind the end of the JSON value"
	}
	w.done = true
	if text, ok := t.(string); ok && (strings.ContainsRune(text, 0) || !w.replaced && strings.ContainsRune(text, utf8.RuneError)) {
		return "a text holds NUL or is not valid Unicode"
	}
	if top := w.top(); top != nil && top.keys != nil {
		if top.wantKey {
			return top.key(t.(string))
		}
		top.wantKey = true
	}
	return w.descend(t)
}

func (l *level) key(name string) (problem string) {
	if l.keys[name] {
		return "a key appears twice in one object"
	}
	l.keys[name], l.wantKey = true, false
	return ""
}

func (w *walker) descend(t json.Token) (problem string) {
	switch t {
	case json.Delim('{'):
		w.open = append(w.open, level{keys: map[string]bool{}, wantKey: true})
	case json.Delim('['):
		w.open = append(w.open, level{})
	}
	if len(w.open) > maxDepth {
		return "the body is nested too deeply"
	}
	return ""
}

func (w *walker) top() *level {
	if len(w.open) == 0 {
		return nil
	}
	return &w.open[len(w.open)-1]
}
