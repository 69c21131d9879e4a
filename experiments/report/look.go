package report

import (
	"fmt"
	"image/color"
	"strings"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
)

// Look is how a verdict is shown, in the report, in figures, in notebooks and on a terminal.
type Look struct {
	Mark string // its sign, for readers who do not see the colours
	tone
}

// tone is what a verdict means for the claim, in colours: "#rrggbb" for its text and behind it, on
// light and on dark pages.
type tone struct {
	Ink, Back, DarkInk, DarkBack string
	// Terminal has the codes of the text's colour and weight (SGR). Without a colour it is in the
	// terminal's own.
	Terminal []int
}

var (
	good = tone{Ink: "#0a6136", Back: "#e2f3e9", DarkInk: "#86dcaa", DarkBack: "#12351f", Terminal: []int{32, 1}}
	bad  = tone{Ink: "#96191c", Back: "#fbe6e6", DarkInk: "#ffa39c", DarkBack: "#451a1a", Terminal: []int{31, 1}}
	// An undecided claim is neither: grey, as is what has no verdict, which is fainter.
	open = tone{Ink: "#4a5058", Back: "#e6e8eb", DarkInk: "#c4c9d0", DarkBack: "#343940", Terminal: []int{1}}
	none = tone{Ink: "#5a6068", Back: "#f4f5f7", DarkInk: "#a3a9b1", DarkBack: "#202327"}
)

// Color returns the colour of a verdict in figures on white, that of its text.
func (t tone) Color() color.NRGBA {
	c := color.NRGBA{A: 255}
	if _, err := fmt.Sscanf(t.Ink, "#%02x%02x%02x", &c.R, &c.G, &c.B); err != nil {
		panic(err) // The colours are written above.
	}
	return c
}

// looks is the one place that says how verdicts look.
var looks = map[evidence.Verdict]Look{
	evidence.Holds: {"✔", good}, evidence.DoesNotHold: {"✘", bad}, evidence.Undecided: {"?", open},
	NotRefuted: {"∎", good}, Refuted: {"✘", bad}, NoVerdict: {"–", none},
}

// LookOf returns how a verdict is shown.
func LookOf(v evidence.Verdict) Look { return looks[v] }

// className is the CSS class of a verdict, which has no spaces.
func className(v evidence.Verdict) string { return strings.ReplaceAll(string(v), " ", "-") }

// verdictStyle returns the CSS of the verdicts' classes.
func verdictStyle() string {
	var light, dark strings.Builder
	for _, v := range verdicts {
		look := LookOf(v)
		fmt.Fprintf(&light, ".%s { color: %s; background: %s; }\n", className(v), look.Ink, look.Back)
		fmt.Fprintf(&dark, "  .%s { color: %s; background: %s; }\n", className(v), look.DarkInk, look.DarkBack)
	}
	return fmt.Sprintf("%s@media screen and (prefers-color-scheme: dark) {\n%s}\n", &light, &dark)
}
