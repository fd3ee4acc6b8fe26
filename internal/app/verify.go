package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"time"

	"mailsweep/internal/config"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

const (
	verifyPage = 200
	deadSlack  = time.Minute // a claim whose lease ended so long ago should have been swept thirty times
)

// VerifyQuota compares every customer's usage with the ledger and with what open jobs hold. It changes nothing, and a discrepancy is an
// error.
func VerifyQuota(ctx context.Context, cfg config.Config, _ *slog.Logger) error {
	return verify(ctx, cfg, os.Stdout, "quota", whole((*store.Tx).QuotaBreaches))
}

// VerifyJobs looks for stuck and contradictory jobs and for breaks in the audit chain, of every customer. It changes nothing, and a
// discrepancy is an error.
func VerifyJobs(ctx context.Context, cfg config.Config, _ *slog.Logger) error {
	return verify(ctx, cfg, os.Stdout, "jobs", whole(func(tx *store.Tx) ([]store.Discrepancy, error) { return tx.JobBreaches(deadSlack) }))
}

// whole passes over customers of whom a part may be purged already. Their audit chain is kept, and VerifyAudit looks at it.
func whole(look func(*store.Tx) ([]store.Discrepancy, error)) func(*store.Tx) ([]store.Discrepancy, error) {
	return func(tx *store.Tx) ([]store.Discrepancy, error) {
		c, err := tx.LoadCustomer()
		if err != nil || !c.DeletedAt.IsZero() && len(c.DataKey) == 0 {
			return nil, err
		}
		return look(tx)
	}
}

// verify prints what look finds wrong with each customer, then what after finds wrong with none of them.
func verify(ctx context.Context, cfg config.Config, out io.Writer, what string, look func(*store.Tx) ([]store.Discrepancy, error), after ...func(io.Writer) int) error {
	db, err := store.Open(ctx, store.Options{URL: cfg.DB.For(cfg.Process).Reveal(), Process: "verify", MaxConns: 4, ClockOffset: cfg.ClockOffset})
	if err != nil {
		return err
	}
	defer db.Close()
	customers, wrong := 0, 0
	err = db.EachCustomer(ctx, verifyPage, func(id sweep.ID) error {
		customers++
		return db.Tenant(ctx, id, func(tx *store.Tx) error {
			list, err := look(tx)
			for _, d := range list {
				fmt.Fprintf(out, "%s %s: %s (%s)\n", sweep.CustomerID.Show(id), d.Object, d.Rule, d.Detail)
			}
			wrong += len(list)
			return err
		})
	})
	if err != nil {
		return err
	}
	for _, more := range after {
		wrong += more(out)
	}
	fmt.Fprintf(out, "%s verify: %d customers, %d discrepancies\n", what, customers, wrong)
	if wrong > 0 {
		return sweep.Errorf(sweep.Conflict, "%d discrepancies", wrong)
	}
	return nil
}
