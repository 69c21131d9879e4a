package nearest

import (
	"fmt"
	"strings"
)

// UnknownError reports a word that is not among the known ones.
type UnknownError struct {
	What, Got string   // what kind of word, and the word
	Nearest   string   // the one it was most likely meant to be; may be empty
	Known     []string // all of them
}

// Unknown is the error for a word that is not among the known ones.
func Unknown(what, got string, known []string) *UnknownError {
	e := &UnknownError{What: what, Got: got, Known: known}
	if near, ok := Word(got, known); ok {
		e.Nearest = near
	}
	return e
}

// Error names the nearest known word, or all of them where none is near.
func (e *UnknownError) Error() string {
	if e.Nearest != "" {
		return fmt.Sprintf("unknown %s %q; did you mean %q?", e.What, e.Got, e.Nearest)
	}
	return fmt.Sprintf("unknown %s %q; known: %s", e.What, e.Got, strings.Join(e.Known, ", "))
}
