// Package nearest finds the word a mistyped one was most likely meant to be.
package nearest

import (
	"slices"
	"strings"

	"github.com/agnivade/levenshtein"
)

// Word returns the candidate with the smallest edit distance to word, ignoring case, and whether it
// is near enough to be worth proposing: the distance is at most 2, or at most a third of the longer
// word's letters, and less than all of them. Of several equally near candidates one of the same
// letters wins, such as "run" for "rnu", and otherwise the first. Without candidates Word returns
// "", false.
func Word(word string, candidates []string) (string, bool) {
	best, bestDistance := "", -1
	for _, c := range candidates {
		d := levenshtein.ComputeDistance(strings.ToLower(word), strings.ToLower(c))
		swapped := d == bestDistance && letters(c) == letters(word) && letters(best) != letters(word)
		if bestDistance < 0 || d < bestDistance || swapped {
			best, bestDistance = c, d
		}
	}
	if bestDistance < 0 {
		return "", false
	}
	longer := max(len([]rune(word)), len([]rune(best)))
	return best, bestDistance <= max(2, longer/3) && bestDistance < longer
}

// letters returns the letters of a word, in lower case and sorted.
func letters(word string) string {
	sorted := []rune(strings.ToLower(word))
	slices.Sort(sorted)
	return string(sorted)
}
