package store

import (
	"fmt"
	"strings"
	"time"

	"mailsweep/internal/sweep"
)

// Mailing is a post in the hands of the one who sends it. Data is sealed.
type Mailing struct {
	ID        sweep.ID
	User      sweep.ID
	Kind      string
	Data      []byte
	Attempts  int // this one counted
	RequestID string
	CreatedAt time.Time
}

// How long a claim of a post holds. A letter takes seconds, an errand, such as making an export, what it takes.
const (
	letterClaim = 2 * time.Minute
	ErrandClaim = 15 * time.Minute
)

// errands begin the kinds of posts that are work of ours and no letters.
const errands = "make_"

// Errand says whether a post of this kind is no letter.
func Errand(kind string) bool { return strings.HasPrefix(kind, errands) }

// TakeMailing claims a dispatched post for two minutes, an errand for ErrandClaim; ok is false when the task is a duplicate or the post is done. The epoch grows
// with the claim, so a task delivered twice claims once. A claimant that dies leaves the post to be handed out again.
func (tx *Tx) TakeMailing(post sweep.ID, epoch int) (m Mailing, ok bool, err error) {
	var rows []struct {
		UserID          dbID
		Kind, RequestID string
		Data            []byte
		Attempts        int
		CreatedAt       time.Time
	}
	err = tx.Raw(`UPDATE outbox SET epoch = epoch + 1, attempts = attempts + 1, run_at = clock_timestamp() + make_interval(secs => CASE WHEN starts_with(kind, ?) THEN ?::float8 ELSE ?::float8 END)
		WHERE customer_id = ? AND id = ? AND epoch = ? AND state = 'dispatched' RETURNING user_id, kind, request_id, data, attempts, created_at`,
		errands, ErrandClaim.Seconds(), letterClaim.Seconds(), dbID(tx.Customer), dbID(post), epoch).Scan(&rows).Error
	if err != nil || len(rows) == 0 {
		return m, false, doing(err, "take post")
	}
	r := rows[0]
	return Mailing{ID: post, User: sweep.ID(r.UserID), Kind: r.Kind, Data: r.Data, Attempts: r.Attempts, RequestID: r.RequestID, CreatedAt: r.CreatedAt.UTC()}, true, nil
}

// MailingSent ends a post that was delivered and empties what it said.
func (tx *Tx) MailingSent(post sweep.ID) error {
	return doing(tx.Exec("UPDATE outbox SET state = 'done', sent_at = ?, data = NULL, error = '' WHERE customer_id = ? AND id = ? AND state = 'dispatched'",
		tx.Now, dbID(tx.Customer), dbID(post)).Error, "end post")
}

// MailingMuted ends a post that its reader does not want, unsent, and empties what it said.
func (tx *Tx) MailingMuted(post sweep.ID) error {
	return doing(tx.Exec("UPDATE outbox SET state = 'done', data = NULL, error = 'muted' WHERE customer_id = ? AND id = ? AND state = 'dispatched'",
		dbID(tx.Customer), dbID(post)).Error, "end unwanted post")
}

// MailingFailed notes the code of a failure and when to try again; zero means never: what the post said is emptied then too.
func (tx *Tx) MailingFailed(post sweep.ID, code string, retryIn time.Duration) error {
	if retryIn <= 0 {
		return doing(tx.Exec("UPDATE outbox SET state = 'failed', data = NULL, error = ? WHERE customer_id = ? AND id = ? AND state = 'dispatched'",
			code, dbID(tx.Customer), dbID(post)).Error, "give up post")
	}
	return doing(tx.Exec(`UPDATE outbox SET state = 'queued', error = ?, run_at = clock_timestamp() + make_interval(secs => ?)
		WHERE customer_id = ? AND id = ? AND state = 'dispatched'`, code, retryIn.Seconds(), dbID(tx.Customer), dbID(post)).Error, "put post off")
}

func doing(err error, what string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}
