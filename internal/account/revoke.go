package account

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// Revoker takes back consents at Google: the worker's side of disconnecting, because only it can open a refresh token.
type Revoker struct {
	DB     *store.DB
	Opener *secret.TokenOpener
	OAuth  interface {
		Revoke(ctx context.Context, refreshToken string) error
	}
	Log *slog.Logger
}

// RevokeDue revokes and deletes the tokens of mailboxes that were disconnected, and of consents that nobody completed. What fails stays due.
func (r *Revoker) RevokeDue(ctx context.Context) error {
	due, err := r.DB.MailboxesToRevoke(ctx, 50)
	if err != nil {
		return err
	}
	var errs []error
	for _, d := range due {
		if err := r.revoke(ctx, d.Customer, d.Mailbox); err != nil {
			errs = append(errs, fmt.Errorf("revoke %s: %w", sweep.MailboxID.Show(d.Mailbox), err))
		}
	}
	late, err := r.DB.ConsentsToRevoke(ctx, 50)
	errs = append(errs, err)
	for _, c := range late {
		if err := r.revokeParked(ctx, c); err != nil {
			errs = append(errs, fmt.Errorf("revoke a consent of %s: %w", sweep.CustomerID.Show(c.Customer), err))
		}
	}
	return errors.Join(errs...)
}

func (r *Revoker) revokeParked(ctx context.Context, c store.ParkedConsent) error {
	there := false
	err := r.DB.Tenant(ctx, c.Customer, func(tx *store.Tx) (err error) {
		c, there, err = tx.LateConsent(c.Hash)
		return err
	})
	if err != nil || !there {
		return err
	}
	if err := r.giveBack(ctx, c.Customer, c.Account, c.Granted); err != nil {
		return err
	}
	return r.DB.Tenant(ctx, c.Customer, func(tx *store.Tx) error { return tx.DropConsent(c.Hash) })
}

func (r *Revoker) revoke(ctx context.Context, customer, mailbox sweep.ID) error {
	var box store.Mailbox
	var sealed []byte
	err := r.DB.Tenant(ctx, customer, func(tx *store.Tx) (err error) {
		if box, err = tx.Mailbox(mailbox); err != nil || box.State != "disconnected" {
			return err // connected again meanwhile: its consent is wanted
		}
		sealed, err = tx.RefreshToken(mailbox)
		return err
	})
	if err != nil && sweep.CodeOf(err) != sweep.MailboxNeedsReconnect { // that code: there is no token any more
		return err
	}
	if box.State != "disconnected" {
		return nil
	}
	if sealed != nil {
		if err := r.giveBack(ctx, customer, box.Account, sealed); err != nil {
			return err
		}
	}
	return r.DB.Tenant(ctx, customer, func(tx *store.Tx) error { return tx.Revoked(mailbox) })
}

// giveBack revokes the consent of an account, unless somebody still has the account connected, or is about to: at Google it is one consent for all of
// them, and the last to leave gives it back. The token of who leaves is deleted in any case.
func (r *Revoker) giveBack(ctx context.Context, customer sweep.ID, account, sealed []byte) error {
	used, err := r.DB.ConsentInUse(ctx, account)
	if err != nil || used {
		return err
	}
	token, err := r.Opener.Open(sealed, tokenPlace(customer, account))
	if err != nil {
		return fmt.Errorf("open token: %w", err)
	}
	return r.OAuth.Revoke(ctx, string(token))
}
