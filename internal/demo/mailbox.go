// Package demo is a made-up mailbox on which a visitor tries a cleanup before there is an account. What it answers comes from the same index
// by the same rules as what customers see; only the mail is invented. It is pure: no I/O and no clock.
package demo

import (
	"fmt"
	"time"

	"mailsweep/internal/mailindex"
	"mailsweep/internal/sweep"
)

// Address is whose mailbox it is; nobody can have it.
const Address = "sam@mail.example"

// keepList is what the mailbox's owner always keeps.
var keepList = []string{"@citybank.example"}

// Mailbox answers as of the moment it was made for. It never changes, so that many may ask at once.
type Mailbox struct {
	ix  *mailindex.Index
	now time.Time
}

// New makes the mailbox as it stands at now; the same now gives the same mailbox.
func New(now time.Time) (*Mailbox, error) {
	now = now.UTC().Truncate(time.Second)
	ix, err := index(letters(now), now)
	if err != nil {
		return nil, fmt.Errorf("make the demo's mailbox: %w", err)
	}
	return &Mailbox{ix: ix, now: now}, nil
}

// Analysis is the picture of the mailbox.
func (m *Mailbox) Analysis() sweep.Analysis {
	a := m.ix.Analysis(m.options())
	a.Stage = sweep.StageDone
	return a
}

// Preview is what a cleanup would touch, and what is kept back; there is no plan behind it.
func (m *Mailbox) Preview(spec sweep.CleanupSpec) sweep.DryRunResult {
	s := m.ix.Select(spec, m.options())
	sum := m.ix.Summary(s.ToClean, m.now)
	r := sweep.DryRunResult{Matched: s.Matched, Undetermined: s.Undetermined, Protected: s.Counts(), ToClean: int(s.ToClean.GetCardinality()), Bytes: sum.Bytes.Estimate,
		ByCategory: sum.ByCategory, BySender: sum.BySender, ByAge: sum.ByAge, Exact: sum.Exact}
	list := m.ix.IDs(s.ToClean, mailindex.OldestFirst)
	for i := range min(len(list), samples) {
		if l, ok := m.ix.Message(list[i*len(list)/min(len(list), samples)]); ok {
			r.Samples = append(r.Samples, sweep.Sample{ID: l.ID.String(), From: l.Sender, Date: l.Date, Size: l.Size})
		}
	}
	r.Whole()
	return r
}

// samples is how many messages of a set a preview shows.
const samples = 10

func (m *Mailbox) options() mailindex.SelectOptions {
	return mailindex.SelectOptions{Now: m.now, KeepList: keepList}
}
