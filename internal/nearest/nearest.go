// Package nearest finds the word a mistyped one was most likely meant to be.
package nearest

import (
	"strings"

	"github.com/agnivade/levenshtein"
)

// Word returns the candidate with the smallest edit distance to word, whatever
// their case, and whether it is near enough to be worth proposing: at most a
// third of the longer word's letters differ, and at least two edits are always
// allowed.
// Among equals the first candidate wins. It returns "", false without
// candidates.
func Word(word string, candidates []string) (string, bool) {
	best, bestDistance := "", -1
	for _, c := range candidates {
		if d := levenshtein.ComputeDistance(strings.ToLower(word), strings.ToLower(c)); bestDistance < 0 || d < bestDistance {
			best, bestDistance = c, d
		}
	}
	if bestDistance < 0 {
		return "", false
	}
	longer := max(len([]rune(word)), len([]rune(best)))
	return best, bestDistance <= max(2, longer/3) && bestDistance < longer
}
