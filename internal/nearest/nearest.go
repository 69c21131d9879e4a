// Package nearest finds the word a mistyped one was most likely meant to be.
package nearest

import (
	"strings"

	"github.com/agnivade/levenshtein"
)

// Word returns the candidate with the smallest edit distance to word, ignoring case, and whether it
// is near enough to be worth proposing: the distance is at most 2, or at most a third of the longer
// word's letters, and less than all of them. The first of several equally near candidates wins.
// Without candidates Word returns "", false.
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
