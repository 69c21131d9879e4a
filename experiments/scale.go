package experiments

import (
	"fmt"
	"strings"

	"example.com/geometric-complexity/internal/nearest"
)

// Scale is the size at which an experiment runs.
type Scale string

const (
	Smoke  Scale = "smoke"  // seconds on the pure-Go backend: for tests
	Laptop Scale = "laptop" // minutes on two cores: what a notebook shows
	Paper  Scale = "paper"  // the paper's sizes as far as they are known: for a GPU or a cluster
)

// Scales lists the scales, the smallest first.
func Scales() []Scale { return []Scale{Smoke, Laptop, Paper} }

// ParseScale is the inverse of the conversion to string. Its error names the
// nearest scale.
func ParseScale(s string) (Scale, error) {
	var names []string
	for _, scale := range Scales() {
		if string(scale) == s {
			return scale, nil
		}
		names = append(names, string(scale))
	}
	return "", unknown("scale", s, names)
}

// UnknownError reports a word that is not among the known ones.
type UnknownError struct {
	What, Got string   // what kind of word, and the word
	Nearest   string   // the one it was most likely meant to be; may be empty
	Known     []string // all of them
}

func unknown(what, got string, known []string) *UnknownError {
	e := &UnknownError{What: what, Got: got, Known: known}
	if near, ok := nearest.Word(got, known); ok {
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
