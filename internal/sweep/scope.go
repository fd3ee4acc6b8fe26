package sweep

import (
	"slices"
	"strings"
)

// Scope is what an API key may be used for. A route without a scope is for people only.
type Scope string

// The scopes. None implies another: a key that executes reads only where it was asked for.
const (
	ScopeRead    Scope = "read"    // jobs, results, usage, history, lists
	ScopeAnalyze Scope = "analyze" // analyses and previews, which change nothing at Gmail
	ScopeExecute Scope = "execute" // executes and undo, and the orders to running jobs
	ScopeBilling Scope = "billing"
)

// AllScopes lists them.
func AllScopes() []Scope { return []Scope{ScopeRead, ScopeAnalyze, ScopeExecute, ScopeBilling} }

// JoinScopes writes scopes in their order, each once. Invalid for none or for words that are no scopes.
func JoinScopes(scopes []Scope) (string, error) {
	bad := Errorf(Invalid, "the scopes are not valid").At("scopes", "must be some of read, analyze, execute, billing")
	if len(scopes) == 0 {
		return "", bad
	}
	var words []string
	for _, s := range AllScopes() {
		if slices.Contains(scopes, s) {
			words = append(words, string(s))
		}
	}
	for _, s := range scopes {
		if !slices.Contains(AllScopes(), s) {
			return "", bad
		}
	}
	return strings.Join(words, ","), nil
}

// SplitScopes reads what JoinScopes wrote.
func SplitScopes(joined string) (scopes []Scope) {
	for word := range strings.SplitSeq(joined, ",") {
		scopes = append(scopes, Scope(word))
	}
	return scopes
}
