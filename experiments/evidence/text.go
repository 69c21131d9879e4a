package evidence

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// Table is a small table of numbers for people, also kept in the result.
type Table struct {
	Title  string     `json:"title"`
	Header []string   `json:"header"`
	Rows   [][]string `json:"rows"`
	Notes  string     `json:"notes,omitempty"`
}

// String renders the table as aligned text: the first column left-aligned, the others
// right-aligned.
func (t Table) String() string {
	widths := make([]int, len(t.Header))
	for _, row := range append([][]string{t.Header}, t.Rows...) {
		for i, cell := range row {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	if t.Title != "" {
		b.WriteString(t.Title + "\n")
	}
	line := func(row []string) {
		var cells []string
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				cells = append(cells, cell+pad)
			} else {
				cells = append(cells, pad+cell)
			}
		}
		b.WriteString(strings.TrimRight("  "+strings.Join(cells, "  "), " ") + "\n")
	}
	line(t.Header)
	var rule []string
	for _, w := range widths {
		rule = append(rule, strings.Repeat("-", w))
	}
	line(rule)
	for _, row := range t.Rows {
		line(row)
	}
	if t.Notes != "" {
		b.WriteString(wrap(t.Notes, "  ", 96))
	}
	return b.String()
}

// ClaimsText renders claims as blocks of verdict, claim and evidence. paint returns the text of a
// verdict as a terminal shows it; nil leaves it as it is.
func ClaimsText(claims []Claim, paint func(v Verdict, text string) string) string {
	var b strings.Builder
	for _, c := range claims {
		verdict := fmt.Sprintf("%-14s", strings.ToUpper(string(c.Verdict)))
		if paint != nil {
			verdict = paint(c.Verdict, verdict)
		}
		fmt.Fprintf(&b, "%s %s\n", verdict, c.Text)
		b.WriteString(wrap(c.Evidence, strings.Repeat(" ", 15), 110))
		b.WriteString(wrap("holds if: "+c.Criterion, strings.Repeat(" ", 15), 110))
	}
	return b.String()
}

// wrap breaks text into lines of at most width characters, each indented.
func wrap(text, indent string, width int) string {
	var b strings.Builder
	line := indent
	for _, word := range strings.Fields(text) {
		if line != indent && utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width {
			b.WriteString(line + "\n")
			line = indent
		}
		if line != indent {
			line += " "
		}
		line += word
	}
	b.WriteString(line + "\n")
	return b.String()
}

// JoinInts writes numbers with commas between them.
func JoinInts(values []int64) string {
	parts := make([]string, len(values))
	for i, v := range values {
		parts[i] = fmt.Sprint(v)
	}
	return strings.Join(parts, ", ")
}

// PlusMinus writes a mean with its standard deviation, which it omits if it is NaN, as for a single
// value. Without a mean, as of no run, it writes a dash.
func PlusMinus(mean, std float64) string {
	if math.IsNaN(mean) {
		return "–"
	}
	if math.IsNaN(std) {
		return fmt.Sprintf("%.4g", mean)
	}
	return fmt.Sprintf("%.4g ± %.2g", mean, std)
}
