package account

import (
	"context"
	"fmt"
	"slices"

	"golang.org/x/text/unicode/norm"

	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// longestKeepList is how many entries a keep list may have: each is swept by a search of its own at Gmail.
const longestKeepList = 1000

// KeepList gives the senders and domains whose mail is never cleaned up, sorted.
func (s *Service) KeepList(ctx context.Context, customer sweep.ID) (entries []string, err error) {
	err = s.DB.Tenant(ctx, customer, func(tx *store.Tx) error {
		entries, err = tx.Keep()
		return err
	})
	if entries == nil {
		entries = []string{}
	}
	return entries, err
}

// PutKeepList replaces the keep list by addresses and @domains and gives it as stored. Invalid with the entries that are neither;
// Forbidden for viewers.
func (s *Service) PutKeepList(ctx context.Context, a sweep.Actor, entries []string) ([]string, error) {
	if err := a.MayRun(); err != nil {
		return nil, err
	}
	kept, err := canonicalKeep(entries)
	if err != nil {
		return nil, err
	}
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		if _, err := tx.LockCustomer(); err != nil { // two at once would mix
			return err
		}
		if err := tx.DropKept(kept); err != nil {
			return err
		}
		if err := tx.AddKept(kept); err != nil {
			return err
		}
		return tx.Audit(store.AuditEntry{Actor: a, Action: "keep_list.replaced", Object: sweep.CustomerID.Show(a.Customer), Data: map[string]any{"entries": len(kept)}})
	})
	return kept, err
}

// KeepSender adds an address or @domain to the keep list; one that is there already stays. Invalid when it is neither, or the list is full;
// Forbidden for viewers.
func (s *Service) KeepSender(ctx context.Context, a sweep.Actor, entry string) error {
	if err := a.MayRun(); err != nil {
		return err
	}
	kept, err := canonicalKeep([]string{entry})
	if err != nil {
		return err
	}
	return s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		if _, err := tx.LockCustomer(); err != nil { // the list's length is counted by one at a time
			return err
		}
		have, err := tx.Keep()
		if err != nil || slices.Contains(have, kept[0]) {
			return err
		}
		if len(have) >= longestKeepList {
			return sweep.Errorf(sweep.Invalid, "the keep list is full: it has %d entries", longestKeepList)
		}
		if err := tx.AddKept(kept); err != nil {
			return err
		}
		return tx.Audit(store.AuditEntry{Actor: a, Action: "keep_list.added", Object: sweep.CustomerID.Show(a.Customer), Data: map[string]any{"entries": 1}})
	})
}

func canonicalKeep(entries []string) ([]string, error) {
	if len(entries) > longestKeepList {
		return nil, sweep.Errorf(sweep.Invalid, "the keep list is too long").At("entries", fmt.Sprintf("must have at most %d entries", longestKeepList))
	}
	bad := sweep.Errorf(sweep.Invalid, "the keep list is not valid")
	kept := make([]string, 0, len(entries))
	for i, e := range entries {
		entry, ok := sweep.CanonicalKeep(norm.NFKC.String(e))
		if !ok {
			bad = bad.At(fmt.Sprintf("entries[%d]", i), "must be an address or @domain")
			continue
		}
		kept = append(kept, entry)
	}
	if len(bad.Fields) > 0 {
		return nil, bad
	}
	slices.Sort(kept)
	return slices.Compact(kept), nil
}
