package store

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"

	"mailsweep/internal/sweep"
)

// Session is a browser's, as its person sees it; the cookie itself is not kept.
type Session struct {
	ID, User     sweep.ID
	Hash         []byte // of InsertSession only
	Device       string // program and system in our own words
	Network      []byte // keyed hash of that in which it began; nil: unknown
	TokenVersion int    // the person's; of InsertSession only
	SecondFactor bool   // was given
	CreatedAt    time.Time
	ProvenAt     time.Time // when the person last showed who they are; zero: nobody kept it
	SeenAt       time.Time // the last use, to the minute
	ExpiresAt    time.Time
}

// mostSessions is how many a person can have: another ends the one that was unused for longest.
const mostSessions = 50

// InsertSession adds one that begins now.
func (tx *Tx) InsertSession(s Session) error {
	err := tx.Exec(`UPDATE sessions SET ended_at = ? WHERE customer_id = ? AND id IN
		(SELECT id FROM sessions WHERE customer_id = ? AND user_id = ? AND token_version = ? AND ended_at IS NULL ORDER BY seen_at DESC, id DESC OFFSET ?)`,
		tx.Now, dbID(tx.Customer), dbID(tx.Customer), dbID(s.User), s.TokenVersion, mostSessions-1).Error
	if err != nil {
		return doing(err, "make room for a session")
	}
	err = tx.Exec(`INSERT INTO sessions (customer_id, id, user_id, hash, device, address_hash, token_version, second_factor, created_at, proven_at, seen_at, expires_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`, dbID(tx.Customer), dbID(s.ID), dbID(s.User), dbBytes(s.Hash), s.Device, dbBytes(s.Network), s.TokenVersion, s.SecondFactor,
		tx.Now, orNull(s.ProvenAt), tx.Now, tx.Now.Add(sweep.SessionLife)).Error
	return doing(err, "insert session")
}

// inForce are the sessions s of a customer's users u that can be used: three parameters, see Tx.inForce.
const inForce = `s.customer_id = ? AND s.ended_at IS NULL AND s.seen_at > ? AND s.expires_at > ? AND u.id = s.user_id AND u.token_version = s.token_version`

func (tx *Tx) inForce(more ...any) []any {
	return append([]any{dbID(tx.Customer), tx.Now.Add(-sweep.SessionIdle), tx.Now}, more...)
}

// Sessions lists a person's that can be used, the last used first.
func (tx *Tx) Sessions(user sweep.ID) (sessions []Session, err error) {
	var rows []struct {
		ID                           dbID
		Device                       string
		AddressHash                  []byte
		SecondFactor                 bool
		CreatedAt, SeenAt, ExpiresAt time.Time
		ProvenAt                     *time.Time
	}
	err = tx.Raw(`SELECT s.id, s.device, s.address_hash, s.second_factor, s.created_at, s.proven_at, s.seen_at, s.expires_at FROM sessions s, users u
		WHERE `+inForce+` AND s.user_id = ? ORDER BY s.seen_at DESC, s.id DESC`, tx.inForce(dbID(user))...).Scan(&rows).Error
	for _, r := range rows {
		sessions = append(sessions, Session{ID: sweep.ID(r.ID), User: user, Device: r.Device, Network: r.AddressHash, SecondFactor: r.SecondFactor,
			CreatedAt: r.CreatedAt.UTC(), ProvenAt: instant(r.ProvenAt), SeenAt: r.SeenAt.UTC(), ExpiresAt: r.ExpiresAt.UTC()})
	}
	return sessions, doing(err, "list sessions")
}

// EndSession ends a session and gives whose it was; zero when there is none that could be used.
func (tx *Tx) EndSession(id sweep.ID) (user sweep.ID, err error) {
	var row struct{ UserID dbID }
	err = tx.Raw("UPDATE sessions s SET ended_at = ? FROM users u WHERE "+inForce+" AND s.id = ? RETURNING s.user_id",
		append([]any{tx.Now}, tx.inForce(dbID(id))...)...).Scan(&row).Error
	return sweep.ID(row.UserID), doing(err, "end session")
}

// EndOwnSession ends a session of a person's; false when there is none of theirs that could be used.
func (tx *Tx) EndOwnSession(user, id sweep.ID) (bool, error) {
	done := tx.Exec("UPDATE sessions s SET ended_at = ? FROM users u WHERE "+inForce+" AND s.user_id = ? AND s.id = ?",
		append([]any{tx.Now}, tx.inForce(dbID(user), dbID(id))...)...)
	return done.RowsAffected == 1, doing(done.Error, "end session")
}

// EndSessions ends all sessions of a person but one, and says how many that were; zero: but none.
func (tx *Tx) EndSessions(user, but sweep.ID) (ended int, err error) {
	done := tx.Exec("UPDATE sessions s SET ended_at = ? FROM users u WHERE "+inForce+" AND s.user_id = ? AND s.id IS DISTINCT FROM ?::uuid",
		append([]any{tx.Now}, tx.inForce(dbID(user), dbID(but))...)...)
	return int(done.RowsAffected), doing(done.Error, "end sessions")
}

// KeepSession lets a person's session outlive the EndTokens that must follow; false when it is over.
func (tx *Tx) KeepSession(user, id sweep.ID) (bool, error) {
	done := tx.Exec("UPDATE sessions s SET token_version = s.token_version + 1 FROM users u WHERE "+inForce+" AND s.user_id = ? AND s.id = ?", tx.inForce(dbID(user), dbID(id))...)
	return done.RowsAffected == 1, doing(done.Error, "keep session")
}

// UseSession notes a use, at most once a minute. What is over stays over.
func (tx *Tx) UseSession(id sweep.ID) error {
	err := tx.Exec("UPDATE sessions s SET seen_at = ? FROM users u WHERE "+inForce+" AND s.id = ? AND s.seen_at <= ?",
		append([]any{tx.Now}, tx.inForce(dbID(id), tx.Now.Add(-time.Minute))...)...).Error
	return doing(err, "note use of session")
}

// SessionOwner finds whose session a hash is, before the tenant is known; zero ids when nobody's.
func (db *DB) SessionOwner(ctx context.Context, hash []byte) (customer, session sweep.ID, err error) {
	var row struct{ CustomerID, SessionID dbID }
	err = db.System(ctx, func(tx *Tx) error {
		return tx.Raw("SELECT customer_id, session_id FROM lookup.session(?)", dbBytes(hash)).Scan(&row).Error
	})
	return sweep.ID(row.CustomerID), sweep.ID(row.SessionID), doing(err, "look up session")
}

// SessionStanding is what a session is compared with when it is used, and what its person may use, as of one moment.
type SessionStanding struct {
	Membership
	User      sweep.ID
	Given     bool // the second factor, when it began
	InForce   bool // neither ended nor overtaken by the end of its person's tokens; its times are for the caller to look at
	CreatedAt time.Time
	ProvenAt  time.Time // as of Session
	SeenAt    time.Time // the last use that was noted
	ExpiresAt time.Time
}

// SessionStanding reads a session's in one round trip. NotFound when its person is no member any more.
func (db *DB) SessionStanding(ctx context.Context, customer, session sweep.ID) (st SessionStanding, err error) {
	found := false
	err = db.batch(ctx, customer, func(q *pgx.Batch) {
		q.Queue("SELECT s.user_id, s.second_factor, s.ended_at IS NULL AND s.token_version = u.token_version, s.created_at, s.proven_at, s.seen_at, s.expires_at, "+membershipColumns+`
			FROM sessions s JOIN members m ON m.customer_id = s.customer_id AND m.user_id = s.user_id JOIN users u ON u.id = m.user_id JOIN customers c ON c.id = m.customer_id
			WHERE s.customer_id = $1 AND s.id = $2`, dbID(customer), dbID(session)).
			QueryRow(func(row pgx.Row) error {
				var r membershipRow
				var user dbID
				var proven *time.Time
				err := row.Scan(append([]any{&user, &st.Given, &st.InForce, &st.CreatedAt, &proven, &st.SeenAt, &st.ExpiresAt}, r.fields()...)...)
				st.Membership, st.User, st.ProvenAt, found = r.membership(customer, db.offset), sweep.ID(user), instant(proven), err == nil
				return ignoreNoRows(err)
			})
	})
	if err == nil && !found {
		err = sweep.Errorf(sweep.NotFound, "there is no such session")
	}
	st.CreatedAt, st.SeenAt, st.ExpiresAt = st.CreatedAt.UTC(), st.SeenAt.UTC(), st.ExpiresAt.UTC()
	return st, doing(err, "read standing of session")
}
