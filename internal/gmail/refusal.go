package gmail

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"google.golang.org/api/googleapi"

	"mailsweep/internal/sweep"
)

// What a caller may expect and handle; find them with errors.Is.
var (
	ErrGone           = errors.New("the message is gone")
	ErrHistoryGone    = errors.New("the history no longer reaches back there")
	ErrLabelGone      = errors.New("the label is gone")
	ErrPageGone       = errors.New("the next page can no longer be asked for")        // list anew from the first
	ErrProjectStopped = errors.New("the calls of this project are stopped by Google") // for ops: no mailbox can be reached
	errExists         = errors.New("the label exists")
)

// step is what follows a failed call.
type step int

const (
	giveUp    step = iota
	tryAgain       // transient
	refresh        // the access token was refused
	crowded        // too many calls in flight
	throttled      // too many units
)

// verdict is our reading of a failure. err carries our codes and no text of Google's: that may hold addresses and label names.
type verdict struct {
	step step
	told time.Time // when Google said to come back, zero if it did not
	// project says that all its mailboxes are refused, not this one alone.
	project bool
	err     error
}

// judge reads any error of a call.
func judge(call Method, err error) verdict {
	var wait *Wait
	var pace *paceError
	var api *googleapi.Error
	var token *oauth2.RetrieveError
	switch {
	case errors.As(err, &wait):
		return verdict{err: fmt.Errorf("%s: %w", call, wait)}
	case errors.Is(err, errNotAllowed):
		return verdict{err: fmt.Errorf("%s: %w", call, errNotAllowed)}
	case errors.As(err, &pace):
		return verdict{step: tryAgain, err: fmt.Errorf("%s: %w: %w", call, unavailable(), pace)}
	case errors.As(err, &token):
		return judgeToken(token)
	case errors.As(err, &api):
		v := judgeAnswer(call, api)
		v.err = fmt.Errorf("%s: %w (%s)", call, v.err, tag(api.Code, reasonOf(api)))
		return v
	}
	return verdict{step: tryAgain, err: fmt.Errorf("%s: %w (%s)", call, unavailable(), scrub(err))}
}

func unavailable() error {
	return sweep.Errorf(sweep.Unavailable, "Gmail does not answer at the moment")
}

func needsReconnect() error {
	return sweep.Errorf(sweep.MailboxNeedsReconnect, "Google no longer lets us into this mailbox: please connect it again")
}

func projectStopped() error {
	return fmt.Errorf("%w: %w", ErrProjectStopped, sweep.Errorf(sweep.Unavailable, "Gmail is closed to us at the moment"))
}

func adminRefuses() error {
	return sweep.Errorf(sweep.Forbidden, "the administrator of this Google account does not allow this application")
}

// judgeAnswer follows the Gmail API's "Resolve errors" page and bodies seen in the wild. Rate refusals come as 403 and as 429.
func judgeAnswer(call Method, e *googleapi.Error) verdict {
	told := toldTime(e, time.Now())
	switch {
	case e.Code == http.StatusBadRequest:
		return verdict{err: judgeBadRequest(e)}
	case e.Code == http.StatusUnauthorized:
		return verdict{step: refresh, err: needsReconnect()}
	case e.Code == http.StatusForbidden:
		return judgeForbidden(e, told)
	case e.Code == http.StatusNotFound:
		return verdict{err: notFound(call)}
	case e.Code == http.StatusConflict && call == LabelsCreate:
		return verdict{err: errExists}
	case e.Code == http.StatusTooManyRequests && strings.Contains(e.Message, "concurrent"):
		return verdict{step: crowded, told: told, err: unavailable()}
	case e.Code == http.StatusTooManyRequests:
		return verdict{step: throttled, told: told, project: ofProject(e), err: unavailable()}
	case e.Code >= 500 || e.Code == http.StatusRequestTimeout:
		return verdict{step: tryAgain, told: told, err: unavailable()}
	}
	return verdict{err: errors.New("the call was refused")}
}

func judgeBadRequest(e *googleapi.Error) error {
	switch {
	case strings.HasPrefix(e.Message, "Invalid label"):
		return ErrLabelGone
	case strings.HasPrefix(e.Message, "Invalid pageToken"):
		return fmt.Errorf("%w: %w", ErrPageGone, unavailable())
	case strings.Contains(e.Message, "Mail service not enabled"), reasonOf(e) == "failedPrecondition":
		return sweep.Errorf(sweep.Forbidden, "this Google account has no Gmail mailbox")
	}
	return errors.New("the request was called malformed")
}

func judgeForbidden(e *googleapi.Error, told time.Time) verdict {
	switch reason := reasonOf(e); {
	case reason == "insufficientPermissions", hasDetail(e, "ACCESS_TOKEN_SCOPE_INSUFFICIENT"):
		return verdict{err: needsReconnect()}
	case reason == "domainPolicy":
		return verdict{err: adminRefuses()}
	case reason == "dailyLimitExceeded", reason == "quotaExceeded":
		return verdict{told: told, project: true, err: projectStopped()}
	case reason == "accessNotConfigured", hasDetail(e, "SERVICE_DISABLED"):
		return verdict{err: projectStopped()}
	case reason == "rateLimitExceeded", reason == "userRateLimitExceeded", hasDetail(e, "RATE_LIMIT_EXCEEDED"):
		return verdict{step: throttled, told: told, project: ofProject(e), err: unavailable()}
	}
	return verdict{err: sweep.Errorf(sweep.Forbidden, "Google does not allow this call")}
}

// ofProject: Google names the limit that was reached, "Queries per minute" or "Queries per minute per user".
func ofProject(e *googleapi.Error) bool {
	return strings.Contains(e.Message, "per minute") && !strings.Contains(e.Message, "per user")
}

func notFound(call Method) error {
	switch call {
	case MessagesGet:
		return ErrGone
	case HistoryList:
		return ErrHistoryGone
	case LabelsGet, LabelsDelete, BatchModify:
		return ErrLabelGone
	}
	return errors.New("the address is unknown to Gmail")
}

// judgeToken reads the token endpoint's answer (RFC 6749, 5.2; Google adds admin_policy_enforced and org_internal).
func judgeToken(e *oauth2.RetrieveError) verdict {
	err := unavailable()
	status := 0
	if e.Response != nil {
		status = e.Response.StatusCode
	}
	v := verdict{}
	switch {
	case e.ErrorCode == "invalid_grant":
		err = needsReconnect()
	case e.ErrorCode == "admin_policy_enforced", e.ErrorCode == "org_internal":
		err = adminRefuses()
	case status >= 400 && status < 500 && status != http.StatusTooManyRequests && status != http.StatusRequestTimeout:
		err = projectStopped()
	default:
		v.step = tryAgain
	}
	v.err = fmt.Errorf("token: %w (%s)", err, tag(status, word(e.ErrorCode)))
	return v
}

// reasonOf is Google's one-word reason, "" when the body had none.
func reasonOf(e *googleapi.Error) string {
	if len(e.Errors) == 0 {
		return ""
	}
	return word(e.Errors[0].Reason)
}

func hasDetail(e *googleapi.Error, reason string) bool {
	return slices.ContainsFunc(e.Details, func(d any) bool {
		fields, ok := d.(map[string]any)
		return ok && fields["reason"] == reason
	})
}

// toldLimit is the limit that a refusal names (ErrorInfo, quota_limit_value), 0 if it names none.
func toldLimit(err error) int {
	var api *googleapi.Error
	if !errors.As(err, &api) {
		return 0
	}
	for _, d := range api.Details {
		fields, _ := d.(map[string]any)
		metadata, _ := fields["metadata"].(map[string]any)
		text, _ := metadata["quota_limit_value"].(string)
		if n, err := strconv.Atoi(text); err == nil {
			return n
		}
	}
	return 0
}

// word lets only a plain word through to our logs.
func word(s string) string {
	if len(s) > 40 || strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_") != "" {
		return ""
	}
	return s
}

func tag(status int, reason string) string {
	return strings.TrimSpace(strconv.Itoa(status) + " " + reason)
}

// toldTime reads when to come back: the Retry-After header, else the time in the message ("Retry after 2006-01-02T15:04:05.000Z").
// A day is the longest that is believed.
func toldTime(e *googleapi.Error, now time.Time) (told time.Time) {
	header := e.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(header); err == nil && seconds >= 0 {
		told = now.Add(time.Duration(min(seconds, 86_400)) * time.Second)
	} else if at, err := http.ParseTime(header); err == nil {
		told = at
	} else if found := regexp.MustCompile(`(?i)retry after\s+([0-9TZ:.+-]+)`).FindStringSubmatch(e.Message); found != nil {
		told, _ = time.Parse(time.RFC3339, strings.TrimRight(found[1], "."))
	}
	if last := now.Add(24 * time.Hour); told.After(last) {
		return last
	}
	return told
}

// scrub says what went wrong on the wire without the URL, which holds search text.
func scrub(err error) string {
	var op *net.OpError
	switch {
	case errors.As(err, &op):
		return op.Error()
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the answer broke off"
	}
	return "the answer was unreadable"
}
