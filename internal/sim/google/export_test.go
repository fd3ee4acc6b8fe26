package google

import (
	"regexp"
	"slices"
	"strings"
)

// Described is an endpoint in the terms of Google's discovery document, the names in its path left out.
type Described struct {
	Method, Verb, Path string
	Scopes             []string
}

// Endpoints are the Sim's, for tests.
func Endpoints() (out []Described) {
	for _, e := range endpoints() {
		verb, path, _ := strings.Cut(e.pattern, " ")
		path = regexp.MustCompile(`\{\w+\}`).ReplaceAllString(strings.TrimPrefix(path, "/"), "{}")
		out = append(out, Described{e.method, verb, path, slices.Clone(e.scopes)})
	}
	return out
}
