package web

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"mailsweep/internal/sweep"
)

func categoryName(c sweep.Category) string {
	return strings.ToUpper(string(c[:1])) + string(c[1:])
}

// ageName is a class of sweep.Ages.
func ageName(key string) string {
	switch key {
	case "7d":
		return "Last 7 days"
	case "30d":
		return "8 to 30 days"
	case "90d":
		return "31 to 90 days"
	case "1y":
		return "91 days to a year"
	}
	return "Older than a year"
}

// band is a class of sizes.
func band(b sweep.SizeBlock) string {
	switch {
	case b.From == 0 && b.To == 0:
		return "Not known"
	case b.From == 0:
		return "Up to " + size(b.To-1)
	case b.To == 0:
		return "Over " + size(b.From-1)
	}
	return size(b.From-1) + " to " + size(b.To-1)
}

// reasonName says why a message was kept back, as the end of "kept because it …".
func reasonName(r sweep.Reason) string {
	names := map[sweep.Reason]string{
		sweep.KeptStarred: "Starred, or in a thread with a star", sweep.KeptReplied: "In a thread that you wrote in", sweep.KeptImportant: "Marked important",
		sweep.KeptUserLabelled: "Has a label of yours", sweep.KeptRecent: "Came in the last 7 days", sweep.KeptKeepList: "On your keep list",
		sweep.KeptSenderUnknown: "Its sender is not known well enough", sweep.KeptNewest: "Among the newest of its sender",
		sweep.ProtectedSince: "Protected since the preview", sweep.NoLongerMatches: "No longer matches", sweep.NoChange: "Was already as it should be",
		sweep.AlreadyGone: "Already gone", sweep.ProtectedLate: "Became protected during the run, and was put back", sweep.ChangedSince: "Changed since",
	}
	if name, ok := names[r]; ok {
		return name
	}
	return strings.ReplaceAll(string(r), "_", " ")
}

// gradeName is how safe a sender is to clean up.
func gradeName(g sweep.Grade) string {
	switch g {
	case sweep.GradeSafe:
		return "Safe to clean"
	case sweep.GradeCareful:
		return "Look first"
	case sweep.GradeKeep:
		return "Better keep"
	}
	return string(g)
}

// signs are what a grade may rest on, in full and as in a row whose columns tell the rest: {n} messages, {share} of the sender's.
var signs = map[sweep.Sign]struct{ full, short string }{
	sweep.SignKeepList:     {"on your keep list", "on your keep list"},
	sweep.SignReplied:      {"{n} in conversations that you wrote in", "{n} in your conversations"},
	sweep.SignStarred:      {"{n} starred, or in a thread with a star", "{n} starred"},
	sweep.SignUserLabelled: {"{n} with a label of yours", "{n} labelled"},
	sweep.SignImportant:    {"{n} marked important", "{n} important"},
	sweep.SignPersonal:     {"neither a mailing list nor mostly in Promotions, Social or Forums", "not bulk mail"},
	sweep.SignMailingList:  {"names a mailing list, or a way off it", "mailing list"},
	sweep.SignBulkTab:      {"{share} in Promotions, Social or Forums", "{share} in bulk tabs"},
	sweep.SignUnread:       {"{share} unread", ""},
}

// gradeWhy says what a sender's grade rests on, as people read it.
func gradeWhy(t sweep.Sender) string {
	var said []string
	for _, r := range t.Safety.Reasons {
		said = append(said, counted(cmp.Or(signs[r.Sign].full, strings.ReplaceAll(string(r.Sign), "_", " ")), r, t))
	}
	return strings.Join(said, ", ")
}

// gradeShort says it in a few words: that it is bulk once.
func gradeShort(t sweep.Sender) string {
	var said []string
	for _, r := range t.Safety.Reasons {
		words := signs[r.Sign].short
		if words == "" || r.Sign == sweep.SignBulkTab && slices.Contains(said, signs[sweep.SignMailingList].short) {
			continue
		}
		said = append(said, counted(words, r, t))
	}
	return strings.Join(said, ", ")
}

func counted(words string, r sweep.SafetyReason, of sweep.Sender) string {
	return strings.NewReplacer("{n}", grouped(r.Messages), "{share}", fmt.Sprintf("%d %%", percent(r.Messages, of.Messages))).Replace(words)
}

// verb is an action as a button says it.
func verb(a sweep.Action) string {
	switch a {
	case sweep.Trash:
		return "Move to Trash"
	case sweep.Archive:
		return "Archive"
	case sweep.MarkRead:
		return "Mark as read"
	}
	return "Label"
}

func stateName(s sweep.JobState) string {
	switch s {
	case sweep.Succeeded:
		return "Done"
	case sweep.Failed:
		return "Failed"
	case sweep.Canceled:
		return "Canceled"
	case sweep.Waiting:
		return "Waiting"
	case sweep.Queued:
		return "Queued"
	}
	return "Running"
}

// describe says criteria in words.
func describe(c sweep.Criteria) string {
	switch c.Op {
	case sweep.All:
		return joined(c.Kids, " and ")
	case sweep.Any:
		return joined(c.Kids, " or ")
	case sweep.Not:
		return "not (" + describe(c.Kids[0]) + ")"
	}
	return leaf(c)
}

func joined(kids []sweep.Criteria, with string) string {
	if len(kids) == 0 {
		return "every message"
	}
	parts := make([]string, len(kids))
	for i, k := range kids {
		parts[i] = describe(k)
		if len(k.Kids) > 1 && len(kids) > 1 {
			parts[i] = "(" + parts[i] + ")"
		}
	}
	return strings.Join(parts, with)
}

func leaf(c sweep.Criteria) string {
	switch c.Op {
	case sweep.ByCategory:
		return "in " + categoryName(sweep.Category(c.Text))
	case sweep.ByFrom:
		return "from " + c.Text
	case sweep.ByListID:
		return "of the list " + c.Text
	case sweep.BySubject:
		return fmt.Sprintf("subject has “%s”", c.Text)
	case sweep.OlderThanDays:
		return "older than " + plural(c.Number, "day")
	case sweep.NewerThanDays:
		return "newer than " + plural(c.Number, "day")
	case sweep.Before:
		return "before " + day(c.Time)
	case sweep.After:
		return "from " + day(c.Time) + " on"
	case sweep.LargerThan:
		return "larger than " + size(c.Number)
	case sweep.SmallerThan:
		return "smaller than " + size(c.Number)
	case sweep.ByUnread:
		return either(c.Flag, "unread", "read")
	case sweep.HasAttachment:
		return either(c.Flag, "with an attachment", "without attachment")
	case sweep.ByLabel:
		return "labelled " + c.Text
	case sweep.In:
		return "in " + map[string]string{"inbox": "the inbox", "archive": "the archive"}[c.Text] + either(c.Text == "anywhere", "all mail", "")
	case sweep.Replied:
		return either(c.Flag, "in threads that you wrote in", "in threads that you did not write in")
	case sweep.ByQuery:
		return fmt.Sprintf("found by Gmail’s search “%s”", c.Text)
	}
	return string(c.Op)
}

func either(is bool, yes, no string) string {
	if is {
		return yes
	}
	return no
}
