package secret

import (
	_ "embed"
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// Length of a password in code points after NFKC.
const (
	MinPassword = 12
	MaxPassword = 128
)

// What can be wrong with a new password; the texts are fit to be shown.
var (
	ErrPasswordShort   = errors.New("use at least 12 characters")
	ErrPasswordLong    = errors.New("use at most 128 characters")
	ErrPasswordCommon  = errors.New("this password is among the first that others would try; choose another")
	ErrPasswordAddress = errors.New("do not use your e-mail address as the password")
	ErrPasswordText    = errors.New("the password holds characters that cannot be typed")
)

//go:embed common.txt
var commonWords string

// CheckPassword says what is wrong with a new password, or nil. There is no rule on which characters it must hold. The
// block list is compared with the whole password, also without the digits and signs around it and with a repeated
// word taken once.
func CheckPassword(password, email string) error {
	if !utf8.ValidString(password) || strings.ContainsRune(password, 0) {
		return ErrPasswordText
	}
	password = norm.NFKC.String(password)
	switch n := utf8.RuneCountInString(password); {
	case n < MinPassword:
		return ErrPasswordShort
	case n > MaxPassword:
		return ErrPasswordLong
	}
	whole := strings.ToLower(password)
	core := coreWord(whole)
	local, domain, _ := strings.Cut(strings.ToLower(norm.NFKC.String(strings.TrimSpace(email))), "@")
	if local != "" && (whole == local+"@"+domain || core == coreWord(local) || core == coreWord(domain)) {
		return ErrPasswordAddress
	}
	if isRun(whole) || isCommon(whole) || isCommon(core) || isCommon(plainLetters.Replace(core)) {
		return ErrPasswordCommon
	}
	return nil
}

// isCommon looks a word up; a scan of a few kilobytes is nothing beside the hash that follows.
func isCommon(word string) bool {
	return word != "" && !strings.ContainsAny(word, "\n") && strings.Contains("\n"+commonWords, "\n"+word+"\n")
}

var plainLetters = strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i")

// coreWord strips digits, signs and spaces from both ends and takes a repeated word once.
func coreWord(s string) string {
	s = strings.TrimFunc(s, func(r rune) bool { return !unicode.IsLetter(r) })
	for n := 1; n <= len(s)/2; n++ {
		if len(s)%n == 0 && strings.Repeat(s[:n], len(s)/n) == s {
			return s[:n]
		}
	}
	return s
}

// isRun recognizes passwords of fewer than four different characters and plain counting: 123456789012, zyxwvutsrqpo.
func isRun(s string) bool {
	runes := []rune(s)
	different := map[rune]bool{}
	up, down := true, true
	for i, r := range runes {
		different[r] = true
		if i > 0 {
			up = up && (r == runes[i-1]+1 || runes[i-1] == '9' && r == '0')
			down = down && (r == runes[i-1]-1 || runes[i-1] == '0' && r == '9')
		}
	}
	return len(different) < 4 || up || down
}
