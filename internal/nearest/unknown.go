package nearest

import (
	"fmt"
	"strings"
)

// UnknownError reports a word that is not one of the known words.
type UnknownError struct {
	What, Got string   // The kind of word, and the word.
	Nearest   string   // The known word that was most likely meant; may be empty.
	Known     []string // All known words.
}

// Unknown returns the error for a word that is not one of the known words.
func Unknown(what, got string, known []string) *UnknownError {
	e := &UnknownError{What: what, Got: got, Known: known}
	if near, ok := Word(got, known); ok {
		e.Nearest = near
	}
	return e
}

// Error names the nearest known word, or all known words if none is near.
func (e *UnknownError) Error() string {
	if e.Nearest != "" {
		return fmt.Sprintf("unknown %s %q; did you mean %q?", e.What, e.Got, e.Nearest)
	}
	return fmt.Sprintf("unknown %s %q; known: %s", e.What, e.Got, strings.Join(e.Known, ", "))
}
