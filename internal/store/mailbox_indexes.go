package store

import (
	"bytes"
	"fmt"
	"iter"
	"time"

	"mailsweep/internal/sweep"
)

// SealedSegment is one part of a mailbox's index.
type SealedSegment struct {
	Name    string
	Version int64 // of the index; the same for all of one
	Sealed  []byte
}

// SaveIndex replaces a mailbox's index as a whole if it still is the version from which the new one was made; 0: there was none. saved is
// false when somebody else saved another meanwhile: that one is locked for the rest of the transaction, so that it can be read and replaced.
// The first segment decides and must always be the same.
func (tx *Tx) SaveIndex(mailbox sweep.ID, segments iter.Seq2[SealedSegment, error], since, version int64, asOf time.Time) (saved bool, err error) {
	for s, err := range segments {
		if err != nil {
			return false, err
		}
		r := tx.Exec(`INSERT INTO mailbox_indexes AS old (customer_id, mailbox_id, segment, version, sealed, as_of) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT (customer_id, mailbox_id, segment) DO UPDATE SET version = excluded.version, sealed = excluded.sealed, as_of = excluded.as_of
			WHERE ? OR old.version = ?`,
			dbID(tx.Customer), dbID(mailbox), s.Name, version, s.Sealed, asOf, saved, since)
		if r.Error != nil {
			return false, fmt.Errorf("save index segment: %w", r.Error)
		}
		if r.RowsAffected == 0 {
			return false, nil
		}
		saved = true
	}
	if err := tx.Exec("DELETE FROM mailbox_indexes WHERE customer_id = ? AND mailbox_id = ? AND version < ?", dbID(tx.Customer), dbID(mailbox), version).Error; err != nil {
		return false, fmt.Errorf("drop old index segments: %w", err)
	}
	return true, nil
}

// Index reads a mailbox's index, one segment after the other in the order of their names; none if it was never analyzed. It ends with an error.
// Until it has ended the transaction does nothing else.
func (tx *Tx) Index(mailbox sweep.ID) iter.Seq2[SealedSegment, error] {
	return func(yield func(SealedSegment, error) bool) {
		rows, err := tx.Raw(`SELECT segment, version, sealed FROM mailbox_indexes WHERE customer_id = ? AND mailbox_id = ? ORDER BY segment COLLATE "C"`, dbID(tx.Customer), dbID(mailbox)).Rows()
		if err != nil {
			yield(SealedSegment{}, fmt.Errorf("read index: %w", err))
			return
		}
		defer rows.Close()
		for rows.Next() {
			var s SealedSegment
			err := rows.Scan(&s.Name, &s.Version, &s.Sealed)
			if !yield(s, doing(err, "read index")) || err != nil {
				return
			}
		}
		if rows.Err() != nil {
			yield(SealedSegment{}, fmt.Errorf("read index: %w", rows.Err()))
		}
	}
}

// AnalysisUnits is how many Gmail units the analyses of a mailbox have spent in the last 24 hours, but for one.
func (tx *Tx) AnalysisUnits(mailbox, but sweep.ID) (units int64, err error) {
	since, err := sweep.NewID(tx.Now.Add(-24*time.Hour), bytes.NewReader(make([]byte, len(sweep.ID{}))))
	if err != nil {
		return 0, fmt.Errorf("make id: %w", err)
	}
	err = tx.Raw("SELECT coalesce(sum(units), 0) FROM jobs WHERE customer_id = ? AND id >= ? AND mailbox_id = ? AND kind = 'analyze' AND id <> ?",
		dbID(tx.Customer), dbID(since), dbID(mailbox), dbID(but)).Row().Scan(&units)
	return units, doing(err, "sum units")
}

// SaveAnalysis keeps the last analysis of a mailbox, sealed.
func (tx *Tx) SaveAnalysis(mailbox sweep.ID, sealed []byte, asOf time.Time) error {
	err := tx.Exec("UPDATE mailboxes SET analysis = ?, analysis_as_of = ? WHERE customer_id = ? AND id = ?", sealed, asOf, dbID(tx.Customer), dbID(mailbox)).Error
	if err != nil {
		return fmt.Errorf("save analysis: %w", err)
	}
	return nil
}
