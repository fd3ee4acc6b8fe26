package account

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"time"

	"mailsweep/internal/gmail"
	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

const (
	googleWithin = 15 * time.Minute // on Google's page, and again to prove a password
	arrivals     = 3                // tries of a sign-in that others overtake
)

// GoogleStart is a sign-in with Google under way. State comes back with the code; Ticket stays with who began.
type GoogleStart struct {
	AuthorizeURL string `json:"authorize_url" doc:"Open it in a browser"`
	State        string `json:"state" doc:"Comes back with the code"`
	Ticket       string `json:"ticket" doc:"Keep it where the sign-in began and show it to nobody: with the code it signs in"`
}

// Format keeps the ticket out of logs.
func (GoogleStart) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[redacted]")) }

// StartGoogle begins to sign somebody in with Google, for 15 minutes. Nobody's address is asked for, so the answer tells nothing of anybody.
// RateLimited.
func (s *Service) StartGoogle(ctx context.Context, c Client) (GoogleStart, error) {
	d, err := s.Requests.AllowIn(ctx, "google:"+s.network(c, 32, 64), or(s.Limits.GoogleStartsPerIP, 60), 15*time.Minute, 1)
	if err != nil {
		return GoogleStart{}, err
	}
	if err := limited(d, "too many sign-ins from this address; try again later"); err != nil {
		return GoogleStart{}, err
	}
	ticket, ticketHash := secret.NewToken()
	state, stateHash := secret.NewToken()
	nonce, nonceHash := secret.NewToken()
	err = s.DB.BeginGoogleSignIn(ctx, store.GoogleSignIn{Ticket: ticketHash, State: stateHash, Nonce: nonceHash}, googleWithin)
	return GoogleStart{AuthorizeURL: s.OAuth.SignInURL(state, s.verifierOf(ticket), nonce), State: state, Ticket: ticket}, err
}

// verifierOf is a ticket's PKCE verifier: nobody but this service can make it, and it is kept nowhere.
func (s *Service) verifierOf(ticket string) string {
	return base64.RawURLEncoding.EncodeToString(s.Pseudonym.Of("google_verifier", ticket))
}

// GoogleCallback says where to send a browser on that Google sent back. It signs nobody in: the code is worth nothing without the ticket,
// which is where the sign-in began. So a link that a stranger made, of their own Google account or to have another's, does no harm.
func (s *Service) GoogleCallback(state, code, errParam string) (redirect string) {
	to := url.Values{"state": {state}, "code": {code}}
	switch {
	case errParam != "":
		to = url.Values{"error": {"denied"}}
	case state == "" || code == "":
		to = url.Values{"error": {"expired"}}
	}
	return s.PublicURL + "/sign-in/google?" + to.Encode()
}

// guest is somebody for whom Google vouches.
type guest struct {
	ticket      []byte // hash
	subject     []byte // keyed
	email, name string
	proven      bool // Google keeps the mail of the address
}

// CompleteGoogle signs in whom Google vouches for, once per ticket, with the state and the code that came back. Who is new is signed up,
// their address proven. LinkRequired, with email: the address has an account, whose password LinkGoogle asks for, once. TOTPRequired with a challenge, as
// at Login. EmailUnverified: nobody has proven the address here, and Google does not keep its mail, so knows only that it was theirs once.
// Unauthenticated: the attempt is over or another's, or Google's word does not hold; AccountSuspended; RateLimited, InvitationNeeded and SignUpsFull at a sign-up;
// Unavailable when Google does not answer.
func (s *Service) CompleteGoogle(ctx context.Context, ticket, state, code string, c Client) (Session, error) {
	g := guest{ticket: secret.HashToken(ticket)}
	nonce, ok, err := s.DB.TakeGoogleSignIn(ctx, g.ticket, secret.HashToken(state))
	if err != nil {
		return Session{}, err
	}
	if !ok || code == "" {
		return Session{}, googleOver()
	}
	who, err := s.OAuth.SignIn(ctx, code, s.verifierOf(ticket), nonce)
	if err != nil {
		return Session{}, s.doubted(ctx, err, c)
	}
	if g.email, err = canonicalEmail(who.Email); err != nil {
		return Session{}, s.doubted(ctx, gmail.ErrIdentity, c)
	}
	g.subject, g.proven = s.Pseudonym.Of("google_identity", who.Sub), who.Keeps
	g.name, _ = cleanName(who.Name) // one that we do not take is none
	for range arrivals {
		session, owes, err := s.arrive(ctx, g, c)
		if errors.Is(err, errTaken) || sweep.CodeOf(err) == sweep.NotFound {
			continue // another sign-in, sign-up, unlinking or leaving of theirs came between
		}
		if err == nil {
			err = owes
		}
		return session, err
	}
	return Session{}, sweep.Errorf(sweep.Unavailable, "too many sign-ins at once; try again in a few seconds")
}

func googleOver() error {
	return sweep.Errorf(sweep.Unauthenticated, "this sign-in with Google is over: please begin again")
}

// doubted tells Google's absence and our faults from a word that does not hold.
func (s *Service) doubted(ctx context.Context, err error, c Client) error {
	if !errors.Is(err, gmail.ErrIdentity) && sweep.CodeOf(err) != sweep.BadRequest {
		return err
	}
	s.Log.WarnContext(ctx, "a sign-in with Google is refused", "error", err)
	if err := s.DB.SecurityEvent(ctx, "google.refused", s.addressHash(c), c.RequestID); err != nil {
		s.Log.ErrorContext(ctx, "a refused sign-in with Google not noted", "error", err)
	}
	return googleOver()
}

// arrive lets a guest in by what there is of them. errTaken: that changed meanwhile.
func (s *Service) arrive(ctx context.Context, g guest, c Client) (session Session, owes, err error) {
	customer, user, err := s.DB.GoogleIdentityOwner(ctx, g.subject)
	if err != nil {
		return Session{}, nil, err
	}
	if !user.IsZero() {
		return s.returns(ctx, customer, user, g, c)
	}
	customer, u, err := s.find(ctx, g.email)
	if err != nil {
		return Session{}, nil, err
	}
	switch unproven := u.ID.IsZero() || u.VerifiedAt.IsZero(); {
	case unproven && !g.proven:
		owes = sweep.Errorf(sweep.EmailUnverified, "Google does not keep the mail of this address: sign up with a password first, then Google can sign you in")
	case unproven:
		session, err = s.settles(ctx, g, customer, c)
	default:
		if _, since, err := s.DB.GoogleIdentityOwner(ctx, g.subject); err != nil || !since.IsZero() {
			return Session{}, nil, cmp.Or(err, errTaken) // another return of theirs came between the two looks
		}
		err = s.DB.ParkGoogleIdentity(ctx, g.ticket, g.subject, s.Pseudonym.Of("email", g.email), googleWithin)
		owes = sweep.Errorf(sweep.LinkRequired, "there is an account with this address: give its password once, and Google signs in from then on").With("email", g.email)
	}
	return session, owes, err
}

// returns signs a person in whose Google account is known, whatever address it has now.
func (s *Service) returns(ctx context.Context, customer, user sweep.ID, g guest, c Client) (session Session, owes, err error) {
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		known, err := tx.SignedInWithGoogle(user, g.subject) // locks, as whoever sets a password or a second factor, or unlinks
		if err != nil {
			return err
		}
		if !known {
			return errTaken
		}
		u, err := tx.User(user)
		if err != nil {
			return err
		}
		if owes, err = s.second(tx, u, "", c); err != nil || owes != nil {
			return err
		}
		if err := s.recognize(tx, u, c, false); err != nil {
			return err
		}
		session, err = s.begin(tx, u.ID, c, "user.signed_in_with_google")
		return err
	})
	return session, owes, err
}

// settles signs a guest up whom nobody knows: without a password, and without a mail, since Google has proven the address. It takes the place of a
// sign-up that waits for a proof of it.
func (s *Service) settles(ctx context.Context, g guest, waiting sweep.ID, c Client) (session Session, err error) {
	if err := s.admit(ctx, c); err != nil {
		return Session{}, err
	}
	if err := s.mayBecome(ctx, g.email, c); err != nil {
		return Session{}, err
	}
	err = s.register(ctx, store.User{Email: g.email, Name: g.name}, true, waiting, c, func(tx *store.Tx, _ []byte, u store.User) error {
		session, err = s.moveIn(tx, u.ID, g, c)
		return err
	})
	return session, err
}

// moveIn ties the Google account to a user whose address it has proven and begins their first session.
func (s *Service) moveIn(tx *store.Tx, user sweep.ID, g guest, c Client) (Session, error) {
	first, err := tx.TieGoogleIdentity(user, g.subject)
	if err != nil {
		return Session{}, err
	}
	if !first {
		return Session{}, errTaken
	}
	if err := s.recognize(tx, store.User{ID: user}, c, true); err != nil {
		return Session{}, err
	}
	return s.begin(tx, user, c, "user.verified_by_google")
}
