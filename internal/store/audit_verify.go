package store

import (
	"encoding/hex"
	"time"
)

// AuditProof is what verifying a customer's audit chain found.
type AuditProof struct {
	Rows   int   // entries looked at: those that are not detached
	Broken int64 // number of the first entry that does not follow from the one before or from an anchor, or that its chain does not know; 0: none
	Cut    bool  // the end of the chain is missing
}

// VerifyAudit computes the customer's chain anew, from its beginning or from what detached months left as anchors. Who may write heads
// can write a whole chain anew too: only heads that were kept outside tell that (HasAuditHead).
func (tx *Tx) VerifyAudit() (p AuditProof, err error) {
	err = tx.Raw(`WITH e AS MATERIALIZED (
		SELECT seq, prev_hash, hash, sha256(prev_hash || audit_text(form, seq, customer_id, id, at, actor, action, object, request_id, address_hash, data)) AS right_hash,
		  row_number() OVER (PARTITION BY seq ORDER BY id) AS copy FROM audit_logs WHERE customer_id = @customer
	), known AS MATERIALIZED (
		SELECT 0::bigint AS seq, ''::bytea AS hash UNION SELECT seq, hash FROM e UNION SELECT seq, hash FROM audit_anchors WHERE customer_id = @customer
	)
	SELECT (SELECT count(*) FROM e) AS rows,
		coalesce((SELECT min(seq) FROM e WHERE hash IS DISTINCT FROM right_hash OR copy > 1 OR seq > (SELECT coalesce(max(seq), 0) FROM audit_heads WHERE customer_id = @customer)
		  OR NOT EXISTS (SELECT FROM known k WHERE k.seq = e.seq - 1 AND k.hash = e.prev_hash)), 0) AS broken,
		EXISTS (SELECT FROM audit_heads h WHERE h.customer_id = @customer AND NOT EXISTS (SELECT FROM known k WHERE k.seq = h.seq AND k.hash = h.hash)) AS cut`,
		named(tx)).Scan(&p).Error
	return p, doing(err, "verify audit log")
}

// AuditHead is the end of a customer's audit chain: whoever keeps it outside the database can tell later whether what it stands for was
// rewritten.
type AuditHead struct {
	Seq  int64
	Hash string // hex
	At   time.Time
}

// AuditHead reads the customer's; Seq is 0 while there are no entries.
func (tx *Tx) AuditHead() (AuditHead, error) {
	var r struct {
		Seq  int64
		Hash []byte
		At   *time.Time
	}
	err := tx.Raw(`SELECT h.seq, h.hash, (SELECT l.at FROM audit_logs l WHERE l.customer_id = h.customer_id ORDER BY l.id DESC LIMIT 1) AS at
		FROM audit_heads h WHERE h.customer_id = ?`, dbID(tx.Customer)).Scan(&r).Error
	return AuditHead{Seq: r.Seq, Hash: hex.EncodeToString(r.Hash), At: instant(r.At)}, doing(err, "read audit head")
}

// HasAuditHead says whether a head that was kept outside is still in the chain, or an anchor of it. Not known is a head of before the
// oldest anchor that is left: what it stands for is archived.
func (tx *Tx) HasAuditHead(h AuditHead) (has, known bool, err error) {
	hash, err := hex.DecodeString(h.Hash)
	if err != nil {
		return false, true, doing(err, "read hash of audit head")
	}
	var r struct{ Has, Archived bool }
	args := named(tx)
	args["seq"], args["hash"] = h.Seq, dbBytes(hash)
	err = tx.Raw(`WITH known AS (SELECT seq, hash FROM audit_logs WHERE customer_id = @customer UNION ALL SELECT seq, hash FROM audit_anchors WHERE customer_id = @customer)
		SELECT EXISTS (SELECT FROM known WHERE seq = @seq AND hash = @hash) AS has,
		  @seq < coalesce((SELECT min(seq) FROM audit_logs WHERE customer_id = @customer), 0) AND EXISTS (SELECT FROM audit_anchors WHERE customer_id = @customer AND seq > @seq) AS archived`,
		args).Scan(&r).Error
	return r.Has, r.Has || !r.Archived, doing(err, "look for audit head")
}
