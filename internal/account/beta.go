package account

import (
	"context"
	"crypto/hmac"
	"encoding/base64"
	"encoding/binary"
	"net/url"
	"time"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// Beta says who may become a customer. The zero value lets everybody.
type Beta struct {
	Invited bool // only who brings an invitation that an operator made for their address
	Most    int  // customers whose address is proven; 0: any number
}

// InviteCustomer makes the address of a sign-up page for one address, good until then. Nothing is kept of it: it carries its own proof, which is worth
// nothing with any other address, and an address has one account. Invalid.
func (s *Service) InviteCustomer(address string, until time.Time) (link string, err error) {
	address, err = canonicalEmail(address)
	if err != nil {
		return "", sweep.Errorf(sweep.Invalid, "this is not an e-mail address")
	}
	return s.PublicURL + "/signup?" + url.Values{"invitation": {s.invitationTo(address, until.Unix())}}.Encode(), nil
}

// invitationTo is a time and what only this service can make of it and an address.
func (s *Service) invitationTo(address string, until int64) string {
	ends := binary.BigEndian.AppendUint64(nil, uint64(until))
	return base64.RawURLEncoding.EncodeToString(append(ends, s.Pseudonym.Of("beta_invitation", string(ends)+address)...))
}

// mayBecome refuses who may not become a customer. The answer hangs on what is brought along, never on whether the address is known here.
// InvitationNeeded; SignUpsFull.
func (s *Service) mayBecome(ctx context.Context, address string, c Client) error {
	if s.Beta.Invited && !s.invited(address, c.Invitation) {
		return sweep.Errorf(sweep.InvitationNeeded, "we are in a closed test: a new account needs an invitation to its address, and this is none that is still good")
	}
	if s.Beta.Most == 0 {
		return nil
	}
	n, err := s.DB.ProvenCustomers(ctx)
	if err == nil && n >= s.Beta.Most {
		err = full()
	}
	return err
}

func (s *Service) invited(address, invitation string) bool {
	raw, err := base64.RawURLEncoding.DecodeString(invitation)
	if err != nil || len(raw) < 8 {
		return false
	}
	until := int64(binary.BigEndian.Uint64(raw))
	return hmac.Equal([]byte(invitation), []byte(s.invitationTo(address, until))) && time.Now().Before(time.Unix(until, 0))
}

// settle lets no more customers in than there is room for, however many prove their addresses at once.
func (s *Service) settle(tx *store.Tx) error {
	if s.Beta.Most == 0 {
		return nil
	}
	n, err := tx.CountCustomersAlone()
	if err == nil && n >= s.Beta.Most {
		err = full()
	}
	return err
}

func full() error {
	return sweep.Errorf(sweep.SignUpsFull, "there is no room for more accounts at the moment: please come back later")
}
