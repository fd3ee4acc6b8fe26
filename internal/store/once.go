package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"mailsweep/internal/secret"
	"mailsweep/internal/sweep"
)

// secretsShown is how long a stored answer shows its secrets: long enough to send a request again, too short to be a second copy.
const secretsShown = 10 * time.Minute

// Once is a request that has its effect once, however often it is sent with its key in a day. Put into the context with In, it is found by
// Tx.Once. It serves one attempt and one goroutine.
type Once struct {
	Customer   sweep.ID
	Route, Key string
	Hash       []byte // of what was asked, and by whom: keyed, for it may have been a password
	Status     int    // 2xx, of the answer
	Vault      *secret.Vault

	kept, again bool
}

// Masked is an answer with secrets: Mask replaces them, once they were shown for ten minutes.
type Masked interface{ Mask() }

type onceKey struct{}

// In gives ctx with the request.
func (o *Once) In(ctx context.Context) context.Context { return context.WithValue(ctx, onceKey{}, o) }

// Kept says whether the answer has been stored, by this attempt or an earlier one.
func (o *Once) Kept() bool { return o.kept }

// Again says whether the answer is that of an earlier attempt.
func (o *Once) Again() bool { return o.again }

// Recall reads the first answer into answer, if the key has one. IdempotencyMismatch when that was to another request.
func (o *Once) Recall(ctx context.Context, db *DB, answer any) (bool, error) {
	err := db.Tenant(ctx, o.Customer, func(tx *Tx) error { return o.find(tx, answer) })
	return o.again, err
}

// Once does f and stores answer, which f has filled in: both are committed with this transaction, or neither is. If the context's request
// was answered before, answer becomes that one and f is not called. Without such a request it is f. IdempotencyMismatch; IdempotencyInFlight
// while another attempt is under way. f comes before everything else that writes.
func (tx *Tx) Once(answer any, f func() error) error {
	o, _ := tx.Statement.Context.Value(onceKey{}).(*Once)
	if o == nil || o.Customer != tx.Customer {
		return f()
	}
	if err := o.claim(tx); err != nil {
		return err
	}
	if err := o.find(tx, answer); err != nil || o.again {
		return err
	}
	if err := f(); err != nil {
		return err
	}
	return o.keep(tx, answer)
}

// claim keeps other attempts out until the end of the transaction. It comes in a statement of its own: the next one sees what the attempt
// before has committed.
func (o *Once) claim(tx *Tx) error {
	var mine bool
	name := strings.Join([]string{o.Customer.String(), o.Route, o.Key}, "|")
	if err := tx.Raw("SELECT pg_try_advisory_xact_lock(hashtextextended(?, 0))", name).Row().Scan(&mine); err != nil {
		return fmt.Errorf("claim key: %w", err)
	}
	if !mine {
		return InFlight()
	}
	return nil
}

// InFlight is the answer to an attempt while another one with the same key is under way.
func InFlight() error {
	return sweep.Errorf(sweep.IdempotencyInFlight, "the first request with this Idempotency-Key is still running")
}

func (o *Once) find(tx *Tx, answer any) error {
	var row struct {
		Same      bool
		Answer    []byte
		CreatedAt time.Time
	}
	found := tx.Raw("SELECT request_hash = ? AS same, answer, created_at FROM idempotency_keys WHERE customer_id = ? AND route = ? AND key = ? AND created_at > ?",
		dbBytes(o.Hash), dbID(o.Customer), o.Route, o.Key, tx.Now.Add(-keptAnswer)).Scan(&row)
	if found.Error != nil || found.RowsAffected == 0 {
		return doing(found.Error, "look up key")
	}
	if !row.Same {
		return sweep.Errorf(sweep.IdempotencyMismatch, "this Idempotency-Key came with another request")
	}
	if err := o.open(tx, row.Answer, answer); err != nil {
		return err
	}
	if m, ok := answer.(Masked); ok && tx.Now.Sub(row.CreatedAt) >= secretsShown {
		m.Mask()
	}
	o.kept, o.again = true, true
	return nil
}

// keep stores the answer. A row that another attempt wrote in between is never replaced: what this one did is undone then.
func (o *Once) keep(tx *Tx, answer any) error {
	var plain bytes.Buffer
	encode := json.NewEncoder(&plain)
	encode.SetEscapeHTML(false) // it is shown again to the byte
	if err := encode.Encode(answer); err != nil {
		return fmt.Errorf("encode answer of %s: %w", o.Route, err)
	}
	box, err := o.box(tx)
	if err != nil {
		return err
	}
	sealed, err := box.Seal(plain.Bytes(), o.place())
	if err != nil {
		return err
	}
	done := tx.Exec(`INSERT INTO idempotency_keys AS k (customer_id, route, key, request_hash, status, answer, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (customer_id, route, key) DO UPDATE SET request_hash = excluded.request_hash, status = excluded.status, answer = excluded.answer, created_at = excluded.created_at
		WHERE k.created_at <= ?`, dbID(o.Customer), o.Route, o.Key, dbBytes(o.Hash), o.Status, dbBytes(sealed), tx.Now, tx.Now.Add(-keptAnswer))
	if done.Error == nil && done.RowsAffected == 0 {
		return InFlight()
	}
	o.kept = done.Error == nil
	return doing(done.Error, "keep answer")
}

func (o *Once) open(tx *Tx, sealed []byte, answer any) error {
	box, err := o.box(tx)
	if err != nil {
		return err
	}
	plain, err := box.Open(sealed, o.place())
	if err != nil || answer == nil {
		return err
	}
	if err := json.Unmarshal(plain, answer); err != nil {
		return fmt.Errorf("decode answer of %s: %w", o.Route, err)
	}
	return nil
}

func (o *Once) box(tx *Tx) (*secret.Box, error) {
	customer, err := tx.LoadCustomer()
	if err != nil {
		return nil, err
	}
	return o.Vault.Box(customer.DataKey, o.Customer.String())
}

func (o *Once) place() string { return "idempotency_keys|" + o.Route + "|" + o.Key }
