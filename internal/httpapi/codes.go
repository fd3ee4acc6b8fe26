package httpapi

import (
	"net/http"
	"slices"

	"mailsweep/internal/sweep"
)

// kind is how a code is shown: its status, a title that never varies, and what the caller can do about it.
type kind struct {
	status int
	title  string
	as     string // shown in place of the code
	advice string
}

func (k kind) shown(c sweep.Code) string {
	if k.as != "" {
		return k.as
	}
	return string(c)
}

// kinds maps every code once.
func kinds() map[sweep.Code]kind {
	return map[sweep.Code]kind{
		sweep.BadRequest:            {400, "The request could not be read", "invalid_request", "Status 400: the request is not well-formed. Status 422: it is, but the fields under errors make no sense. Correct it and send it again."},
		sweep.Invalid:               {422, "The request is not valid", "invalid_request", "Status 400: the request is not well-formed. Status 422: it is, but the fields under errors make no sense. Correct it and send it again."},
		sweep.Unauthenticated:       {401, "Sign in first", "", "Send a fresh access token as Authorization: Bearer …; tokens live for 24 hours and end at sign-out. Show one credential: a token, a key or a session's cookie."},
		sweep.SignInAgain:           {401, "Sign in again", "", "What was asked is for who has signed in within the last 15 minutes. Your credential is good for everything else: get a new one by a sign-in and ask again."},
		sweep.TOTPRequired:          {401, "The second factor is missing", "", "Ask for the code of the authenticator app and send it with the challenge to /api/v1/auth/2fa/verify, or sign in again with totp."},
		sweep.LinkRequired:          {401, "The address has an account", "", "Ask for the password of the account named by email and send it with the ticket to /api/v1/auth/google/link: once, then Google signs in alone."},
		sweep.FactorRequired:        {403, "Set up a second factor first", "", "This account demands one of everybody: POST /api/v1/auth/2fa/enrol begins."},
		sweep.InvitationNeeded:      {403, "By invitation only", "", "Sign up by the link of an invitation, with the address that it was made for."},
		sweep.SignUpsFull:           {403, "No room at the moment", "", "There are as many customers as are taken for now. Come back later."},
		sweep.EmailUnverified:       {403, "The e-mail address is not verified", "", "Follow the link in the mail that was sent, or ask for another one."},
		sweep.Forbidden:             {403, "Not allowed", "", "Your role in this account does not allow this."},
		sweep.CrossSite:             {403, "Not from a page of ours", "", "A session's cookie changes something only from our own pages, with the csrf_token of GET /api/v1/auth/session as X-CSRF-Token. Programs use an access token or an API key."},
		sweep.IPNotAllowed:          {403, "Not from this address", "", "The owner of the account has listed the addresses from which it may be used."},
		sweep.AccountSuspended:      {403, "The account is suspended", "", "Write to support."},
		sweep.AccountDeleted:        {403, "The account was deleted", "", "Its owner deleted it. Some days later everything is removed, and the address can sign up anew."},
		sweep.FeatureNotInPlan:      {403, "Not part of the plan", "", "Choose a plan that has this feature."},
		sweep.QuotaExceeded:         {402, "The monthly quota does not suffice", "", "The member quota has the numbers. Set partial to clean what fits, wait for resets_at, or upgrade."},
		sweep.MailboxLimit:          {402, "The plan carries no more mailboxes", "", "Disconnect a mailbox or choose a larger plan. The oldest mailboxes keep working."},
		sweep.PeopleLimit:           {402, "The plan carries no more people", "", "Revoke an invitation, let somebody go or choose a larger plan. Owners and who came first keep what they may; the others look."},
		sweep.NotFound:              {404, "Not found", "", "There is nothing here, or it is not yours."},
		sweep.MethodNotAllowed:      {405, "Method not allowed", "", "The header Allow lists the methods that work here."},
		sweep.Conflict:              {409, "Not possible in this state", "", "The detail says what stands against it."},
		sweep.AlreadyExecuted:       {409, "This cleanup plan was executed already", "", "The member job_id names the run."},
		sweep.IdempotencyInFlight:   {409, "The first request with this key is still running", "", "Send the same request again in a moment."},
		sweep.IdempotencyMismatch:   {422, "This key belongs to another request", "", "Use a new Idempotency-Key for a new request."},
		sweep.MailboxNeedsReconnect: {409, "The mailbox has to be connected again", "", "The consent at Google is gone. Connect the same Google account again: plans and undo stay valid."},
		sweep.WrongGoogleAccount:    {409, "Another Google account", "", "This mailbox belongs to another Google account than the one that was chosen."},
		sweep.PlanExpired:           {410, "Expired", "", "Make a new preview."},
		sweep.TooLarge:              {413, "Too large", "", "A request body has at most 64 KiB."},
		sweep.UnsupportedMediaType:  {415, "Unsupported media type", "", "Send Content-Type: application/json."},
		sweep.ConfirmAllRequired:    {422, "These criteria match every message", "", "Repeat with confirm_all if that is meant."},
		sweep.CategoriesUnavailable: {422, "The mailbox has no categories", "", "Gmail's smart features are switched off there; use other criteria."},
		sweep.RateLimited:           {429, "Too many requests", "", "Wait for as many seconds as Retry-After says."},
		sweep.Halted:                {503, "Halted", "", "New work is stopped for the moment. What runs already is safe."},
		sweep.Unavailable:           {503, "Not available for the moment", "", "Try again after Retry-After."},
		sweep.Internal:              {500, "Something went wrong on our side", "", "Try again. If it stays, name the request_id to support."},
	}
}

// codeOfStatus is the code for a status that came without one, from huma or the router.
func codeOfStatus(status int) sweep.Code {
	switch status {
	case http.StatusUnauthorized:
		return sweep.Unauthenticated
	case http.StatusForbidden:
		return sweep.Forbidden
	case http.StatusNotFound:
		return sweep.NotFound
	case http.StatusMethodNotAllowed:
		return sweep.MethodNotAllowed
	case http.StatusRequestEntityTooLarge:
		return sweep.TooLarge
	case http.StatusUnsupportedMediaType:
		return sweep.UnsupportedMediaType
	case http.StatusUnprocessableEntity:
		return sweep.Invalid
	case http.StatusTooManyRequests:
		return sweep.RateLimited
	case http.StatusServiceUnavailable:
		return sweep.Unavailable
	}
	if status >= 500 {
		return sweep.Internal
	}
	return sweep.BadRequest
}

// shownCodes lists the codes for the documentation.
func shownCodes() (codes []any) {
	var names []string
	for code, k := range kinds() {
		names = append(names, k.shown(code))
	}
	slices.Sort(names)
	for _, name := range slices.Compact(names) {
		codes = append(codes, name)
	}
	return codes
}
