package secret

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"github.com/ccojocar/zxcvbn-go/data"
	"golang.org/x/text/unicode/norm"
)

// Length of a password in code points after NFKC. An installation may ask for more than the least (see Passwords.Least).
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
	ErrPasswordName    = errors.New("do not use your name as the password")
	ErrPasswordText    = errors.New("the password holds characters that cannot be typed")
)

// Check is CheckPassword where at least p.Least code points are asked for.
func (p *Passwords) Check(password, email, name string) error {
	if utf8.ValidString(password) && utf8.RuneCountInString(norm.NFKC.String(password)) < p.Least {
		return fmt.Errorf("use at least %d characters", p.Least)
	}
	return CheckPassword(password, email, name)
}

// commonWords are ours, and what the lists of words below lack.
//
//go:embed common.txt
var commonWords string

// listed are some 85,000 words in their order: the passwords most often found in leaks, the words most often spoken in English films, and first and
// last names of the United States' census (the lists by which github.com/ccojocar/zxcvbn-go estimates a password's strength).
var listed = sync.OnceValue(func() (words []string) {
	for _, name := range []string{"Passwords", "English", "MaleNames", "FemaleNames", "Surnames"} {
		var list struct{ List []string }
		if err := json.Unmarshal(data.MustAsset("data/"+name+".json"), &list); err != nil {
			panic(fmt.Sprintf("the module's own list of %s: %v", name, err))
		}
		words = append(words, list.List...)
	}
	slices.Sort(words)
	return slices.Compact(words)
})

//go:embed parts.txt
var commonParts string

// TooLong says whether a text is longer than any password can be that was set.
func TooLong(password string) bool {
	return utf8.RuneCountInString(norm.NFKC.String(password)) > MaxPassword
}

// CheckPassword says what is wrong with a new password of whom an address and a name belong to, or nil. There is no rule on which
// characters it must hold. The block list, some 85,000 passwords, words and names and each pair of some hundred words, is compared with the
// whole password, also without the digits and signs around and between, and with a repeated word taken once.
func CheckPassword(password, email, name string) error {
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
	if isName(whole, strings.ToLower(norm.NFKC.String(name))) {
		return ErrPasswordName
	}
	tried := []string{whole, letterEnds(whole), core, plainLetters.Replace(core)}
	if isRun(whole) || slices.ContainsFunc(tried, isCommon) || isPair(lettersOf(whole)) || isPair(lettersOf(plainLetters.Replace(whole))) {
		return ErrPasswordCommon
	}
	return nil
}

// isName says whether a password is nothing but a name's words, in any order but each once or the same again, among digits and signs.
func isName(password, name string) bool {
	left := lettersOf(password)
	if left == "" {
		return false
	}
	words := strings.FieldsFunc(name, func(r rune) bool { return !unicode.IsLetter(r) })
	slices.SortFunc(words, func(a, b string) int { return len(b) - len(a) }) // the longest first: a short one may be its beginning
	for _, w := range words {
		if utf8.RuneCountInString(w) > 1 {
			left = strings.ReplaceAll(left, w, "")
		}
	}
	return left == ""
}

func lettersOf(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) {
			return r
		}
		return -1
	}, s)
}

// isPair says whether a word is two of the parts that people put together.
func isPair(word string) bool {
	for i := 1; i < len(word); i++ {
		if isPart(word[:i]) && isPart(word[i:]) {
			return true
		}
	}
	return false
}

func isPart(word string) bool { return strings.Contains("\n"+commonParts, "\n"+word+"\n") }

func isCommon(word string) bool {
	if word == "" || strings.Contains(word, "\n") {
		return false
	}
	_, found := slices.BinarySearch(listed(), word)
	return found || strings.Contains("\n"+commonWords, "\n"+word+"\n")
}

var plainLetters = strings.NewReplacer("0", "o", "1", "i", "3", "e", "4", "a", "5", "s", "7", "t", "@", "a", "$", "s", "!", "i")

// letterEnds strips digits, signs and spaces from both ends.
func letterEnds(s string) string {
	return strings.TrimFunc(s, func(r rune) bool { return !unicode.IsLetter(r) })
}

// coreWord is what stands between digits, signs and spaces, a repeated word once.
func coreWord(s string) string {
	s = letterEnds(s)
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
