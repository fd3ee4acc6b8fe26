package account

import (
	"context"
	"time"

	"mailsweep/internal/mail"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// MakeExport is the errand of making what AskExport asked for: the post's id is the export's.
const MakeExport mail.Kind = "make_export"

const (
	betweenExports = 24 * time.Hour
	givenUp        = deliverWithin + time.Hour // an export that is not ready by then never will be
)

// ExportView is an export as its customer sees it: preparing, ready, expired or failed.
type ExportView struct {
	ID        string     `json:"id"`
	State     string     `json:"state" enum:"preparing,ready,expired,failed"`
	CreatedAt time.Time  `json:"created_at"`
	ReadyAt   *time.Time `json:"ready_at,omitempty"`
	ExpiresAt *time.Time `json:"expires_at,omitempty" doc:"Until when it can be fetched"`
	Bytes     int64      `json:"bytes,omitempty"`
	Download  string     `json:"download,omitempty" doc:"Path of the file, while it is ready"`
}

func exportView(e store.Export, now time.Time) ExportView {
	v := ExportView{ID: sweep.ExportID.Show(e.ID), State: "preparing", CreatedAt: e.CreatedAt, ReadyAt: orNil(e.ReadyAt), ExpiresAt: orNil(e.ExpiresAt), Bytes: e.Bytes}
	switch {
	case !e.ReadyAt.IsZero() && now.Before(e.ExpiresAt):
		v.State, v.Download = "ready", "/api/v1/account/exports/"+v.ID+"/file"
	case !e.ReadyAt.IsZero():
		v.State = "expired"
	case now.Sub(e.CreatedAt) > givenUp:
		v.State = "failed"
	}
	return v
}

// AskExport asks for everything that is kept of the actor's customer, as one file; who asked is told by mail when it is ready. Forbidden but
// for owners; Unauthenticated when password or code are wrong, TOTPRequired when the code is missing; RateLimited within a day of the last.
func (s *Service) AskExport(ctx context.Context, a sweep.Actor, password, code string, c Client) (v ExportView, err error) {
	if err := mayExport(a); err != nil {
		return v, err
	}
	err = s.proven(ctx, a, password, code, c, &v, func(tx *store.Tx, u store.User) error {
		customer, err := tx.LockCustomer()
		if err != nil {
			return err
		}
		last, err := tx.Exports()
		if err != nil {
			return err
		}
		if len(last) > 0 && tx.Now.Sub(last[0].CreatedAt) < betweenExports {
			wait := last[0].CreatedAt.Add(betweenExports).Sub(tx.Now)
			return sweep.Errorf(sweep.RateLimited, "one export a day: there is one already").With("retry_after", max(1, int(wait.Seconds())))
		}
		e, err := s.newExport(tx, customer, u, c)
		if err != nil {
			return err
		}
		v = exportView(e, tx.Now)
		return tx.Audit(store.AuditEntry{Actor: a, Action: "export.asked", Object: v.ID})
	})
	return v, err
}

func (s *Service) newExport(tx *store.Tx, customer store.Customer, u store.User, c Client) (e store.Export, err error) {
	box, err := s.Vault.Box(customer.DataKey, tx.Customer.String())
	if err != nil {
		return e, err
	}
	id, err := tx.Post(box, store.Post{User: u.ID, Kind: string(MakeExport), Data: struct{}{}, RequestID: c.RequestID})
	if err != nil {
		return e, err
	}
	return store.Export{ID: id, User: u.ID, CreatedAt: tx.Now}, tx.InsertExport(id, u.ID)
}

func mayExport(a sweep.Actor) error {
	if a.Kind != sweep.ByToken || a.Role != sweep.Owner {
		return sweep.Errorf(sweep.Forbidden, "only an owner can do this")
	}
	return nil
}

// Exports lists what was asked for in the last days, the newest first. Forbidden but for owners.
func (s *Service) Exports(ctx context.Context, a sweep.Actor) ([]ExportView, error) {
	views := []ExportView{}
	if err := mayExport(a); err != nil {
		return nil, err
	}
	err := s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		list, err := tx.Exports()
		for _, e := range list {
			views = append(views, exportView(e, tx.Now))
		}
		return err
	})
	return views, err
}

// Export tells the state of one. Forbidden but for owners; NotFound.
func (s *Service) Export(ctx context.Context, a sweep.Actor, id sweep.ID) (v ExportView, err error) {
	if err := mayExport(a); err != nil {
		return v, err
	}
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		e, err := tx.Export(id)
		v = exportView(e, tx.Now)
		return err
	})
	return v, err
}

// ExportFile is an export that is being fetched.
type ExportFile struct {
	Size     int64
	s        *Service
	customer sweep.ID
	id       sweep.ID
	n        int
}

// FetchExport begins to hand out the file, which the audit log says. Forbidden but for owners; NotFound, also when it has expired; Conflict
// while it is not ready.
func (s *Service) FetchExport(ctx context.Context, a sweep.Actor, id sweep.ID) (f *ExportFile, err error) {
	if err := mayExport(a); err != nil {
		return nil, err
	}
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		e, err := tx.Export(id)
		if err != nil {
			return err
		}
		switch v := exportView(e, tx.Now); v.State {
		case "preparing":
			return sweep.Errorf(sweep.Conflict, "the export is not ready yet: you get a mail when it is")
		case "expired", "failed":
			return sweep.Errorf(sweep.NotFound, "this export cannot be fetched any more: ask for another").OfOwn()
		}
		f = &ExportFile{Size: e.Bytes, s: s, customer: a.Customer, id: id}
		return tx.Audit(store.AuditEntry{Actor: a, Action: "export.fetched", Object: sweep.ExportID.Show(id)})
	})
	return f, err
}

// Next gives the next piece of the file: Size bytes in all. Each is a transaction of its own, so a slow reader holds nothing. NotFound when the
// export has expired or was deleted on the way.
func (f *ExportFile) Next(ctx context.Context) (piece []byte, err error) {
	err = f.s.DB.Tenant(ctx, f.customer, func(tx *store.Tx) error {
		c, err := tx.LoadCustomer()
		if err != nil {
			return err
		}
		box, err := f.s.Vault.Box(c.DataKey, f.customer.String())
		if err != nil {
			return err
		}
		piece, err = tx.ExportPart(box, f.id, f.n)
		return err
	})
	f.n++
	return piece, err
}
