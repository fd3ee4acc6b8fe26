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

// RevokeDue revokes and deletes the tokens of mailboxes that were disconnected. What fails stays due.
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
	return errors.Join(errs...)
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

// giveBack revokes the consent of an account, unless another customer still has the account connected: at Google it is one consent for all of
// them, and the last to leave gives it back. The token of who leaves is deleted in any case.
func (r *Revoker) giveBack(ctx context.Context, customer sweep.ID, account, sealed []byte) error {
	others, err := r.DB.MailboxesOf(ctx, account)
	if err != nil || len(others) > 0 {
		return err
	}
	token, err := r.Opener.Open(sealed, tokenPlace(customer, account))
	if err != nil {
		return fmt.Errorf("open token: %w", err)
	}
	return r.OAuth.Revoke(ctx, string(token))
}
