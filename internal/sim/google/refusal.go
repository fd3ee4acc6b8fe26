package google

import (
	"cmp"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"mailsweep/internal/sim/google/box"
)

// refusal is an error as Google's API tells it.
type refusal struct {
	code       int
	status     string // canonical name: PERMISSION_DENIED
	reason     string // of errors[0]
	domain     string // of errors[0]; "" means global
	message    string
	short      string // message of errors[0] where it differs
	location   string
	details    []any
	retryAfter time.Duration // Retry-After header
}

func (e *refusal) Error() string { return strconv.Itoa(e.code) + " " + e.reason + ": " + e.message }

// statusNames are google.rpc.Code names by HTTP status.
var statusNames = map[int]string{400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ALREADY_EXISTS",
	412: "FAILED_PRECONDITION", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 502: "UNAVAILABLE", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED"}

// body is the error's JSON. Its encoding is "v1" with errors[], "v2" with status and details[], or both together.
func (e *refusal) body(encoding string) map[string]any {
	out := map[string]any{"code": e.code, "message": e.message}
	if encoding != "v2" {
		out["errors"] = []any{e.one()}
	}
	if encoding != "v1" {
		out["status"] = cmp.Or(e.status, statusNames[e.code])
		if len(e.details) > 0 {
			out["details"] = e.details
		}
	}
	return map[string]any{"error": out}
}

// one is the element of errors[].
func (e *refusal) one() map[string]any {
	one := map[string]any{"message": cmp.Or(e.short, e.message), "domain": cmp.Or(e.domain, "global"), "reason": e.reason}
	if e.location != "" {
		one["location"], one["locationType"] = e.location, "header"
	}
	return one
}

func invalid(message string) *refusal {
	return &refusal{code: http.StatusBadRequest, reason: "invalidArgument", message: message}
}

func badCredentials() *refusal {
	return &refusal{code: http.StatusUnauthorized, reason: "authError", short: "Invalid Credentials", location: "Authorization",
		message: "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential. See https://developers.google.com/identity/sign-in/web/devconsole-project."}
}

func missingScope(method string) *refusal {
	return &refusal{code: http.StatusForbidden, reason: "insufficientPermissions", short: "Insufficient Permission",
		message: "Request had insufficient authentication scopes.",
		details: []any{errorInfo("ACCESS_TOKEN_SCOPE_INSUFFICIENT", map[string]string{"service": "gmail.googleapis.com", "method": "gmail.users." + method})}}
}

func notFound() *refusal {
	return &refusal{code: http.StatusNotFound, reason: "notFound", message: "Requested entity was not found."}
}

func tooManyAtOnce() *refusal {
	return &refusal{code: http.StatusTooManyRequests, reason: "rateLimitExceeded", message: "Too many concurrent requests for user."}
}

// overQuota is the 403 for a full minute, of the user or the project.
func overQuota(t Tariff, perUser bool) *refusal {
	limit, name, value := "Queries per minute", t.Limit+"Project", t.PerProjectMinute
	if perUser {
		limit, name, value = "Queries per minute per user", t.Limit, t.PerUserMinute
	}
	help := map[string]any{"@type": "type.googleapis.com/google.rpc.Help", "links": []any{map[string]string{
		"description": "Request a higher quota limit.", "url": "https://cloud.google.com/docs/quota#requesting_higher_quota"}}}
	return &refusal{code: http.StatusForbidden, reason: "rateLimitExceeded", domain: "usageLimits",
		message: "Quota exceeded for quota metric 'Queries' and limit '" + limit + "' of service 'gmail.googleapis.com' for consumer 'project_number:100000000001'.",
		details: []any{errorInfo("RATE_LIMIT_EXCEEDED", map[string]string{"quota_metric": t.Metric, "quota_limit": name, "quota_limit_value": strconv.Itoa(value),
			"service": "gmail.googleapis.com", "consumer": "projects/100000000001", "quota_location": "global"}), help}}
}

// retryLater is the 429 whose time to wait is in the text only.
func retryLater(at time.Time) *refusal {
	return &refusal{code: http.StatusTooManyRequests, reason: "rateLimitExceeded", domain: "usageLimits",
		message: "User-rate limit exceeded.  Retry after " + at.UTC().Format(retryFormat)}
}

// overProjectDay is the 403 for a full day of the project.
func overProjectDay() *refusal {
	return &refusal{code: http.StatusForbidden, reason: "dailyLimitExceeded", domain: "usageLimits", message: "Daily Limit Exceeded"}
}

func errorInfo(reason string, metadata map[string]string) map[string]any {
	return map[string]any{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com", "metadata": metadata}
}

// refusalOf translates what package box says.
func refusalOf(err error) *refusal {
	var r *refusal
	switch {
	case errors.As(err, &r):
		return r
	case errors.Is(err, box.ErrNotFound):
		return notFound()
	case errors.Is(err, box.ErrConflict):
		return &refusal{code: http.StatusConflict, reason: "aborted", status: "ABORTED", message: "Label name exists or conflicts"}
	case errors.Is(err, box.ErrInvalidLabel):
		return invalid(capital(err.Error()))
	case errors.Is(err, box.ErrNoChange):
		return invalid("No label add or removes specified")
	case errors.Is(err, box.ErrBothWays):
		return invalid("Cannot both add and remove the same label")
	}
	return &refusal{code: http.StatusInternalServerError, reason: "backendError", message: err.Error()}
}

func capital(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
