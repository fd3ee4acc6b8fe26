package httpapi

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"mailsweep/internal/account"
	"mailsweep/internal/sweep"
)

// PersonPath names a person in the path.
type PersonPath struct {
	ID string `path:"id" doc:"usr_…"`
}

// InvitationPath names an invitation in the path.
type InvitationPath struct {
	ID string `path:"id" doc:"inv_…"`
}

type inviteInput struct {
	Body struct {
		Email string     `json:"email"`
		Role  sweep.Role `json:"role" enum:"owner,operator,viewer"`
		account.ProvenAgain
	} `nameHint:"Invite"`
}

type roleInput struct {
	PersonPath
	Body struct {
		Role sweep.Role `json:"role" enum:"owner,operator,viewer"`
		account.ProvenAgain
	} `nameHint:"ChangeRole"`
}

type proofInput struct{ Body account.ProvenAgain }

type acceptInput struct {
	Body struct {
		account.Acceptance
		Cookie bool `json:"cookie,omitempty" doc:"Answer with a session's cookie in the place of an access token: for pages"`
	} `nameHint:"Acceptance"`
}

type joinInput struct {
	Body struct {
		Token string `json:"token" maxLength:"100" doc:"From the link in the mail"`
	} `nameHint:"Join"`
}

type switchInput struct {
	Body struct {
		CustomerID string `json:"customer_id" doc:"cus_…, of GET /api/v1/auth/customers"`
		Code       string `json:"code,omitempty" maxLength:"40" doc:"Of the second factor, where one is set up there"`
	} `nameHint:"Switch"`
}

type peopleOutput struct{ Body account.People }

type personOutput struct{ Body account.PersonView }

type invitationOutput struct{ Body account.InvitationView }

type customersOutput struct {
	Body struct {
		Items []account.CustomerView `json:"items"`
	} `nameHint:"Customers"`
}

func (s *server) peopleRoutes(api huma.API) {
	add(s, api, operation{method: http.MethodGet, path: "/api/v1/people", name: "list-people", role: sweep.Viewer, tag: "people",
		summary: "The account's people and the invitations that nobody has taken yet"}, s.people)
	add(s, api, operation{method: http.MethodPatch, path: "/api/v1/people/{id}", name: "change-role", role: sweep.Owner, tag: "people", errors: []int{409},
		summary: "Change what somebody may do"}, s.changeRole)
	add(s, api, operation{method: http.MethodDelete, path: "/api/v1/people/{id}", name: "remove-person", role: sweep.Owner, tag: "people", errors: []int{409},
		summary: "Let somebody go: their sessions, tokens and API keys here end"}, s.removePerson)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/people/leave", name: "leave", role: sweep.Viewer, tag: "people", errors: []int{409}, owing: true,
		summary: "Leave the account; the last owner cannot"}, s.leave)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/people/invitations", name: "invite", role: sweep.Owner, tag: "people", status: 201, errors: []int{402, 409},
		summary: "Invite somebody by mail; another invitation to the same address takes the place of the first"}, s.invite)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/people/invitations/{id}/resend", name: "resend-invitation", role: sweep.Owner, tag: "people",
		summary: "Mail an invitation again: only the newest mail counts"}, s.resendInvitation)
	add(s, api, operation{method: http.MethodDelete, path: "/api/v1/people/invitations/{id}", name: "revoke-invitation", role: sweep.Owner, tag: "people",
		summary: "Make an invitation worthless"}, s.revokeInvitation)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/auth/invitations/accept", name: "accept-invitation", tag: "people", open: true, errors: []int{401, 402, 403, 409},
		summary: "Take an invitation with the token of the mail, and sign in"}, s.acceptInvitation)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/auth/invitations/join", name: "join", role: sweep.Viewer, tag: "people", renews: true, errors: []int{402, 409}, owing: true, reads: true,
		summary: "Take an invitation that went to the address you are signed in with"}, s.join)
	add(s, api, operation{method: http.MethodGet, path: "/api/v1/auth/customers", name: "list-customers", role: sweep.Viewer, tag: "people", owing: true,
		summary: "The accounts that you work in, the first joined first: signing in leads to that one"}, s.customers)
	add(s, api, operation{method: http.MethodPost, path: "/api/v1/auth/switch", name: "switch-customer", role: sweep.Viewer, tag: "people", renews: true, errors: []int{404}, owing: true, reads: true,
		summary: "Sign in at another account that you work in"}, s.switchCustomer)
}

func (s *server) people(ctx context.Context, _ *struct{}) (*peopleOutput, error) {
	p, err := s.Account.People(ctx, actorOf(ctx))
	return &peopleOutput{Body: p}, err
}

func (s *server) changeRole(ctx context.Context, in *roleInput) (*personOutput, error) {
	id, err := sweep.UserID.Parse(in.ID)
	if err != nil {
		return nil, err
	}
	view, err := s.Account.SetRole(ctx, actorOf(ctx), id, in.Body.Role, in.Body.ProvenAgain, caller(ctx))
	return &personOutput{Body: view}, err
}

func (s *server) removePerson(ctx context.Context, in *PersonPath) (*struct{}, error) {
	id, err := sweep.UserID.Parse(in.ID)
	if err != nil {
		return nil, err
	}
	return &struct{}{}, s.Account.Remove(ctx, actorOf(ctx), id)
}

func (s *server) leave(ctx context.Context, in *proofInput) (*struct{}, error) {
	return &struct{}{}, s.Account.Leave(ctx, actorOf(ctx), in.Body, caller(ctx))
}

func (s *server) invite(ctx context.Context, in *inviteInput) (*invitationOutput, error) {
	view, err := s.Account.Invite(ctx, actorOf(ctx), in.Body.Email, in.Body.Role, in.Body.ProvenAgain, caller(ctx))
	return &invitationOutput{Body: view}, err
}

func (s *server) resendInvitation(ctx context.Context, in *InvitationPath) (*invitationOutput, error) {
	id, err := sweep.InvitationID.Parse(in.ID)
	if err != nil {
		return nil, err
	}
	view, err := s.Account.ResendInvitation(ctx, actorOf(ctx), id, caller(ctx))
	return &invitationOutput{Body: view}, err
}

func (s *server) revokeInvitation(ctx context.Context, in *InvitationPath) (*struct{}, error) {
	id, err := sweep.InvitationID.Parse(in.ID)
	if err != nil {
		return nil, err
	}
	return &struct{}{}, s.Account.RevokeInvitation(ctx, actorOf(ctx), id)
}

func (s *server) acceptInvitation(ctx context.Context, in *acceptInput) (*sessionOutput, error) {
	return s.signIn(ctx, caller(ctx), in.Body.Cookie, func(c account.Client) (account.Session, error) {
		return s.Account.AcceptInvitation(ctx, in.Body.Acceptance, c)
	})
}

func (s *server) join(ctx context.Context, in *joinInput) (*sessionOutput, error) {
	return s.signIn(ctx, caller(ctx), caller(ctx).Cookie, func(c account.Client) (account.Session, error) {
		return s.Account.Join(ctx, actorOf(ctx), in.Body.Token, c)
	})
}

func (s *server) customers(ctx context.Context, _ *struct{}) (*customersOutput, error) {
	out := &customersOutput{}
	items, err := s.Account.Customers(ctx, actorOf(ctx))
	out.Body.Items = listed(items)
	return out, err
}

func (s *server) switchCustomer(ctx context.Context, in *switchInput) (*sessionOutput, error) {
	id, err := sweep.CustomerID.Parse(in.Body.CustomerID)
	if err != nil {
		return nil, err
	}
	return s.signIn(ctx, caller(ctx), caller(ctx).Cookie, func(c account.Client) (account.Session, error) {
		return s.Account.Switch(ctx, actorOf(ctx), id, in.Body.Code, c)
	})
}
