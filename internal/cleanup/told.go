package cleanup

import (
	"encoding/json"
	"fmt"

	"mailsweep/internal/mailindex"
	"mailsweep/internal/secret"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// Told is what a column of a row holds sealed, as JSON for its customer: message ids as Gmail writes them, with the labels that were changed. of gives the
// row's other columns, ids as callers know them. What was emptied is null.
func Told(box *secret.Box, table, column string, of map[string]any, sealed []byte) (json.RawMessage, error) {
	if len(sealed) == 0 {
		return json.RawMessage("null"), nil
	}
	switch table + "." + column {
	case "jobs.params", "jobs.result":
		return opened[json.RawMessage](box, sealed, jobPart(idOf(sweep.JobID, of["id"]), column))
	case "mailboxes.analysis":
		return opened[json.RawMessage](box, sealed, mailboxPart(idOf(sweep.MailboxID, of["id"]), column))
	case "cleanup_plans.head":
		return opened[json.RawMessage](box, sealed, planPart(idOf(sweep.PlanID, of["id"]), column))
	case "cleanup_plans.ids":
		return opened[shownIDs](box, sealed, planPart(idOf(sweep.PlanID, of["id"]), column))
	case "cleanup_plans.kept":
		return opened[map[sweep.Reason]shownIDs](box, sealed, planPart(idOf(sweep.PlanID, of["id"]), column))
	case "batches.ids":
		n, _ := of["n"].(int64)
		return opened[shownBatch](box, sealed, batchPart(idOf(sweep.JobID, of["job_id"]), int(n)))
	}
	return nil, fmt.Errorf("nobody knows what is sealed in %s.%s", table, column)
}

// shownIDs are ids, stored in our form and shown in Gmail's.
type shownIDs struct{ ids }

func (s shownIDs) MarshalJSON() ([]byte, error) {
	words := make([]string, len(s.ids))
	for i, id := range s.ids {
		words[i] = id.String()
	}
	return json.Marshal(words)
}

func (s *shownIDs) UnmarshalJSON(raw []byte) error { return s.ids.UnmarshalJSON(raw) }

// shownBatch is a batchSet for its customer.
type shownBatch struct {
	Groups []struct {
		Added   []string `json:"added,omitempty"`
		Removed []string `json:"removed,omitempty"`
		Free    bool     `json:"free,omitempty"`
		Moved   bool     `json:"moved,omitempty"`
		IDs     shownIDs `json:"ids"`
	} `json:"groups"`
}

func opened[T any](box *secret.Box, sealed []byte, where string) (json.RawMessage, error) {
	var v T
	if err := unseal(box, sealed, where, &v); err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

// idOf reads an id as callers know it; of none it is the zero one, at whose place nothing opens.
func idOf(kind sweep.Kind, shown any) sweep.ID {
	text, _ := shown.(string)
	id, err := kind.Parse(text)
	if err != nil {
		return sweep.ID{}
	}
	return id
}

// EachSender gives every sender that a mailbox's index knows, by address; none when it was never analyzed.
func EachSender(tx *store.Tx, box *secret.Box, mailbox sweep.ID, f func(sweep.Sender) error) error {
	ix, err := loadIndex(tx, box, mailbox)
	if err != nil || ix == nil {
		return err
	}
	keep, err := tx.Keep()
	if err != nil {
		return err
	}
	for _, s := range ix.AllSenders(mailindex.SelectOptions{KeepList: keep}) {
		if err := f(s); err != nil {
			return err
		}
	}
	return nil
}
