package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"log/slog"
	"net"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/labstack/echo/v4"
	"github.com/stretchr/testify/require"

	"mailsweep/internal/sweep"
	"mailsweep/internal/telemetry"
)

func quiet(out *strings.Builder) *server {
	return &server{API: API{PublicURL: "https://api.example", Log: slog.New(slog.NewTextHandler(out, nil))}}
}

// codesOf reads the constants of type Code, so that a new one cannot be forgotten here.
func codesOf(t *testing.T) (codes []sweep.Code) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../sweep/error.go", nil, 0)
	require.NoError(t, err)
	ast.Inspect(file, func(n ast.Node) bool {
		if spec, ok := n.(*ast.ValueSpec); ok && fmt.Sprint(spec.Type) == "Code" {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			require.NoError(t, err)
			codes = append(codes, sweep.Code(text))
		}
		return true
	})
	require.Greater(t, len(codes), 20)
	return codes
}

func TestEveryCodeHasAStatusATitleAndAdvice(t *testing.T) {
	t.Parallel()
	for _, code := range codesOf(t) {
		k, ok := kinds()[code]
		require.True(t, ok, code)
		require.GreaterOrEqual(t, k.status, 400, code)
		require.NotEmpty(t, k.title, code)
		require.NotEmpty(t, k.advice, code)
	}
	for code, status := range map[sweep.Code]int{sweep.BadRequest: 400, sweep.Invalid: 422, sweep.QuotaExceeded: 402, sweep.PlanExpired: 410, sweep.AlreadyExecuted: 409, sweep.Halted: 503} {
		require.Equal(t, status, kinds()[code].status, code)
	}
}

func TestProblemMergesWhatBelongsToTheCode(t *testing.T) {
	t.Parallel()
	ctx := telemetry.WithRequestID(t.Context(), "req-7")
	quota := sweep.QuotaView{Limit: 500, Used: 490, Remaining: 10, PartialPossible: true}
	e := sweep.Errorf(sweep.QuotaExceeded, "too much").With("quota", quota).With("status", 200).With("detail", "forged")
	body, err := encode(quiet(&strings.Builder{}).problem(ctx, fmt.Errorf("submit: %w", e)))
	require.NoError(t, err)
	var p map[string]any
	require.NoError(t, json.Unmarshal(body, &p))
	require.EqualValues(t, 402, p["status"])
	require.Equal(t, "too much", p["detail"])
	require.Equal(t, "req-7", p["request_id"])
	require.EqualValues(t, 10, p["quota"].(map[string]any)["remaining"])
	require.Equal(t, 1, strings.Count(string(body), `"status"`))
}

func TestInternalErrorsAreLoggedOnceAndNeverShown(t *testing.T) {
	t.Parallel()
	for _, err := range []error{errors.New("pq: password of user x"), sweep.Errorf(sweep.Internal, "pq: password of user x"), sweep.Errorf("new_code", "pq: password of user x")} {
		var out strings.Builder
		p := quiet(&out).problem(t.Context(), err)
		require.Equal(t, 500, p.Status)
		body, _ := encode(p)
		require.NotContains(t, string(body), "pq:")
		require.Equal(t, "internal", p.Code)
		require.LessOrEqual(t, strings.Count(out.String(), "pq:"), 1)
	}
}

func TestWhatIsAwayIs503WithRetryAfter(t *testing.T) {
	t.Parallel()
	for _, err := range []error{&net.OpError{Op: "dial", Err: errors.New("refused by db.internal:5432")}, context.DeadlineExceeded, state("57P01"), state("53300")} {
		p := quiet(&strings.Builder{}).problem(t.Context(), fmt.Errorf("open: %w", err))
		require.Equal(t, 503, p.Status)
		require.Equal(t, "unavailable", p.Code)
		require.NotContains(t, p.Detail, "db.internal")
		require.NotEmpty(t, p.header.Get("Retry-After"))
	}
}

// state is an error of PostgreSQL.
type state string

func (s state) Error() string    { return "db.internal said " + string(s) }
func (s state) SQLState() string { return string(s) }

func TestAMistakeInSQLIsOurs(t *testing.T) {
	t.Parallel()
	require.Equal(t, 500, quiet(&strings.Builder{}).problem(t.Context(), state("42P01")).Status)
}

func TestRetryAfterGoesIntoTheHeaderOnly(t *testing.T) {
	t.Parallel()
	p := quiet(&strings.Builder{}).problem(t.Context(), sweep.Errorf(sweep.RateLimited, "slower").With("retry_after", 17))
	require.Equal(t, "17", p.header.Get("Retry-After"))
	require.Empty(t, p.Data)
}

func TestHumaTextsOf500AreWithheld(t *testing.T) {
	t.Parallel()
	setHooks()
	e := huma.NewErrorWithContext(nil, 500, "unexpected error occurred", errors.New("secret database error"))
	body, err := encode(e)
	require.NoError(t, err)
	require.NotContains(t, string(body), "secret")
	e = huma.NewErrorWithContext(nil, 422, "validation failed", &huma.ErrorDetail{Location: "body", Message: "json: cannot unmarshal string into Go struct field", Value: "hunter2"},
		&huma.ErrorDetail{Location: "body.email", Message: "expected string", Value: "hunter2"})
	body, err = encode(e)
	require.NoError(t, err)
	require.NotContains(t, string(body), "hunter2")
	require.NotContains(t, string(body), "Go struct")
	require.Contains(t, string(body), `{"location":"body.email","message":"expected string"}`)
}

// LOG-2: the text may quote what was worked on.
func TestAPanicIsA500WithItsTypeAndStackInTheLog(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	api := API{PublicURL: "https://api.example", Log: slog.New(slog.NewTextHandler(&out, nil))}
	e, _ := api.build()
	e.GET("/boom", func(echo.Context) error { panic("at the disco") })
	rec := httptest.NewRecorder()
	e.ServeHTTP(rec, httptest.NewRequest("GET", "/boom", nil))
	require.Equal(t, 500, rec.Code)
	require.Equal(t, problemType, rec.Header().Get("Content-Type"))
	require.NotContains(t, rec.Body.String(), "disco")
	require.Contains(t, rec.Body.String(), rec.Header().Get("X-Request-ID"))
	require.NotEmpty(t, rec.Header().Get("Strict-Transport-Security"))
	require.Contains(t, out.String(), "problem_test.go")
	require.Contains(t, out.String(), `cause="a string"`)
	require.NotContains(t, out.String(), "disco")
}

func TestProtectIsWholeUnlessSwitchedOff(t *testing.T) {
	t.Parallel()
	require.Equal(t, sweep.ProtectAll(), (*protectBody)(nil).protect())
	var b protectBody
	require.NoError(t, json.Unmarshal([]byte(`{"important":false,"recent_days":0}`), &b))
	want := sweep.ProtectAll()
	want.Important, want.RecentDays = false, 0
	require.Equal(t, want, b.protect())
}

func TestOneCustomerHoldsAFewStreamsOnly(t *testing.T) {
	t.Parallel()
	var s streams
	var last func()
	for range maxStreams {
		release, err := s.open(sweep.ID{1})
		require.NoError(t, err)
		last = release
	}
	_, err := s.open(sweep.ID{1})
	require.Equal(t, sweep.RateLimited, sweep.CodeOf(err))
	_, err = s.open(sweep.ID{2})
	require.NoError(t, err, "another customer's")
	last()
	_, err = s.open(sweep.ID{1})
	require.NoError(t, err)
}

// LOG-1: a refusal names the member that it does not know, unless that looks like a secret and not like a name.
func TestARefusalRepeatsNamesAndNoSecrets(t *testing.T) {
	t.Parallel()
	for place, want := range map[string]string{
		"body.surprise": "body.surprise", "criteria.all[0].not": "body.criteria.all[0].not", "header.Idempotency-Key": "header.Idempotency-Key",
		"body.swp_live_0a1b2c3d_x": "body", "body.all[0].correct horse battery": "body.all[0]", "body.criteria.eyJh.b.c": "body.criteria.eyJh.b.c", "body.eyJ0eXAi.x": "body",
	} {
		require.Equal(t, want, located([]sweep.Field{{Location: place}})[0].Location, place)
	}
}
