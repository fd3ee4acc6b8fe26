package sweep

import (
	"errors"
	"fmt"
)

// Code is a stable, documented reason why something was refused. Each edge maps it once: to an HTTP status, to a retry, to a page.
type Code string

// The codes that callers meet. Their HTTP statuses stand in internal/httpapi.
const (
	BadRequest            Code = "invalid_request"        // could not be parsed (400)
	Invalid               Code = "invalid_criteria"       // parsed, but no sense in it (422); shown as invalid_request
	Unauthenticated       Code = "unauthenticated"        // no or bad credentials
	SignInAgain           Code = "sign_in_again"          // too long ago for what is asked
	TOTPRequired          Code = "totp_required"          // right so far, the second factor is missing
	LinkRequired          Code = "link_required"          // Google vouches for an address that has an account: its password is missing
	FactorRequired        Code = "second_factor_required" // the customer demands a second factor, and this person has none yet
	InvitationNeeded      Code = "invitation_needed"      // accounts are given out by invitation
	SignUpsFull           Code = "sign_ups_full"          // there are as many customers as are taken
	EmailUnverified       Code = "email_unverified"       // right password, address not yet proven
	Forbidden             Code = "forbidden"              // known actor, not allowed
	CrossSite             Code = "cross_site"             // a cookie alone, without what only a page of ours can add
	IPNotAllowed          Code = "ip_not_allowed"         // the account's owner has listed from where it may be used
	AccountSuspended      Code = "account_suspended"      // ops stopped this customer
	AccountDeleted        Code = "account_deleted"        // by its owner, shown to who has the right password
	FeatureNotInPlan      Code = "feature_not_in_plan"
	QuotaExceeded         Code = "quota_exceeded"
	MailboxLimit          Code = "mailbox_limit" // more mailboxes than the plan carries
	PeopleLimit           Code = "people_limit"  // more people than the plan carries
	NotFound              Code = "not_found"
	MethodNotAllowed      Code = "method_not_allowed"
	Conflict              Code = "conflict"
	AlreadyExecuted       Code = "already_executed"
	IdempotencyInFlight   Code = "idempotency_in_flight"
	IdempotencyMismatch   Code = "idempotency_mismatch"
	MailboxNeedsReconnect Code = "mailbox_needs_reconnect"
	WrongGoogleAccount    Code = "wrong_google_account"
	PlanExpired           Code = "plan_expired"
	TooLarge              Code = "too_large"
	UnsupportedMediaType  Code = "unsupported_media_type"
	ConfirmAllRequired    Code = "confirm_all_required"
	CategoriesUnavailable Code = "categories_unavailable"
	RateLimited           Code = "rate_limited"
	Halted                Code = "halted"
	Unavailable           Code = "unavailable"
	Internal              Code = "internal"
)

// Field names one bad field of a request. Message never echoes the value.
type Field struct {
	Location string `json:"location"`
	Message  string `json:"message"`
}

// Error carries a Code with a sentence for the caller. Data is extra, code-specific public data
// (the quota of a quota_exceeded, the first job's id of an already_executed).
type Error struct {
	Code   Code
	Detail string
	Fields []Field
	Data   map[string]any
	Own    bool // of NotFound: the object is there and the caller's, a part of it is not yet
}

func (e *Error) Error() string { return string(e.Code) + ": " + e.Detail }

// Errorf makes an Error whose detail may be shown to the caller: put no secret and nobody else's data in it.
func Errorf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// With adds public data and returns the same error.
func (e *Error) With(key string, value any) *Error {
	if e.Data == nil {
		e.Data = map[string]any{}
	}
	e.Data[key] = value
	return e
}

// OfOwn says that what was asked for is the caller's, and returns the same error.
func (e *Error) OfOwn() *Error {
	e.Own = true
	return e
}

// At adds a bad field and returns the same error.
func (e *Error) At(location, message string) *Error {
	e.Fields = append(e.Fields, Field{Location: location, Message: message})
	return e
}

// CodeOf finds the code anywhere in err's chain; errors that carry none are Internal, nil is "".
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	var e *Error
	if errors.As(err, &e) {
		return e.Code
	}
	return Internal
}
