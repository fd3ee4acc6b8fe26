// Package account signs people up and in, connects their mailboxes, keeps their keep list and delivers their mail.
package account

import (
	"context"
	"crypto/rsa"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/netip"
	"time"

	"golang.org/x/text/unicode/norm"

	"mailsweep/internal/gmail"
	"mailsweep/internal/ratelimit"
	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// Service is used by pointer; its fields must not change after the first call.
type Service struct {
	DB        *store.DB
	Passwords *secret.Passwords
	Pseudonym secret.Pseudonym
	Vault     *secret.Vault
	Tokens    *secret.TokenSealer
	OAuth     Consent
	Signer    *Signer
	Plans     sweep.Plans
	Limits    Limits
	Beta      Beta
	Requests  *ratelimit.Requests
	PublicURL string         // of the pages, no trailing slash: the OAuth callback redirects below it
	Grace     time.Duration  // between the deletion of a customer and its purge; 0: a week
	ClientID  string         // ours at Google: for whom its security events are meant
	Order     func(sweep.ID) // tells the workers that a job (the zero id: any) has new orders; nil: they find out
	Log       *slog.Logger

	seen     cache
	keys     standings[store.KeyStanding]
	sessions standings[store.SessionStanding]
	turns    turns
}

// Consent asks Google for the right to work in a mailbox, and who somebody is.
type Consent interface {
	AuthorizeURL(state, verifier, loginHint string) string
	Exchange(ctx context.Context, code, verifier string) (gmail.Grant, error)
	SignInURL(state, verifier, nonce string) string
	SignIn(ctx context.Context, code, verifier string, nonceHash []byte) (gmail.Identity, error)
	SigningKey(ctx context.Context, kid string) (*rsa.PublicKey, error)
}

// Limits bound what strangers can try; 0 means the default. Failures of an address and a network are counted per 15 minutes.
type Limits struct {
	SignupsPerHourPerIP int           // 5
	SignupsPerHour      int           // 1000, of everybody together
	ResetsPerHourPerIP  int           // 10 mails for new passwords
	GoogleStartsPerIP   int           // 60 sign-ins begun at Google
	LoginFailures       int           // 5 before waits begin, of one account, whoever tries from where it is not known; of one device that is; of one session
	LoginFailuresPerIP  int           // 20
	LoginFailuresPerNet int           // 100, of a /24 or /64
	LoginWait           time.Duration // 1 s, the first wait
	DenialsPerMinute    int           // 10 rows in a customer's audit log about objects that are not there
}

// Client is who calls, as the edge saw it.
type Client struct {
	IP         netip.Addr
	UserAgent  string
	RequestID  string
	Device     string // of an earlier Session, where the caller has one
	Invitation string // of an operator, to who signs up
	Cookie     bool   // whether a session that begins is to be a browser's, in a cookie, in the place of an access token
}

// Me is a person with the customer they work for.
type Me struct {
	ID          string          `json:"id"` // the customer's
	UserID      string          `json:"user_id"`
	Email       string          `json:"email"`
	Name        string          `json:"name"`
	Role        sweep.Role      `json:"role"`
	Plan        sweep.Tier      `json:"plan"`
	TrialEndsAt *time.Time      `json:"trial_ends_at,omitempty"`
	Features    []sweep.Feature `json:"features"`
}

// Session is a fresh access token, or the cookie of a browser with what belongs to it. ExpiresIn is in seconds; a cookie's session can end
// before by not being used.
type Session struct {
	AccessToken string `json:"access_token,omitempty" doc:"Unless a cookie was asked for"`
	TokenType   string `json:"token_type,omitempty"`
	ExpiresIn   int    `json:"expires_in"`
	CSRFToken   string `json:"csrf_token,omitempty" doc:"With a cookie: for the header X-CSRF-Token of everything but GET"`
	Device      string `json:"device" doc:"Keep it on this device and send it with the next sign-in: failures of strangers do not stop it then. It opens nothing by itself; 180 days"`
	Customer    Me     `json:"customer"`
	Cookie      string `json:"cookie,omitempty" hidden:"true"` // the value to set; kept with the answer, and never in its body
}

// Format keeps the token out of logs.
func (Session) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte("[redacted]")) }

// Mask implements store.Masked.
func (s *Session) Mask() {
	s.Device, s.Cookie = "", "" // a client that keeps what it is told would keep a mask in the place of a good one
	for _, secret := range []*string{&s.AccessToken, &s.CSRFToken} {
		if *secret != "" {
			*secret = masked
		}
	}
}

// Me tells who the actor is and what their plan allows now.
func (s *Service) Me(ctx context.Context, a sweep.Actor) (me Me, err error) {
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		customer, err := tx.LoadCustomer()
		if err != nil {
			return err
		}
		user, err := tx.User(a.User)
		me = s.me(customer, user, tx.Now)
		return err
	})
	return me, err
}

func (s *Service) me(c store.Customer, u store.User, now time.Time) Me {
	plan := s.Plans.PlanAt(c.Customer, now)
	me := Me{ID: sweep.CustomerID.Show(c.ID), UserID: sweep.UserID.Show(u.ID), Email: u.Email, Name: u.Name, Role: plan.RoleOf(u.Role, u.Rank), Plan: plan.Tier,
		Features: append([]sweep.Feature{}, plan.Features...)}
	if !c.TrialEndsAt.IsZero() {
		me.TrialEndsAt = &c.TrialEndsAt
	}
	return me
}

// canonicalEmail brings an address into its one spelling: compatibility forms first, then sweep's rules.
func canonicalEmail(email string) (string, error) {
	return sweep.CanonicalEmail(norm.NFKC.String(email))
}

// addressHash is what the audit log and the limits know of a caller's address.
func (s *Service) addressHash(c Client) []byte {
	if !c.IP.IsValid() {
		return nil
	}
	return s.Pseudonym.Of("ip", c.IP.Unmap().WithZone("").String())
}

// network is the caller's neighbourhood: a customer of a provider owns at least a whole /64.
func (s *Service) network(c Client, bits4, bits6 int) string {
	hash := s.networkHash(c, bits4, bits6)
	if hash == nil {
		return "unknown"
	}
	return hex.EncodeToString(hash)
}

func (s *Service) networkHash(c Client, bits4, bits6 int) []byte {
	ip := c.IP.Unmap().WithZone("")
	bits := bits6
	if ip.Is4() {
		bits = bits4
	}
	prefix, err := ip.Prefix(bits)
	if err != nil {
		return nil
	}
	return s.Pseudonym.Of("net", prefix.String())
}

func (s *Service) actor(customer, user sweep.ID, role sweep.Role, c Client) sweep.Actor {
	return sweep.Actor{Kind: sweep.ByToken, Customer: customer, User: user, Role: role, RequestID: c.RequestID, AddressHash: s.addressHash(c)}
}

// hideAfter is longer than what follows a hash takes in the database, so that the time of an answer does not tell which of
// several paths was taken.
const hideAfter = 100 * time.Millisecond

// hide waits until hideAfter has passed since then.
func hide(ctx context.Context, since time.Time) {
	timer := time.NewTimer(time.Until(since.Add(hideAfter)))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

func or(n, fallback int) int {
	if n > 0 {
		return n
	}
	return fallback
}
