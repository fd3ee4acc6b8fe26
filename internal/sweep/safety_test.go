package sweep

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestASenderIsGradedByWhatItsReaderDid(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		signs   Signs
		grade   Grade
		reasons []SafetyReason
	}{
		{"a list", Signs{Messages: 100, MailingList: true}, GradeSafe, []SafetyReason{{SignMailingList, 0}}},
		{"a list that goes unread", Signs{Messages: 100, Unread: 50, MailingList: true}, GradeSafe, []SafetyReason{{SignMailingList, 0}, {SignUnread, 50}}},
		{"an advertiser without a list", Signs{Messages: 100, BulkTab: 90}, GradeSafe, []SafetyReason{{SignBulkTab, 90}}},
		{"partly an advertiser", Signs{Messages: 100, BulkTab: 89}, GradeCareful, []SafetyReason{{SignPersonal, 0}, {SignBulkTab, 89}}},
		{"a list with a few stars", Signs{Messages: 100, Starred: 5, Protected: 5, MailingList: true}, GradeSafe, []SafetyReason{{SignStarred, 5}, {SignMailingList, 0}}},
		{"a list with some stars", Signs{Messages: 100, Starred: 6, Protected: 6, MailingList: true}, GradeCareful, []SafetyReason{{SignStarred, 6}, {SignMailingList, 0}}},
		{"a list once answered", Signs{Messages: 100, Replied: 1, Protected: 1, MailingList: true}, GradeCareful, []SafetyReason{{SignReplied, 1}, {SignMailingList, 0}}},
		{"a list that is half important", Signs{Messages: 100, Important: 30, UserLabelled: 20, Protected: 50, MailingList: true}, GradeKeep, []SafetyReason{{SignUserLabelled, 20}, {SignImportant, 30}, {SignMailingList, 0}}},
		{"a list on the keep list", Signs{Messages: 1, MailingList: true, OnKeepList: true}, GradeKeep, []SafetyReason{{SignKeepList, 0}, {SignMailingList, 0}}},
		{"somebody", Signs{Messages: 100}, GradeCareful, []SafetyReason{{SignPersonal, 0}}},
		{"somebody who was answered", Signs{Messages: 100, Replied: 1, Protected: 1}, GradeKeep, []SafetyReason{{SignReplied, 1}, {SignPersonal, 0}}},
	} {
		require.Equal(t, Safety{c.grade, c.reasons}, c.signs.Safety(), c.name)
	}
}

// Whatever more its reader did for a sender's mail, it does not become safer to clean.
func TestMoreProtectionNeverGradesSafer(t *testing.T) {
	t.Parallel()
	order := []Grade{GradeSafe, GradeCareful, GradeKeep}
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(t, "messages")
		some := func(name string) int { return rapid.IntRange(0, n).Draw(t, name) }
		s := Signs{Messages: n, Unread: some("unread"), BulkTab: some("bulk"), MailingList: rapid.Bool().Draw(t, "list")}
		for before := GradeSafe; ; before = s.Grade() {
			if slices.Index(order, s.Grade()) < slices.Index(order, before) {
				t.Fatalf("%+v is %s, and was %s with less", s, s.Grade(), before)
			}
			if s.OnKeepList {
				break
			}
			switch rapid.IntRange(0, 3).Draw(t, "step") {
			case 0:
				s.OnKeepList = true
			case 1:
				s.Replied = rapid.IntRange(s.Replied, n).Draw(t, "replied")
				s.Protected = max(s.Protected, s.Replied)
			default:
				s.Protected = rapid.IntRange(s.Protected, n).Draw(t, "protected")
			}
		}
	})
}
