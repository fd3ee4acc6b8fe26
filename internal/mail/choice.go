package mail

import "slices"

// About is what a kind of mail is to who gets it.
type About struct {
	Kind   Kind
	What   string // what it tells
	Always string // why nobody can turn it off; "": they can
}

// Optional says whether people may turn mails of this kind off. What is no kind is not optional.
func (k Kind) Optional() bool {
	return slices.ContainsFunc(Kinds(), func(a About) bool { return a.Kind == k && a.Always == "" })
}

// Kinds are all kinds of mail, first those that can be turned off.
func Kinds() []About {
	const proof, way = "it proves an address", "it guards the ways into your account"
	return []About{
		{QuotaWarning, "Most of the month’s quota is used", ""},
		{QuotaFresh, "A fresh quota, after a month in which it ran out", ""},
		{TrialEnding, "The trial ends within days", ""},
		{NeedsReconnect, "A mailbox has to be connected again", ""},
		{CleanupDone, "A cleanup is over", "it says until when you can undo"},
		{SecurityNotice, "Something about your sign-in changed, or a new device signed in", way},
		{PasswordReset, "The link to set a password", "you ask for it"},
		{VerifyEmail, "The link that proves your address", proof},
		{AlreadyRegistered, "Somebody signs up with your address", way},
		{EmailChange, "The link to a new address", proof},
		{EmailChanged, "Your address was changed", way},
		{Invitation, "Somebody invites you", "nothing happens without it"},
		{TrialEnded, "The trial is over", "it is about money: the plan changed"},
		{PaymentFailed, "A payment failed", "it is about money"},
		{ExportReady, "Your data can be fetched", "you ask for it"},
		{AccountDeleted, "The account was deleted", "it says until when it can be brought back"},
	}
}
