package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"mailsweep/internal/sweep"
)

// ErrAway says that the database was not reached, did not answer in time, broke the connection or gave others the way. Whether what was asked happened is
// not known: to ask again is right wherever a key, a fence or an epoch goes with it. Its code is unavailable.
var ErrAway error = sweep.Errorf(sweep.Unavailable, "a part of the service is away for the moment: try again")

// away marks an error that is the connection's and not the statement's. That the caller itself gave up is no such thing.
func away(caller context.Context, err error) error {
	if err == nil || caller.Err() != nil || errors.Is(err, ErrAway) || !isAway(err) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrAway, err)
}

// isAway knows PostgreSQL's error classes 08 (connection), 40 (rolled back: a deadlock), 53 (resources: memory, disk, connections) and 57
// (shutdown, start, time over), what breaks below the protocol, and a deadline that only we can have set.
func isAway(err error) bool {
	var refused *pgconn.PgError
	var broken net.Error
	if errors.As(err, &refused) {
		return slices.ContainsFunc([]string{"08", "40", "53", "57"}, func(class string) bool { return strings.HasPrefix(refused.Code, class) })
	}
	known := []error{io.EOF, io.ErrUnexpectedEOF, net.ErrClosed, context.DeadlineExceeded, driver.ErrBadConn, sql.ErrConnDone,
		sql.ErrTxDone} // what comes behind the deadline finds its transaction rolled back
	return errors.As(err, &broken) || pgconn.SafeToRetry(err) || slices.ContainsFunc(known, func(k error) bool { return errors.Is(err, k) })
}

// patient is ctx with the time that one transaction may take.
func (db *DB) patient(ctx context.Context) (context.Context, context.CancelFunc) {
	if db.patience == 0 {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, db.patience)
}
