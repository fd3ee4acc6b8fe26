package account

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"mailsweep/internal/mail"
	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// Mailer posts mail and delivers what was posted.
type Mailer struct {
	DB     *store.DB
	Sender *mail.Sender
	Vault  *secret.Vault
	// Errands are posts that are no mail, by kind: what is done in the place of sending, with the post's id. To do one again that was done
	// changes nothing.
	Errands map[mail.Kind]func(ctx context.Context, customer, post sweep.ID) error
}

// deliverWithin is how long a relay may stay away before a mail is given up: what mails speak of is stale by then.
const deliverWithin = 24 * time.Hour

// Post puts a mail into the outbox; it goes out once the transaction has committed. A zero user means the customer's owner.
func (m *Mailer) Post(tx *store.Tx, kind mail.Kind, user sweep.ID, data mail.Data) error {
	customer, err := tx.LoadCustomer()
	if err != nil {
		return err
	}
	box, err := m.Vault.Box(customer.DataKey, customer.ID.String())
	if err != nil {
		return err
	}
	_, err = tx.Post(box, store.Post{User: user, Kind: string(kind), Data: data})
	return err
}

// errAlien marks a post that nobody can or need send.
var errAlien = errors.New("it has no reader or cannot be read")

// errMuted marks a post that its reader does not want.
var errMuted = errors.New("its reader turned such mails off")

// Deliver sends a post that the dispatcher handed out under this epoch. Of several deliveries of one epoch one sends; should
// it die between the relay's yes and the note of it, the next epoch sends again under the same Message-ID. nil: sent, unwanted or a duplicate.
// An error was noted in the row before: put off, or given up when no retry can help or a day has passed. Errors hold no address.
func (m *Mailer) Deliver(ctx context.Context, customer, post sweep.ID, epoch int) error {
	letter, taken, err := m.take(ctx, customer, post, epoch)
	if err == nil && taken == nil {
		return nil
	}
	if taken == nil {
		return err
	}
	if err == nil {
		err = m.do(ctx, customer, letter, taken.ID)
	}
	return m.note(ctx, customer, *taken, letter.To, err)
}

// do sends the letter, or does the errand that it stands for.
func (m *Mailer) do(ctx context.Context, customer sweep.ID, letter mail.Message, post sweep.ID) error {
	if errand := m.Errands[letter.Kind]; errand != nil {
		return errand(ctx, customer, post)
	}
	return m.Sender.Send(ctx, letter)
}

// take claims the post and composes its message; nil when there is nothing to do.
func (m *Mailer) take(ctx context.Context, customer, post sweep.ID, epoch int) (letter mail.Message, taken *store.Mailing, err error) {
	var unreadable error
	err = m.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		mailing, ok, err := tx.TakeMailing(post, epoch)
		if err != nil || !ok {
			return err
		}
		taken = &mailing
		letter, err = m.compose(tx, mailing)
		switch {
		case errors.Is(err, errMuted):
			taken = nil
			return tx.MailingMuted(post)
		case errors.Is(err, errAlien): // the claim stands, so that it can be given up
			unreadable, err = err, nil
		}
		return err
	})
	if err != nil {
		return letter, nil, err
	}
	return letter, taken, unreadable
}

func (m *Mailer) compose(tx *store.Tx, mailing store.Mailing) (mail.Message, error) {
	letter := mail.Message{ID: mailing.ID.String(), Kind: mail.Kind(mailing.Kind)}
	if m.Errands[letter.Kind] != nil {
		return letter, nil
	}
	customer, err := tx.LoadCustomer()
	if err != nil {
		return letter, err
	}
	if err := m.open(customer, mailing, &letter.Data); err != nil {
		return letter, err
	}
	letter.To, err = reader(tx, mailing, letter.Data)
	if sweep.CodeOf(err) == sweep.NotFound {
		err = fmt.Errorf("find the reader: %w", errAlien)
	}
	return letter, err
}

// reader is the address that a post names, or its person's, or the owner's. errMuted when that person turned off mails of its kind.
func reader(tx *store.Tx, mailing store.Mailing, data mail.Data) (address string, err error) {
	if data.To != "" {
		return data.To, nil
	}
	person := mailing.User
	if person.IsZero() {
		person, err = tx.Owner()
	}
	if err == nil {
		err = wanted(tx, person, mail.Kind(mailing.Kind))
	}
	if err != nil {
		return "", err
	}
	return tx.Address(person)
}

func (m *Mailer) open(customer store.Customer, mailing store.Mailing, data *mail.Data) error {
	box, err := m.Vault.Box(customer.DataKey, customer.ID.String())
	if err != nil {
		return fmt.Errorf("%w: %w", errAlien, err)
	}
	plain, err := mailing.Open(box)
	if err == nil {
		err = json.Unmarshal(plain, data)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errAlien, err)
	}
	return nil
}

// note writes down what became of a try, even when the process is being stopped: the relay has the mail already.
func (m *Mailer) note(ctx context.Context, customer sweep.ID, mailing store.Mailing, to string, failure error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err := m.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		switch {
		case failure == nil:
			return tx.MailingSent(mailing.ID)
		case errors.Is(failure, errAlien):
			return tx.MailingFailed(mailing.ID, "unreadable", 0)
		case mail.IsPermanent(failure):
			return tx.MailingFailed(mailing.ID, "refused", 0)
		case tx.Now.Sub(mailing.CreatedAt) > deliverWithin:
			return tx.MailingFailed(mailing.ID, "given_up", 0)
		}
		return tx.MailingFailed(mailing.ID, "relay", min(time.Minute<<min(mailing.Attempts-1, 6), time.Hour))
	})
	if failure != nil {
		failure = fmt.Errorf("deliver post %s: %s", mailing.ID, withoutAddress(failure.Error(), to))
	}
	return errors.Join(failure, err)
}

func withoutAddress(text, address string) string {
	if address == "" {
		return text
	}
	return strings.ReplaceAll(text, address, "[address]")
}
