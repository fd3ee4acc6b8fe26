package account

import (
	"context"
	"fmt"
	"slices"

	"mailsweep/internal/mail"
	"mailsweep/internal/store"
	"mailsweep/internal/sweep"
)

// Notices are the kinds of mail that there are, with what a person chose.
type Notices struct {
	Items []NoticeView `json:"items"`
}

// NoticeView is a kind of mail as its reader sees it.
type NoticeView struct {
	Kind   string `json:"kind" example:"quota_warning"`
	What   string `json:"what" doc:"What it tells"`
	On     bool   `json:"on" doc:"Whether it is sent"`
	Always string `json:"always,omitempty" doc:"Why it is always sent; absent: it can be turned off"`
}

// Notices tells which mails of the actor's customer come to the actor. Forbidden but for people.
func (s *Service) Notices(ctx context.Context, a sweep.Actor) (n Notices, err error) {
	if err := onlyPeople(a); err != nil {
		return n, err
	}
	err = s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		off, err := tx.Muted(a.User)
		n = noticesBut(off)
		return err
	})
	return n, err
}

// PutNotices replaces the kinds of mail that the actor does not want, as their post is sent from now on. Forbidden but for people; Invalid
// with those that are none or are always sent.
func (s *Service) PutNotices(ctx context.Context, a sweep.Actor, off []string) (Notices, error) {
	if err := onlyPeople(a); err != nil {
		return Notices{}, err
	}
	if err := mutable(off); err != nil {
		return Notices{}, err
	}
	off = slices.Compact(slices.Sorted(slices.Values(off)))
	err := s.DB.Tenant(ctx, a.Customer, func(tx *store.Tx) error {
		if err := tx.Mute(a.User, off); err != nil {
			return err
		}
		return tx.Audit(store.AuditEntry{Actor: a, Action: "notifications.changed", Object: sweep.UserID.Show(a.User), Data: map[string]any{"off": len(off)}})
	})
	return noticesBut(off), err
}

func onlyPeople(a sweep.Actor) error {
	if a.Kind != sweep.ByToken {
		return sweep.Errorf(sweep.Forbidden, "only people choose their mails")
	}
	return nil
}

func noticesBut(off []string) (n Notices) {
	for _, k := range mail.Kinds() {
		n.Items = append(n.Items, NoticeView{Kind: string(k.Kind), What: k.What, On: k.Always != "" || !slices.Contains(off, string(k.Kind)), Always: k.Always})
	}
	return n
}

func mutable(off []string) error {
	bad := sweep.Errorf(sweep.Invalid, "not all of these mails can be turned off")
	kinds := mail.Kinds()
	for i, name := range off {
		at := fmt.Sprintf("off[%d]", i)
		k := slices.IndexFunc(kinds, func(k mail.About) bool { return string(k.Kind) == name })
		switch {
		case k < 0:
			bad = bad.At(at, "must be a kind of mail")
		case kinds[k].Always != "":
			bad = bad.At(at, "is always sent: "+kinds[k].Always)
		}
	}
	if len(bad.Fields) > 0 {
		return bad
	}
	return nil
}

// wanted is errMuted when a person turned mails of this kind off.
func wanted(tx *store.Tx, person sweep.ID, kind mail.Kind) error {
	if !kind.Optional() { // whatever a row says
		return nil
	}
	off, err := tx.Muted(person)
	if err == nil && slices.Contains(off, string(kind)) {
		err = errMuted
	}
	return err
}
