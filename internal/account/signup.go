package account

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"mailsweep/internal/mail"
	"mailsweep/internal/ratelimit"
	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// verifyWithin is how long a verification mail is good for.
const verifyWithin = 24 * time.Hour

// errTaken ends a registration whose address has a user.
var errTaken = errors.New("the address is taken")

// SignUp makes a customer with one user, its owner, and mails a link that proves the address. Until then it is nobody's: its trial has not
// begun, and it is dropped when nobody proves the address for long. Who signs up with a known address
// gets the same answer in the same time: where nobody has proven the address yet the sign-up takes the place of the one before, else its
// owner gets a mail that says so and nothing changes. Invalid with fields, RateLimited
// with retry_after in seconds, InvitationNeeded, SignUpsFull, Unavailable when too many hash passwords at once.
func (s *Service) SignUp(ctx context.Context, email, password, name string, c Client) error {
	email, name, err := s.checkNewcomer(email, password, name)
	if err != nil {
		return err
	}
	if err := s.admit(ctx, c); err != nil {
		return err
	}
	if err := s.mayBecome(ctx, email, c); err != nil {
		return err
	}
	hash, err := s.Passwords.Hash(ctx, password)
	if err != nil {
		return err
	}
	defer hide(ctx, time.Now())
	err = s.register(ctx, store.User{Email: email, Name: name, Password: hash}, false, sweep.ID{}, c, func(tx *store.Tx, dataKey []byte, u store.User) error {
		return s.mailVerification(tx, dataKey, u, c.RequestID)
	})
	if errors.Is(err, errTaken) {
		return s.again(ctx, email, hash, name, c)
	}
	if err == nil {
		_, err = s.mayMail(ctx, "signup", email) // this mail is counted too: a form sent twice mails one link
	}
	return err
}

func (s *Service) checkNewcomer(email, password, name string) (canonical, cleaned string, err error) {
	bad := sweep.Errorf(sweep.Invalid, "the sign-up is not valid")
	canonical, err = canonicalEmail(email)
	if err != nil {
		bad = bad.At("email", "is not an e-mail address")
	}
	if err := s.Passwords.Check(password, canonical, name); err != nil {
		bad = bad.At("password", err.Error())
	}
	name, ok := cleanName(name)
	if !ok {
		bad = bad.At("name", "must be a text of at most 100 characters on one line")
	}
	if len(bad.Fields) > 0 {
		return "", "", bad
	}
	return canonical, name, nil
}

// cleanName brings a person's name into its canonical form; "" and false for what cannot be one.
func cleanName(name string) (string, bool) {
	name = strings.TrimSpace(norm.NFKC.String(name))
	if !utf8.ValidString(name) || utf8.RuneCountInString(name) > 100 || strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "", false
	}
	return name, true
}

// admit counts sign-ups per address, known or not, and then of everybody together: what many addresses do at once stops all of them, until
// an hour's allowance comes back bit by bit.
func (s *Service) admit(ctx context.Context, c Client) error {
	d, err := s.Requests.AllowIn(ctx, "signup:"+s.network(c, 32, 64), or(s.Limits.SignupsPerHourPerIP, 5), time.Hour, 1)
	if err != nil {
		return err
	}
	if err := limited(d, "too many sign-ups from this address; try again later"); err != nil {
		return err
	}
	d, err = s.Requests.AllowIn(ctx, "signup:all", or(s.Limits.SignupsPerHour, 1000), time.Hour, 1)
	if err != nil {
		return err
	}
	if !d.Allowed {
		s.signupsStopped(ctx, c)
	}
	return limited(d, "too many people sign up at the moment; try again later")
}

// signupsStopped tells whoever runs the service, once a minute.
func (s *Service) signupsStopped(ctx context.Context, c Client) {
	d, err := s.Requests.AllowIn(ctx, "signup:stopped", 1, time.Minute, 1)
	if err == nil && d.Allowed {
		s.Log.ErrorContext(ctx, "sign-ups are put off: more than SIGNUPS_PER_HOUR of everybody together")
		err = s.DB.SecurityEvent(ctx, "signup.stopped", s.addressHash(c), c.RequestID)
	}
	if err != nil {
		s.Log.ErrorContext(ctx, "that sign-ups are put off is not noted", "error", err)
	}
}

func limited(d ratelimit.Decision, detail string) error {
	if d.Allowed {
		return nil
	}
	return sweep.Errorf(sweep.RateLimited, "%s", detail).With("retry_after", max(1, int(math.Ceil(d.RetryAfter.Seconds()))))
}

// register writes everything a new customer begins with, its owner, whose address may be proven already, and what also adds, in one transaction. A sign-up that
// waits for a proof of that address makes room; zero: none does. Of several at once with the same address, the users' unique address lets one
// through; the others are errTaken and leave nothing.
func (s *Service) register(ctx context.Context, user store.User, proven bool, waiting sweep.ID, c Client, also func(tx *store.Tx, dataKey []byte, u store.User) error) error {
	id, err := sweep.NewID(time.Now(), rand.Reader)
	if err != nil {
		return fmt.Errorf("make customer id: %w", err)
	}
	dataKey, err := s.Vault.NewDataKey(id.String())
	if err != nil {
		return err
	}
	return s.DB.Tenant(ctx, id, func(tx *store.Tx) error {
		// first, for whoever proves the address by its mail locks that customer first, and the trial of the address then
		if err := s.makeRoom(tx, waiting, c); err != nil {
			return err
		}
		user.ID = tx.NewID()
		name, trialEnds := "", time.Time{} // those who sign up choose nothing for who owns the address
		if proven {
			if err := s.settle(tx); err != nil {
				return err
			}
			user.VerifiedAt, name = tx.Now, user.Name
			if trialEnds, err = s.trialOf(tx, user.Email); err != nil {
				return err
			}
		}
		if err := tx.InsertCustomer(name, dataKey, trialEnds); err != nil {
			return err
		}
		if err := tx.InsertMember(user.ID, sweep.Owner); err != nil {
			return err
		}
		free, err := tx.InsertUser(user)
		if err != nil {
			return err
		}
		if !free {
			return errTaken
		}
		err = tx.Audit(store.AuditEntry{Actor: s.actor(id, user.ID, sweep.Owner, c), Action: "user.signed_up", Object: sweep.UserID.Show(user.ID)})
		if err != nil {
			return err
		}
		return also(tx, dataKey, user)
	})
}

// mailVerification posts a fresh link; the caller has voided the older ones.
func (s *Service) mailVerification(tx *store.Tx, dataKey []byte, u store.User, requestID string) error {
	token, hash := secret.NewToken()
	err := tx.InsertEmailToken(store.EmailToken{ID: tx.NewID(), User: u.ID, Kind: "verify", Hash: hash, Email: u.Email, ExpiresAt: tx.Now.Add(verifyWithin)})
	if err != nil {
		return err
	}
	return s.post(tx, dataKey, u.ID, mail.VerifyEmail, mail.Data{Name: u.Name, Token: token}, requestID)
}

func (s *Service) post(tx *store.Tx, dataKey []byte, user sweep.ID, kind mail.Kind, data mail.Data, requestID string) error {
	box, err := s.Vault.Box(dataKey, tx.Customer.String())
	if err != nil {
		return err
	}
	_, err = tx.Post(box, store.Post{User: user, Kind: string(kind), Data: data, RequestID: requestID})
	return err
}

// again is a sign-up with a known address. A stranger cannot fill a mailbox with that: one a minute and five a day at most have an
// effect.
func (s *Service) again(ctx context.Context, email, hash, name string, c Client) error {
	customer, u, err := s.find(ctx, email)
	if err != nil || u.ID.IsZero() {
		return err
	}
	kind := "known"
	if u.VerifiedAt.IsZero() {
		kind = "signup"
	}
	if ok, err := s.mayMail(ctx, kind, email); err != nil || !ok {
		return err
	}
	return s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		who, err := tx.LockCustomer() // two at once would leave two good links
		if sweep.CodeOf(err) == sweep.NotFound {
			return nil // deleted, which nobody learns by this
		}
		if err != nil {
			return err
		}
		unproven, err := tx.SignUpAgain(u.ID, name, hash)
		if err != nil {
			return err
		}
		if unproven {
			u.Name = name
			err = s.verifyAnew(tx, who.DataKey, u, c.RequestID)
		} else {
			err = s.post(tx, who.DataKey, u.ID, mail.AlreadyRegistered, mail.Data{Name: u.Name}, c.RequestID)
		}
		if err != nil {
			return err
		}
		stranger := sweep.Actor{Kind: sweep.BySystem, RequestID: c.RequestID, AddressHash: s.addressHash(c)}
		return tx.Audit(store.AuditEntry{Actor: stranger, Action: "user.signed_up_again", Object: sweep.UserID.Show(u.ID)})
	})
}

// verifyAnew mails a link that voids the older ones, under the customer's lock.
func (s *Service) verifyAnew(tx *store.Tx, dataKey []byte, u store.User, requestID string) error {
	if err := tx.VoidEmailTokens(u.ID, "verify"); err != nil {
		return err
	}
	return s.mailVerification(tx, dataKey, u, requestID)
}

func (s *Service) load(tx *store.Tx, user sweep.ID) (store.Customer, store.User, error) {
	customer, err := tx.LoadCustomer()
	if err != nil {
		return customer, store.User{}, err
	}
	u, err := tx.User(user)
	return customer, u, err
}

// mayMail says whether one more mail of a kind that strangers can cause may go to an address: one a minute, five a day.
func (s *Service) mayMail(ctx context.Context, kind, email string) (bool, error) {
	key := fmt.Sprintf("mail:%s:%x", kind, s.Pseudonym.Of("email", email))
	d, err := s.Requests.AllowIn(ctx, key+":minute", 1, time.Minute, 1)
	if err != nil || !d.Allowed {
		return false, err
	}
	d, err = s.Requests.AllowIn(ctx, key+":day", 5, 24*time.Hour, 1)
	return d.Allowed, err
}
