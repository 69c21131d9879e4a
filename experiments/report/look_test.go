package report

import (
	"fmt"
	"image/color"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/geometric-complexity/toolkit/experiments/evidence"
)

// Every verdict has a sign and colours, and the same ones mean the same: green and red are for what
// is decided, and grey for what is not.
func TestLooks(t *testing.T) {
	if len(looks) != len(verdicts) {
		t.Errorf("there are %d looks for %d verdicts", len(looks), len(verdicts))
	}
	greenest, reddest := func(c color.NRGBA) bool { return c.G > c.R && c.G > c.B },
		func(c color.NRGBA) bool { return c.R > c.G && c.R > c.B }
	grey := func(c color.NRGBA) bool { return max(c.R, c.G, c.B)-min(c.R, c.G, c.B) < 0x20 }
	for _, group := range []struct {
		name     string
		is       func(color.NRGBA) bool
		verdicts []evidence.Verdict
	}{
		{"green", greenest, []evidence.Verdict{evidence.Holds, NotRefuted}},
		{"red", reddest, []evidence.Verdict{evidence.DoesNotHold, Refuted}},
		{"grey", grey, []evidence.Verdict{evidence.Undecided, NoVerdict}},
	} {
		for _, v := range group.verdicts {
			look := LookOf(v)
			if look.Mark == "" || !group.is(look.Color()) {
				t.Errorf("%s: sign %q, colour %s, want one that is %s", v, look.Mark, look.Ink, group.name)
			}
			for _, pair := range [][2]string{{look.Ink, look.Back}, {look.DarkInk, look.DarkBack}} {
				if c := contrast(pair[0], pair[1]); c < 4.5 {
					t.Errorf("%s: %s on %s has a contrast of %.1f, want 4.5", v, pair[0], pair[1], c)
				}
			}
		}
	}
	hues := map[evidence.Verdict]int{evidence.Holds: 32, NotRefuted: 32, evidence.DoesNotHold: 31, Refuted: 31}
	for _, v := range verdicts {
		colours := slices.DeleteFunc(slices.Clone(LookOf(v).Terminal), func(code int) bool { return code < 30 })
		if want := hues[v]; want == 0 && len(colours) > 0 || want != 0 && !slices.Equal(colours, []int{want}) {
			t.Errorf("%s: the terminal's colours are %v", v, colours)
		}
	}
}

// The page has its verdicts' colours from the one table.
func TestPageColoursVerdicts(t *testing.T) {
	style := verdictStyle()
	for _, v := range verdicts {
		look := LookOf(v)
		for _, want := range []string{
			fmt.Sprintf(".%s { color: %s; background: %s; }", className(v), look.Ink, look.Back),
			fmt.Sprintf(".%s { color: %s; background: %s; }", className(v), look.DarkInk, look.DarkBack)} {
			if !strings.Contains(style, want) {
				t.Errorf("the style lacks %q", want)
			}
		}
	}
	css, err := pageFiles.ReadFile("page/page.css")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range verdicts {
		if strings.Contains(string(css), "."+className(v)) {
			t.Errorf("page.css has a style of its own for %q", v)
		}
	}
}

// contrast is that of WCAG between two colours.
func contrast(a, b string) float64 {
	luminance := func(text string) float64 {
		c := tone{Ink: text}.Color()
		sum := 0.0
		for i, v := range []uint8{c.R, c.G, c.B} {
			s := float64(v) / 255
			if s <= 0.04045 {
				s /= 12.92
			} else {
				s = math.Pow((s+0.055)/1.055, 2.4)
			}
			sum += s * []float64{0.2126, 0.7152, 0.0722}[i]
		}
		return sum
	}
	x, y := luminance(a), luminance(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}
