// Package nearest finds the word a mistyped one was most likely meant to be.
package nearest

// Word returns the candidate with the smallest edit distance to word, and
// whether it is near enough to be worth proposing: at most a third of the
// longer word's letters differ, and at least two edits are always allowed.
// Among equals the first candidate wins. It returns "", false without
// candidates.
func Word(word string, candidates []string) (string, bool) {
	best, bestDistance := "", -1
	for _, c := range candidates {
		if d := distance(word, c); bestDistance < 0 || d < bestDistance {
			best, bestDistance = c, d
		}
	}
	if bestDistance < 0 {
		return "", false
	}
	longer := max(len([]rune(word)), len([]rune(best)))
	return best, bestDistance <= max(2, longer/3) && bestDistance < longer
}

// distance is the optimal string alignment distance: insertions, deletions,
// substitutions and swaps of neighbours each count as one edit.
func distance(a, b string) int {
	s, t := []rune(a), []rune(b)
	d := make([][]int, len(s)+1)
	for i := range d {
		d[i] = make([]int, len(t)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(s); i++ {
		for j := 1; j <= len(t); j++ {
			cost := 1
			if s[i-1] == t[j-1] {
				cost = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+cost)
			if i > 1 && j > 1 && s[i-1] == t[j-2] && s[i-2] == t[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(s)][len(t)]
}
