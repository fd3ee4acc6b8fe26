package account

import (
	"context"
	"encoding/hex"
	"errors"
	"net/url"
	"time"

	"mailsweep/internal/gmail"
	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// connectWithin is how long a person may take on Google's page, and again until the connection is completed.
const connectWithin = 15 * time.Minute

// Started is a connection under way. State is what Google sends back; what completes the connection is told at the consent's end.
type Started struct {
	AuthorizeURL string `json:"authorize_url" doc:"Open it in a browser and consent"`
	State        string `json:"state" doc:"Of this attempt. It completes nothing: that takes what the consent ends with"`
}

// StartConnect begins to connect a mailbox, or with a mailbox's id to connect that one again. Forbidden for viewers; NotFound.
func (s *Service) StartConnect(ctx context.Context, a sweep.Actor, mailbox sweep.ID) (started Started, err error) {
	if err := mayConnect(a); err != nil {
		return started, err
	}
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		return tx.Once(&started, func() error {
			started, err = s.startConnect(tx, a, mailbox)
			return err
		})
	})
	return started, err
}

func (s *Service) startConnect(tx *store.Tx, a sweep.Actor, mailbox sweep.ID) (Started, error) {
	state, hash := secret.NewToken()
	verifier, hint := gmail.NewVerifier(), ""
	customer, err := tx.LoadCustomer()
	if err != nil {
		return Started{}, err
	}
	if !mailbox.IsZero() {
		m, err := tx.Mailbox(mailbox)
		if err != nil {
			return Started{}, err
		}
		hint = m.Email
	}
	sealed, err := s.sealVerifier(customer, verifier, hash)
	if err != nil {
		return Started{}, err
	}
	if err := tx.DropOAuthStates(a.User); err != nil {
		return Started{}, err
	}
	st := store.OAuthState{Hash: hash, User: a.User, Mailbox: mailbox, Verifier: sealed}
	if err := tx.InsertOAuthState(st, tx.Now.Add(connectWithin)); err != nil {
		return Started{}, err
	}
	return Started{AuthorizeURL: s.OAuth.AuthorizeURL(state, verifier, hint), State: state}, nil
}

// mayConnect asks for a person: a connection ends with that person looking at the address.
func mayConnect(a sweep.Actor) error {
	if a.Kind != sweep.ByToken {
		return sweep.Errorf(sweep.Forbidden, "a mailbox is connected by a person who is signed in")
	}
	return a.MayRun()
}

func verifierContext(hash []byte) string {
	return "oauth_states|" + hex.EncodeToString(hash) + "|verifier"
}

func (s *Service) sealVerifier(c store.Customer, verifier string, hash []byte) ([]byte, error) {
	box, err := s.Vault.Box(c.DataKey, c.ID.String())
	if err != nil {
		return nil, err
	}
	return box.Seal([]byte(verifier), verifierContext(hash))
}

// Callback receives a browser that Google sent back and says where to send it on. The grant is parked, sealed to the worker, under a
// fresh token that only this browser is told (connect=…). It takes both to complete: that token, and to be who started. So neither
// somebody's link, sent to another to have their mailbox, nor a consent planted on another does any harm. What went wrong is a word in the redirect (connect_error=denied, scope_missing, offline_missing, expired, unavailable); err
// is set besides when it was our fault or Google's.
func (s *Service) Callback(ctx context.Context, state, code, errParam string) (redirect string, err error) {
	consent, word, err := s.answer(ctx, secret.HashToken(state), code, errParam)
	if err != nil && word == "" {
		word = "unavailable"
	}
	if word != "" {
		return s.PublicURL + "/mailboxes?connect_error=" + url.QueryEscape(word), err
	}
	return s.PublicURL + "/mailboxes?connect=" + url.QueryEscape(consent), nil
}

// answer parks what Google answered and gives the token of the consent, or the word why there is none.
func (s *Service) answer(ctx context.Context, hash []byte, code, errParam string) (consent, word string, err error) {
	customer, err := s.DB.OAuthStateOwner(ctx, hash)
	if err != nil {
		return "", "", err
	}
	if customer.IsZero() {
		return "", "expired", nil
	}
	st, verifier, ok, err := s.taken(ctx, customer, hash)
	if err != nil {
		return "", "", err
	}
	if !ok {
		return "", "expired", nil
	}
	st, failure := s.exchange(ctx, customer, st, verifier, code, errParam)
	under := hash // a refusal is told to who started, and gives nothing
	if st.Error == "" {
		consent, under = secret.NewToken()
	}
	parked := false
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		parked, err = tx.ParkGrant(st, under, tx.Now.Add(connectWithin))
		return err
	})
	if err == nil && !parked && st.Error == "" {
		st.Error = "expired"
	}
	return consent, st.Error, errors.Join(failure, err)
}

// taken marks the attempt as answered, so that a code is exchanged once, and opens its verifier.
func (s *Service) taken(ctx context.Context, customer sweep.ID, hash []byte) (st store.OAuthState, verifier string, ok bool, err error) {
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		c, err := tx.LoadCustomer()
		if err != nil {
			return err
		}
		if st, ok, err = tx.AnswerOAuthState(hash); err != nil || !ok {
			return err
		}
		box, err := s.Vault.Box(c.DataKey, c.ID.String())
		if err != nil {
			return err
		}
		plain, err := box.Open(st.Verifier, verifierContext(hash))
		verifier = string(plain)
		return err
	})
	return st, verifier, ok, err
}

// exchange fills in what Google granted, or the word why not.
func (s *Service) exchange(ctx context.Context, customer sweep.ID, st store.OAuthState, verifier, code, errParam string) (store.OAuthState, error) {
	if errParam != "" || code == "" {
		st.Error = "denied"
		return st, nil
	}
	grant, err := s.OAuth.Exchange(ctx, code, verifier)
	if err != nil {
		st.Error, err = refusalWord(err)
		return st, err
	}
	st.Account = s.Pseudonym.Of("google_sub", grant.Sub)
	st.Email, st.Scopes = grant.Email, grant.Scopes
	st.Granted, err = s.Tokens.Seal([]byte(grant.RefreshToken), tokenPlace(customer, st.Account))
	if err != nil {
		st.Error = "unavailable"
	}
	return st, err
}

// refusalWord tells what the customer did from what broke; only the latter stays an error.
func refusalWord(err error) (string, error) {
	switch sweep.CodeOf(err) {
	case sweep.Forbidden:
		var refusal *sweep.Error
		if errors.As(err, &refusal) && refusal.Data["detail"] == "offline_missing" {
			return "offline_missing", nil
		}
		return "scope_missing", nil
	case sweep.BadRequest:
		return "expired", nil
	}
	return "unavailable", err
}
