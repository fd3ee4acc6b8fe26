package store

import "fmt"

// AuditProof is what verifying a customer's audit chain found.
type AuditProof struct {
	Rows   int   // entries looked at: those that are not detached
	Broken int64 // number of the first entry that does not follow from the one before or from an anchor; 0: none
	Cut    bool  // the end of the chain is missing
}

// VerifyAudit computes the customer's chain anew, from its beginning or from what detached months left as anchors.
func (tx *Tx) VerifyAudit() (p AuditProof, err error) {
	err = tx.Raw(`WITH e AS MATERIALIZED (
		SELECT seq, prev_hash, hash, sha256(prev_hash || convert_to(concat_ws('|', seq, customer_id, id, extract(epoch FROM at), actor, action, object, request_id,
		  encode(address_hash, 'hex'), data::text), 'UTF8')) AS right_hash FROM audit_logs WHERE customer_id = ?
	), known AS MATERIALIZED (
		SELECT 0::bigint AS seq, ''::bytea AS hash UNION SELECT seq, hash FROM e UNION SELECT seq, hash FROM audit_anchors WHERE customer_id = ?
	)
	SELECT (SELECT count(*) FROM e) AS rows,
		coalesce((SELECT min(seq) FROM e WHERE hash <> right_hash OR NOT EXISTS (SELECT FROM known k WHERE k.seq = e.seq - 1 AND k.hash = e.prev_hash)), 0) AS broken,
		EXISTS (SELECT FROM audit_heads h WHERE h.customer_id = ? AND NOT EXISTS (SELECT FROM known k WHERE k.seq = h.seq AND k.hash = h.hash)) AS cut`,
		dbID(tx.Customer), dbID(tx.Customer), dbID(tx.Customer)).Scan(&p).Error
	if err != nil {
		return p, fmt.Errorf("verify audit log: %w", err)
	}
	return p, nil
}
