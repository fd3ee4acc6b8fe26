package sweep

// Protect says which protections apply to a cleanup. All are on unless a request switches one off.
type Protect struct {
	Starred      bool `json:"starred"`
	Important    bool `json:"important"`
	Replied      bool `json:"replied"`
	UserLabelled bool `json:"user_labelled"`
	KeepList     bool `json:"keep_list"`
	RecentDays   int  `json:"recent_days"` // 0: off
}

// ProtectAll is what applies when a request says nothing.
func ProtectAll() Protect {
	return Protect{Starred: true, Important: true, Replied: true, UserLabelled: true, KeepList: true, RecentDays: 7}
}

// Reason is why a message was kept back or skipped.
type Reason string

// Reasons at plan time.
const (
	KeptStarred       Reason = "starred"
	KeptReplied       Reason = "replied"
	KeptImportant     Reason = "important"
	KeptUserLabelled  Reason = "user_labelled"
	KeptRecent        Reason = "recent"
	KeptKeepList      Reason = "keep_list"
	KeptSenderUnknown Reason = "sender_unknown" // a sender rule could decide, and the sender is not known
	KeptNewest        Reason = "newest_of_sender"
)

// Reasons at act time.
const (
	ProtectedSince  Reason = "protected_since"
	NoLongerMatches Reason = "no_longer_matches"
	NoChange        Reason = "no_change"
	AlreadyGone     Reason = "already_gone"
	ProtectedLate   Reason = "protected_late"
	ChangedSince    Reason = "changed_since"
)

// CleanupSpec is the whole of what a dry run was asked: the immutable head of a cleanup plan.
type CleanupSpec struct {
	Action              Action   `json:"action"`
	Label               string   `json:"label,omitempty"` // name, for AddLabel
	Criteria            Criteria `json:"criteria"`
	Protect             Protect  `json:"protect"`
	KeepNewestPerSender int      `json:"keep_newest_per_sender,omitempty"`
}
