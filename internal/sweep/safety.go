package sweep

// Grade says how safe it is to clean up all that a sender sent.
type Grade string

// The grades of a sender.
const (
	GradeSafe    Grade = "safe"    // bulk mail, next to none of it protected
	GradeCareful Grade = "careful" // worth a look at the preview
	GradeKeep    Grade = "keep"    // mail that its reader cares about
)

// Sign is a fact about a sender's mail that speaks for or against cleaning it up.
type Sign string

// What speaks against, strongest first, and then what speaks for it. Those against have the names of the protections that they come from.
const (
	SignKeepList     = Sign(KeptKeepList)
	SignReplied      = Sign(KeptReplied)
	SignStarred      = Sign(KeptStarred)
	SignUserLabelled = Sign(KeptUserLabelled)
	SignImportant    = Sign(KeptImportant)
	SignPersonal     = Sign("personal")     // neither of a mailing list nor mostly in a tab of bulk mail
	SignMailingList  = Sign("mailing_list") // it names a list, or a way off it
	SignBulkTab      = Sign("bulk_tab")     // in Promotions, Social or Forums; Updates holds invoices and tickets
	SignUnread       = Sign("unread")
)

// SafetyReason is one sign and how many of the sender's messages carry it, 0 where it is the sender's and not a message's.
type SafetyReason struct {
	Sign     Sign `json:"sign" enum:"keep_list,replied,starred,user_labelled,important,personal,mailing_list,bulk_tab,unread"`
	Messages int  `json:"messages,omitempty" doc:"How many of the sender's messages carry it; none for keep_list, personal and mailing_list, which are the sender's"`
}

// Safety is a sender's grade, and what it rests on: first what speaks against cleaning up, then what speaks for it.
type Safety struct {
	Grade   Grade          `json:"grade" enum:"safe,careful,keep"`
	Reasons []SafetyReason `json:"reasons"`
}

// Signs are the counts from which a sender is graded. Protected counts the messages that any of the protections replied, starred,
// user_labelled and important keeps back; what is not known protects.
type Signs struct {
	Messages, Unread, Replied, Starred, UserLabelled, Important, Protected, BulkTab int

	OnKeepList, MailingList bool
}

// Of these shares in percent: bulkShare of a sender's mail in tabs of bulk mail makes it bulk, keepShare protected make it mail to keep,
// carefulShare mail to look at, and unreadShare unread is worth saying.
const (
	bulkShare    = 90
	keepShare    = 50
	carefulShare = 5
	unreadShare  = 50
)

func (s Signs) share(n, percent int) bool { return 100*n >= percent*s.Messages }

func (s Signs) bulk() bool { return s.MailingList || s.share(s.BulkTab, bulkShare) }

// Grade: mail is to keep that is on the keep list, that is half protected, or that is personal and was answered; it wants care where it is
// personal, where it was answered, or where more than a twentieth is protected. The rest is safe.
func (s Signs) Grade() Grade {
	switch {
	case s.OnKeepList, s.share(s.Protected, keepShare), s.Replied > 0 && !s.bulk():
		return GradeKeep
	case !s.bulk(), s.Replied > 0, 100*s.Protected > carefulShare*s.Messages:
		return GradeCareful
	}
	return GradeSafe
}

// Safety grades a sender that has messages.
func (s Signs) Safety() Safety {
	out := Safety{Grade: s.Grade(), Reasons: []SafetyReason{}}
	say := func(yes bool, sign Sign, messages int) {
		if yes {
			out.Reasons = append(out.Reasons, SafetyReason{sign, messages})
		}
	}
	say(s.OnKeepList, SignKeepList, 0)
	say(s.Replied > 0, SignReplied, s.Replied)
	say(s.Starred > 0, SignStarred, s.Starred)
	say(s.UserLabelled > 0, SignUserLabelled, s.UserLabelled)
	say(s.Important > 0, SignImportant, s.Important)
	say(!s.bulk(), SignPersonal, 0)
	say(s.MailingList, SignMailingList, 0)
	say(s.BulkTab > 0, SignBulkTab, s.BulkTab)
	say(s.share(s.Unread, unreadShare), SignUnread, s.Unread)
	return out
}
