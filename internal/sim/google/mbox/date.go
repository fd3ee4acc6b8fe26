package mbox

import (
	"net/mail"
	"regexp"
	"strings"
	"time"
)

var (
	comment = regexp.MustCompile(`\([^()]*\)`)
	weekday = regexp.MustCompile(`^(?i:mon|tue|wed|thu|fri|sat|sun)[a-z]*[,.]?\s+`)
)

// layouts of dates that net/mail does not read, after comments and the weekday are off.
var layouts = []string{
	"2 Jan 2006 15:04:05 -0700", "2 Jan 2006 15:04:05 MST", "2 Jan 2006 15:04:05", "2 Jan 2006 15:04 -0700", "2 Jan 2006 15:04",
	"2 Jan 06 15:04:05 -0700", "2 Jan 06 15:04:05 MST", "2 Jan 06 15:04:05", "2 January 2006 15:04:05 -0700", "2-Jan-2006 15:04:05 -0700",
	"2-Jan-06 15:04:05 MST", "Jan 2 15:04:05 2006", "Jan 2 15:04:05 MST 2006", "Jan 2 15:04:05 -0700 2006", "Jan 2 15:04:05 2006 -0700",
	"Jan 2, 2006 15:04:05 -0700", "Jan 2, 2006 3:04:05 PM", "2006-01-02 15:04:05 -0700", "2006-01-02 15:04:05", time.RFC3339,
	"1/2/2006 3:04:05 PM", "2006/01/02 15:04:05",
}

// parseDate reads a date of a mail, also of those that break the rules.
func parseDate(s string) (time.Time, bool) {
	s = strings.Join(strings.Fields(s), " ")
	if t, err := mail.ParseDate(s); err == nil {
		return t, true
	}
	s = strings.TrimSpace(comment.ReplaceAllString(s, ""))
	s = strings.Join(strings.Fields(weekday.ReplaceAllString(s, "")), " ")
	for _, zone := range []string{" GMT", " UT", ""} {
		trimmed := strings.TrimSuffix(s, zone)
		for _, l := range layouts {
			if t, err := time.Parse(l, trimmed); err == nil {
				return t, true
			}
		}
	}
	if i := strings.LastIndexByte(s, ' '); i > 12 { // a zone that nobody knows
		return parseDate(s[:i])
	}
	return time.Time{}, false
}
